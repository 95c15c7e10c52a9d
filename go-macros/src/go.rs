//! `go!`: parses what is to run, and expands it into a call of `spawn`.
//!
//! # Grammar
//!
//! In the notation of the Rust reference:
//!
//! ```text
//! Go       : ( Spawner `;` | ( Spawner `,` )? Option ( `,` Option )* `,`? `;` )? Body
//! Spawner  : ( IDENTIFIER | `self` ) ( `.` ( IDENTIFIER | TUPLE_INDEX ) )*
//! Option   : `name` `=` Expression | `stack_size` `=` Expression | `thread` | `local`
//! Body     : Clones Block | `move` Block | Closure | Call | Statements
//! Clones   : `clone` `(` ( IDENTIFIER ( `,` IDENTIFIER )* `,`? )? `)`
//! Call     : CallExpression | MethodCallExpression
//! ```
//!
//! `CallExpression` and the other undefined names are productions of the reference; `Statements` is
//! the content of a block. A closure, a call and a block may stand in parentheses. `thread;` and
//! `local;` are options, so a spawner of that name needs a field after it.
//!
//! These are errors: parameters of a closure, an attribute of a call, an option given twice,
//! `thread` beside `local`, `local` beside a spawner, and a body that is a single expression of
//! another kind, such as a literal, a path, `a + b`, `f()?` or `async {}`.
//!
//! # Expansion
//!
//! ```text
//! { body }              $crate::spawn(move || { body })          also for statements
//! clone(a) { body }     { let a = Clone::clone(&a); $crate::spawn(move || { body }) }
//! move || body          $crate::spawn(move || body)
//! f(x)                  { let v = x; $crate::spawn(move || f(v)) }
//! local; { body }       $crate::spawn_local(move || { body })
//! name = n; { body }    { let b = $crate::Builder::new().name(n);
//!                         $crate::__private::spawn_with(b, move || { body }) }
//! s; { body }           s.spawn(|| { body })
//! s; move { body }      s.spawn(move || { body })
//! s; f(x)               { let v = x; s.spawn(move || f(v)) }
//! s; clone(a) { body }  { let a = Cloned(Clone::clone(&a));
//!                         s.spawn(|| { let a = Cloned::take(a); body }) }
//! s, name = n; { body } { let b = $crate::Builder::new().name(n);
//!                         $crate::__private::started(s.spawn_with(b, || { body })) }
//! ```
//!
//! The caller evaluates the options first, then the clones, then the parts of a call.
//!
//! A call follows Go's rule (see [`call`]). Statements reach rustc as they are, so that its own
//! messages explain what is wrong in them.

mod call;
mod options;
mod spawner;
#[cfg(test)]
mod tests;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{
    BinOp, Block, Error, Expr, ExprBinary, ExprClosure, ExprUnary, Result, Stmt, Token, UnOp, token,
};

use self::call::Call;
use self::options::{Options, is_flag};

mod keyword {
    syn::custom_keyword!(clone);
}

pub(crate) fn expand(krate: TokenStream, input: TokenStream) -> Result<TokenStream> {
    let Go {
        options,
        clones,
        moves,
        body,
    } = Go::parse(input)?;
    let body = match body {
        Body::Parsed(stmts, tokens) => Run::new(stmts, tokens)?,
        Body::Unparsed(tokens) => Run::Statements(tokens),
    };
    let captures = if options.has_spawner() && !moves {
        Captures::Borrow
    } else {
        Captures::Move
    };
    let end = body.end();
    let (clones, owned) = clone_statements(&krate, &clones, captures);
    let (evaluated, closure) = body.into_closure(captures, owned);
    let (builder, spawn) = options.expand(&krate, closure, end);
    let before: TokenStream = builder.into_iter().chain([clones, evaluated]).collect();
    Ok(if before.is_empty() {
        spawn
    } else {
        quote!({ #before #spawn })
    })
}

/// How the closure around a block captures the variables that the block uses.
#[derive(Clone, Copy)]
enum Captures {
    Move,
    /// Captures each variable as rustc infers it, except for clones, which are moved.
    Borrow,
}

/// Returns the statements that clone, and those in the closure that take the clones.
fn clone_statements(
    krate: &TokenStream,
    names: &[Ident],
    captures: Captures,
) -> (TokenStream, TokenStream) {
    let mut before = TokenStream::new();
    let mut inside = TokenStream::new();
    for name in names {
        // `clone` shows up in rustc's message if the variable cannot be cloned.
        let clone = quote_spanned!(name.span()=> ::core::clone::Clone::clone);
        match captures {
            Captures::Move => before.extend(quote!(let #name = #clone(&#name);)),
            // A closure that is not `move` moves a variable only if the closure uses it by value
            // and the variable is not `Copy`. The wrapper `Cloned` is such a value.
            Captures::Borrow => {
                let owned = quote!(#krate::__private::Cloned);
                before.extend(quote!(let #name = #owned(#clone(&#name));));
                inside.extend(quote!(let #name = #owned::take(#name);));
            }
        }
    }
    (before, inside)
}

/// Whether tokens are a complete input of `go!`.
pub(crate) enum Verdict {
    Accepted,
    /// The tokens do not parse as Rust.
    Incomplete,
    /// The tokens parse, but `go!` cannot run them.
    Refused(Error),
}

pub(crate) fn check(input: TokenStream) -> Verdict {
    let go = match Go::parse(input) {
        Ok(go) => go,
        Err(error) => return Verdict::Refused(error),
    };
    match go.body {
        Body::Unparsed(_) => Verdict::Incomplete,
        Body::Parsed(stmts, tokens) => match Run::new(stmts, tokens) {
            Ok(_) => Verdict::Accepted,
            Err(error) => Verdict::Refused(error),
        },
    }
}

struct Go {
    options: Options,
    clones: Vec<Ident>,
    /// Whether `move` stands in front of the block.
    moves: bool,
    body: Body,
}

enum Body {
    Parsed(Vec<Stmt>, TokenStream),
    /// Statements that syn cannot parse: rustc reports what is wrong in them.
    Unparsed(TokenStream),
}

impl Go {
    fn parse(input: TokenStream) -> Result<Go> {
        let prefix = |input: ParseStream| {
            let options = Options::parse(input)?;
            let clones = parse_clones(input)?;
            let moves = clones.is_empty() && parse_move(input)?;
            Ok((options, clones, moves, input.parse::<TokenStream>()?))
        };
        let (options, clones, moves, tokens) = prefix.parse2(input)?;
        if tokens.is_empty() {
            return Err(Error::new(
                Span::call_site(),
                "go! needs something to run: `go! { statements }`, `go!(f(x))` or \
                 `go!(move || expression)`",
            ));
        }
        let body = match Block::parse_within.parse2(tokens.clone()) {
            Ok(stmts) => Body::Parsed(stmts, tokens),
            Err(_) => Body::Unparsed(tokens),
        };
        Ok(Go {
            options,
            clones,
            moves,
            body,
        })
    }
}

/// Takes `move`, if a block and nothing else comes after it. (Where a spawner's block would have to
/// own what it borrows, rustc proposes to add `move`.)
fn parse_move(input: ParseStream) -> Result<bool> {
    let ahead = input.fork();
    if !(ahead.peek(Token![move]) && ahead.peek2(token::Brace)) {
        return Ok(false);
    }
    for _ in 0..2 {
        ahead.parse::<TokenTree>()?;
    }
    let found = ahead.is_empty();
    if found {
        input.parse::<Token![move]>()?;
    }
    Ok(found)
}

/// Takes `clone(a, b)`, if a block and nothing else comes after it.
fn parse_clones(input: ParseStream) -> Result<Vec<Ident>> {
    let ahead = input.fork();
    let misplaced = ahead.peek(keyword::clone)
        && (ahead.peek2(syn::Ident)
            || ahead.peek2(token::Paren)
                && (ahead.peek3(Token![move])
                    || ahead.peek3(Token![,])
                    || ahead.peek3(Token![;])
                    || ahead.peek3(syn::Ident)));
    if misplaced {
        return Err(ahead.error(
            "clone(...) goes in front of a block, with nothing between: go!(clone(a, b) { ... })",
        ));
    }
    if !(ahead.peek(keyword::clone) && ahead.peek2(token::Paren) && ahead.peek3(token::Brace)) {
        return Ok(Vec::new());
    }
    for _ in 0..3 {
        ahead.parse::<TokenTree>()?;
    }
    if !ahead.is_empty() {
        return Ok(Vec::new());
    }
    input.parse::<keyword::clone>()?;
    let list;
    syn::parenthesized!(list in input);
    let names = Punctuated::<TokenStream, Token![,]>::parse_terminated_with(&list, |item| {
        let mut tokens = TokenStream::new();
        while !item.is_empty() && !item.peek(Token![,]) {
            tokens.extend([item.parse::<TokenTree>()?]);
        }
        Ok(tokens)
    })?;
    names
        .into_iter()
        .map(|name| {
            syn::parse2::<Ident>(name.clone()).map_err(|_| {
                let first = name
                    .clone()
                    .into_iter()
                    .next()
                    .map(|token| token.to_string());
                let message = match first.as_deref() {
                    Some("mut") => {
                        "clone(...) takes plain variables, without `mut`: begin the \
                                    block with let mut x = x;"
                    }
                    Some("self") if name.clone().into_iter().count() == 1 => {
                        "clone(...) takes plain variables; bind it first: let this = self.clone(); \
                         or call a method on the clone: go!(self.clone().run())"
                    }
                    _ => {
                        "clone(...) takes plain variables; bind it first: let tx = \
                          self.tx.clone();"
                    }
                };
                Error::new_spanned(name, message)
            })
        })
        .collect()
}

/// How the body is run.
enum Run {
    Statements(TokenStream),
    Closure(ExprClosure),
    Call(Call),
}

impl Run {
    fn new(mut stmts: Vec<Stmt>, tokens: TokenStream) -> Result<Run> {
        match stmts.pop() {
            Some(Stmt::Expr(expr, None)) if stmts.is_empty() => Run::from_expr(expr, tokens),
            _ => Ok(Run::Statements(tokens)),
        }
    }

    fn from_expr(expr: Expr, tokens: TokenStream) -> Result<Run> {
        match expr {
            Expr::Paren(outer) => {
                let tokens = outer.expr.to_token_stream();
                Run::from_expr(*outer.expr, tokens)
            }
            // An `expr` fragment of a `macro_rules` macro.
            Expr::Group(outer) => {
                let tokens = outer.expr.to_token_stream();
                Run::from_expr(*outer.expr, tokens)
            }
            Expr::Closure(closure) => check_closure(closure).map(Run::Closure),
            Expr::Call(_) | Expr::MethodCall(_) => Call::new(expr).map(Run::Call),
            Expr::Block(_)
            | Expr::Unsafe(_)
            | Expr::Const(_)
            | Expr::TryBlock(_)
            | Expr::If(_)
            | Expr::Match(_)
            | Expr::ForLoop(_)
            | Expr::While(_)
            | Expr::Loop(_)
            | Expr::Macro(_)
            | Expr::Return(_)
            | Expr::Break(_)
            | Expr::Continue(_)
            | Expr::Verbatim(_) => Ok(Run::Statements(tokens)),
            Expr::Async(block) => Err(Error::new_spanned(
                block.async_token,
                "go! runs ordinary blocking code: drop `async`",
            )),
            Expr::Await(expr) => Err(Error::new_spanned(
                expr.await_token,
                "go! runs ordinary blocking code: drop `.await`",
            )),
            Expr::Try(expr) => Err(Error::new_spanned(
                expr.question_token,
                "`?` has no function to return from here: drop it and look at the result after \
                 joining, or use a block: go!({ ... })",
            )),
            Expr::Reference(borrow)
                if matches!(*borrow.expr, Expr::Call(_) | Expr::MethodCall(_)) =>
            {
                Err(Error::new_spanned(
                    borrow.and_token,
                    "`&` in front of a call borrows its result: to call a method on a borrowed \
                     receiver write go!((&x).method()), or clone the receiver: go!(clone(x) { \
                     x.method() })",
                ))
            }
            other => Err(not_runnable(&other)),
        }
    }

    /// Returns the statements that the caller evaluates, and the closure to spawn, which begins
    /// with the statements in `first` if it is a block.
    fn into_closure(self, captures: Captures, first: TokenStream) -> (TokenStream, TokenStream) {
        match self {
            Run::Statements(tokens) => (TokenStream::new(), closure_of(tokens, captures, first)),
            Run::Closure(closure) => (TokenStream::new(), closure.into_token_stream()),
            Run::Call(Call { now, later }) => {
                (now, closure_of(later, Captures::Move, TokenStream::new()))
            }
        }
    }

    /// Returns the span of the last of the user's tokens.
    fn end(&self) -> Span {
        let tokens = match self {
            Run::Statements(tokens) => tokens.clone(),
            Run::Closure(closure) => closure.to_token_stream(),
            Run::Call(call) => call.later.clone(),
        };
        let last = tokens.into_iter().last();
        last.map_or_else(Span::call_site, |token| token.span())
    }
}

/// Returns `move || { begin tokens }`, with the user's own braces if the tokens are a block.
///
/// When rustc reports an error about the closure, for example that it is not `Send`, it underlines
/// the closure. So the closure's own tokens have the spans of the first and last of the user's.
fn closure_of(tokens: TokenStream, captures: Captures, begin: TokenStream) -> TokenStream {
    let mut trees = tokens.clone().into_iter();
    let first = trees.next();
    let last = trees.last();
    let place = |token: &Option<TokenTree>| {
        let span = token.as_ref().map_or_else(Span::call_site, TokenTree::span);
        span.resolved_at(Span::call_site())
    };
    let start = place(&first);
    let (statements, end) = match (&first, &last) {
        (Some(TokenTree::Group(group)), None) if group.delimiter() == Delimiter::Brace => {
            (group.stream(), start)
        }
        (_, None) => (tokens, start),
        _ => (tokens, place(&last)),
    };
    let mut body = Group::new(Delimiter::Brace, quote!(#begin #statements));
    body.set_span(end);
    match captures {
        Captures::Move => quote_spanned!(start=> move || #body),
        Captures::Borrow => quote_spanned!(start=> || #body),
    }
}

fn check_closure(closure: ExprClosure) -> Result<ExprClosure> {
    if !closure.inputs.is_empty() {
        return Err(Error::new_spanned(
            &closure.inputs,
            "a goroutine's closure takes no arguments: capture them with `move ||`",
        ));
    }
    match closure.asyncness {
        Some(asyncness) => Err(Error::new_spanned(
            asyncness,
            "go! runs ordinary blocking code: drop `async`",
        )),
        None => Ok(closure),
    }
}

/// Returns the channel and the value of `channel <- value`, which Rust reads as a comparison with a
/// negative value.
fn arrow(expr: &Expr) -> Option<(&Expr, &Expr)> {
    let Expr::Binary(ExprBinary {
        left,
        op: BinOp::Lt(_),
        right,
        ..
    }) = expr
    else {
        return None;
    };
    match &**right {
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_),
            expr,
            ..
        }) => Some((left, expr)),
        _ => None,
    }
}

fn not_runnable(expr: &Expr) -> Error {
    const SHORT: usize = 40;
    let text = expr.to_token_stream().to_string();
    let message = if text.chars().count() > SHORT {
        "`go!` needs a call, a block or a closure, and this is none of them: call a function, or \
         put it into braces to run it as a block: `go!({ ... })`"
            .to_owned()
    } else if let Some((channel, value)) = arrow(expr) {
        let [channel, value] = [channel, value].map(|part| part.to_token_stream().to_string());
        format!("`<-` is no operator of Rust: send with `go!({channel}.send({value}))`")
    } else if let Expr::Path(_) | Expr::Field(_) = expr {
        // The value of a field is called with parentheses around it.
        let callee = match expr {
            Expr::Field(_) => format!("({text})"),
            _ => text.clone(),
        };
        let option = match syn::parse2::<Ident>(expr.to_token_stream()) {
            Ok(name) if is_flag(&name) => {
                format!("; `{text}` is an option as well: `go!({text}; f())`")
            }
            _ => String::new(),
        };
        format!(
            "`go!` needs a call, a block or a closure, and `{text}` is none of them: write \
             `go!({callee}())` to call it, or `go!({{ {text} }})` to run it as a block{option}"
        )
    } else {
        format!(
            "`go!` needs a call, a block or a closure, and `{text}` is none of them: call a \
             function, or write `go!({{ {text} }})` to run it as a block"
        )
    };
    Error::new_spanned(expr, message)
}
