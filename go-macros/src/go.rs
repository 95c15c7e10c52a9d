//! `go!`: what its input means, and the call of `spawn` it becomes.
//!
//! A spawner and options come off the front, then `clone(...)`, and the body's shape decides how it
//! is run. A call follows Go's rule (see [`call`]); statements are handed to rustc as they are, so
//! that its own messages explain what is wrong in them.

mod call;
mod options;
mod spawner;
#[cfg(test)]
mod tests;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Block, Error, Expr, ExprClosure, Result, Stmt, Token, token};

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

/// What the closure that is made of a block does with the variables that it uses.
#[derive(Clone, Copy)]
enum Captures {
    Move,
    /// As rustc infers it. Clones are moved all the same.
    Borrow,
}

/// The statements that clone, and those in the closure that take the clones.
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
            // A closure that is not `move` moves what it uses by value and cannot copy, which this
            // wrapper sees to.
            Captures::Borrow => {
                let owned = quote!(#krate::__private::Cloned);
                before.extend(quote!(let #name = #owned(#clone(&#name));));
                inside.extend(quote!(let #name = #owned::take(#name);));
            }
        }
    }
    (before, inside)
}

/// Whether tokens would do as the input of `go!`.
pub(crate) enum Verdict {
    Accepted,
    /// They are no finished piece of Rust.
    Incomplete,
    /// They are, but `go!` does not run such a thing.
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
    /// `move` in front of a block.
    moves: bool,
    body: Body,
}

enum Body {
    Parsed(Vec<Stmt>, TokenStream),
    /// Statements that syn does not take, for rustc to judge.
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

/// `move`, if a block and nothing else comes after it: what rustc proposes where the block of a
/// spawner would have to own what it borrows.
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

/// `clone(a, b)`, if a block and nothing else comes after it.
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

    /// The statements to evaluate now, and the closure to spawn, which begins with those in `first`
    /// if it is a block.
    fn into_closure(self, captures: Captures, first: TokenStream) -> (TokenStream, TokenStream) {
        match self {
            Run::Statements(tokens) => (TokenStream::new(), closure_of(tokens, captures, first)),
            Run::Closure(closure) => (TokenStream::new(), closure.into_token_stream()),
            Run::Call(Call { now, later }) => {
                (now, closure_of(later, Captures::Move, TokenStream::new()))
            }
        }
    }

    /// The place of the last of the user's tokens.
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

/// `move || { tokens }`, or with the braces that are there already, and with the statements of
/// `begin` before.
///
/// When rustc complains of the closure, say that it is not `Send`, it names the closure's place and
/// underlines it. So its own tokens are located at both ends of the user's.
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

fn not_runnable(expr: &Expr) -> Error {
    const SHORT: usize = 40;
    let text = expr.to_token_stream().to_string();
    let message = if text.chars().count() > SHORT {
        "`go!` needs a call, a block or a closure, and this is none of them: call a function, or \
         put it into braces to run it as a block: `go!({ ... })`"
            .to_owned()
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
