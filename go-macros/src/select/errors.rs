//! What can be said about an arm that is wrong.

use proc_macro2::{Ident, TokenStream};
use syn::parse::ParseStream;
use syn::{Error, Pat, Token};

const FORMS: &str = "an arm is recv(rx) -> pat, send(tx, value) -> pat, pat = <-rx, <-rx, \
                     tx <- value, default or default(duration)";

/// Patterns that cannot cover a `Result`, whatever its types. rustc finds the others.
pub(super) fn is_refutable(pattern: &Pat) -> bool {
    let names = |path: &syn::Path, names: &[&str]| {
        path.segments
            .last()
            .is_some_and(|last| names.iter().any(|name| last.ident == name))
    };
    match pattern {
        Pat::Paren(outer) => is_refutable(&outer.pat),
        Pat::TupleStruct(pattern) => names(&pattern.path, &["Ok", "Err", "Some"]),
        Pat::Path(pattern) => names(&pattern.path, &["None"]),
        Pat::Ident(pattern) => pattern.ident == "None",
        Pat::Lit(_) | Pat::Range(_) => true,
        _ => false,
    }
}

pub(super) fn refutable(pattern: &Pat, operation: &str, binding: &str) -> Error {
    let message = format!(
        "`{operation}` gives a Result, and this pattern doesn't cover both Ok and Err: bind it \
         ({binding}) and match in the body"
    );
    Error::new_spanned(pattern, message)
}

pub(super) fn missing_arrow(head: &TokenStream, input: ParseStream) -> Error {
    let found = match input.cursor().token_tree() {
        Some((token, _)) if !input.peek(Token![,]) => format!(", but found `{token}`"),
        _ => String::new(),
    };
    Error::new_spanned(
        head,
        format!("expected `=>` and a body after `{head}`{found}"),
    )
}

pub(super) fn unknown_operation(input: ParseStream) -> Error {
    match input.fork().parse::<Ident>() {
        Ok(name) => Error::new(name.span(), format!("unknown operation `{name}`: {FORMS}")),
        Err(_) => input.error(format!("expected an arm: {FORMS}")),
    }
}
