//! Takes a call apart by Go's rule: the caller evaluates the function value and the arguments, in
//! source order, and the goroutine only makes the call.
//!
//! ```text
//! input             the caller evaluates              the goroutine runs
//! f(x, y)           let v0 = x; let v1 = y;           f(v0, v1)
//! (expr)(x)         let mut v0 = expr; let v1 = x;    v0(v1)
//! x.method(y)       let mut v0 = x; let v1 = y;       v0.method(v1)
//! rx.recv().ok()    let mut v0 = rx;                  v0.recv().ok()
//! list.iter().sum() let mut v0 = list;                v0.iter().sum()
//! STATIC.method(y)  let v0 = y;                       STATIC.method(v0)
//! f(x, |y| body)    let v0 = x;                       f(v0, |y| body)
//! ```

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, ExprCall, ExprMethodCall, Result, Token};

/// Methods that only unpack what a call returns. If they were taken apart like other calls,
/// `go!(rx.recv().unwrap())` would wait for the message in the caller and unpack it in the
/// goroutine.
const ADAPTORS: [&str; 25] = [
    "unwrap",
    "expect",
    "unwrap_err",
    "expect_err",
    "ok",
    "err",
    "unwrap_or",
    "unwrap_or_else",
    "unwrap_or_default",
    "is_ok",
    "is_err",
    "is_some",
    "is_none",
    "is_ok_and",
    "is_err_and",
    "is_some_and",
    "is_none_or",
    "map",
    "map_err",
    "map_or",
    "map_or_else",
    "and_then",
    "or_else",
    "inspect",
    "inspect_err",
];

/// Methods that only return a view of a value. Evaluated by the caller, `rx.iter()` in
/// `go!(rx.iter().sum())` would borrow the caller's variable, which a goroutine cannot do: so the
/// goroutine makes the view, and the calls on the view.
const VIEWS: [&str; 13] = [
    "iter",
    "iter_mut",
    "try_iter",
    "lock",
    "borrow",
    "borrow_mut",
    "as_ref",
    "as_mut",
    "as_str",
    "as_bytes",
    "as_slice",
    "chars",
    "lines",
];

/// A call, taken apart.
pub(super) struct Call {
    /// `let` statements for what the caller evaluates.
    pub(super) now: TokenStream,
    /// The call for the goroutine, on the variables of `now`.
    pub(super) later: TokenStream,
}

impl Call {
    pub(super) fn new(expr: Expr) -> Result<Call> {
        let mut bindings = Bindings::default();
        let later = bindings.call(expr)?;
        Ok(Call {
            now: bindings.statements,
            later,
        })
    }
}

#[derive(Default)]
struct Bindings {
    statements: TokenStream,
    count: usize,
}

impl Bindings {
    fn call(&mut self, expr: Expr) -> Result<TokenStream> {
        match strip(expr) {
            Expr::Call(call) => self.function(call),
            Expr::MethodCall(call) => self.method(call),
            other => Err(Error::new_spanned(other, "expected a call")),
        }
    }

    fn function(&mut self, call: ExprCall) -> Result<TokenStream> {
        refuse_attributes(&call.attrs)?;
        let function = strip(*call.func);
        // A path stays in the call, unless it is a variable to which the arguments may assign. The
        // path means the same in the goroutine, and only in the call do the bounds of a generic
        // function help rustc to infer the types of its arguments.
        let stays = match &function {
            Expr::Path(path) => match path.path.get_ident() {
                Some(variable) => !mentions(call.args.to_token_stream(), variable),
                None => true,
            },
            _ => false,
        };
        let mut tokens = if stays {
            function.into_token_stream()
        } else {
            self.bind_mut(function).into_token_stream()
        };
        let args = self.arguments(call.args, false);
        call.paren_token
            .surround(&mut tokens, |inner| args.to_tokens(inner));
        Ok(tokens)
    }

    fn method(&mut self, call: ExprMethodCall) -> Result<TokenStream> {
        refuse_attributes(&call.attrs)?;
        let ExprMethodCall {
            receiver,
            dot_token,
            method,
            turbofish,
            ..
        } = call;
        let unpacks_call = ADAPTORS.iter().any(|name| method == name) && is_call(&receiver);
        let of_view = is_view(&receiver);
        let receiver = if unpacks_call || of_view {
            self.call(*receiver)?
        } else if is_static(&receiver) {
            receiver.into_token_stream()
        } else {
            self.bind_mut(*receiver).into_token_stream()
        };
        let args = self.arguments(call.args, of_view);
        let mut tokens = quote!(#receiver #dot_token #method #turbofish);
        call.paren_token
            .surround(&mut tokens, |inner| args.to_tokens(inner));
        Ok(tokens)
    }

    fn arguments(&mut self, args: Punctuated<Expr, Token![,]>, of_view: bool) -> TokenStream {
        // A closure runs nothing when it is evaluated, and the goroutine captures the same values
        // at the same time; left in the call, its parameters have their types inferred. An argument
        // after the closure could still change what the closure captures, so only closures at the
        // end stay. (In calls on a view all arguments stay, because the goroutine evaluates these
        // calls anyway.)
        let bound = args
            .iter()
            .rposition(|arg| !matches!(arg, Expr::Closure(_)))
            .map_or(0, |last| last + 1);
        args.into_pairs()
            .enumerate()
            .map(|(index, pair)| {
                let (arg, comma) = pair.into_tuple();
                let stays = index >= bound || of_view && matches!(arg, Expr::Closure(_));
                let arg = if !stays {
                    self.bind(arg, TokenStream::new()).into_token_stream()
                } else {
                    arg.into_token_stream()
                };
                quote!(#arg #comma)
            })
            .collect()
    }

    /// Binds a value that the call may borrow mutably: a closure, or the receiver of a method.
    fn bind_mut(&mut self, expr: Expr) -> Ident {
        self.bind(strip(expr), quote!(mut))
    }

    fn bind(&mut self, expr: Expr, mutable: TokenStream) -> Ident {
        // The span is that of the user's expression, so rustc reports type errors there.
        let span = expr.span().resolved_at(Span::mixed_site());
        let name = format_ident!("__go{}", self.count, span = span);
        self.count += 1;
        let allow = (!mutable.is_empty()).then(|| quote!(#[allow(unused_mut)]));
        let site = Span::mixed_site();
        self.statements
            .extend(quote_spanned!(site=> #allow let #mutable #name = #expr;));
        name
    }
}

/// Removes parentheses: rustc would warn about them in a `let`.
fn strip(expr: Expr) -> Expr {
    match expr {
        Expr::Paren(outer) => strip(*outer.expr),
        Expr::Group(outer) => strip(*outer.expr),
        other => other,
    }
}

fn is_call(expr: &Expr) -> bool {
    match expr {
        Expr::Paren(outer) => is_call(&outer.expr),
        Expr::Group(outer) => is_call(&outer.expr),
        other => matches!(other, Expr::Call(_) | Expr::MethodCall(_)),
    }
}

/// Returns whether the expression is a view of a value, or a call on one.
fn is_view(expr: &Expr) -> bool {
    match expr {
        Expr::Paren(outer) => is_view(&outer.expr),
        Expr::Group(outer) => is_view(&outer.expr),
        Expr::MethodCall(call) => {
            is_view(&call.receiver)
                || VIEWS.iter().any(|name| call.method == name) && call.args.is_empty()
        }
        _ => false,
    }
}

/// Returns whether the expression looks like `STATIC` or `module::CONSTANT`. A `let` would move a
/// static, which is an error; left in the call, the static is borrowed.
fn is_static(expr: &Expr) -> bool {
    match expr {
        Expr::Path(path) => path.path.segments.last().is_some_and(|last| {
            let name = last.ident.to_string();
            last.arguments.is_none()
                && name.chars().any(|c| c.is_ascii_uppercase())
                && !name.chars().any(|c| c.is_lowercase())
        }),
        _ => false,
    }
}

fn mentions(tokens: TokenStream, name: &Ident) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Group(group) => mentions(group.stream(), name),
        _ => false,
    })
}

fn refuse_attributes(attributes: &[Attribute]) -> Result<()> {
    match attributes.first() {
        Some(attribute) => Err(Error::new_spanned(
            attribute,
            "go! takes a call apart and has no place for an attribute: put the call into braces: \
             go!({ ... })",
        )),
        None => Ok(()),
    }
}
