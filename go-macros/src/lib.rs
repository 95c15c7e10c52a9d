//! The proc macros of `go-runtime`: `go!`, `select!`, `select_biased!`, `golang!` and `#[main]`.
//!
//! Users call the function-like macros through `macro_rules` wrappers in the runtime, which put the
//! runtime's own `$crate` into a bracket group in front: `[$crate] tokens`. So a renamed or
//! re-exported runtime needs no configuration. `#[main]`, an attribute, cannot be wrapped: it names
//! `::go_runtime`, or what `crate = path` says. Use `go_runtime`, never this crate.

mod go;
mod go_syntax;
mod main_attr;
mod select;

use proc_macro::TokenStream;
use proc_macro2::{Delimiter, Span, TokenStream as TokenStream2, TokenTree};
use quote::quote;

/// `go_runtime::go!`, which documents it.
#[proc_macro]
pub fn go(input: TokenStream) -> TokenStream {
    with_runtime(input, go::expand)
}

/// `go_runtime::select!`, which documents it.
#[proc_macro]
pub fn select(input: TokenStream) -> TokenStream {
    with_runtime(input, |krate, arms| select::expand(krate, arms, false))
}

/// `go_runtime::select_biased!`, which documents it.
#[proc_macro]
pub fn select_biased(input: TokenStream) -> TokenStream {
    with_runtime(input, |krate, arms| select::expand(krate, arms, true))
}

/// `go_runtime::golang!`, which documents it.
#[proc_macro]
pub fn golang(input: TokenStream) -> TokenStream {
    // `golang!` may stand in place of items, so its errors are not wrapped into a block as those of
    // the other macros are.
    split_runtime(input.into())
        .and_then(|(krate, code)| go_syntax::expand(&krate, code))
        .unwrap_or_else(|error| error.into_compile_error())
        .into()
}

// rustdoc puts the documentation of the re-export in `go_runtime` in front of this: the summary, an
// example and the heading of the settings.
/// `#[go_runtime::main(workers = 2, stack_size = 64 << 10, blocking_threads = 16)]` runs `fn main`
/// as the main goroutine of a runtime with these settings. Each may be left out, and wins over its
/// environment variable. `go_runtime::Config` documents them.
///
/// # Thread, stack and return type
///
/// `main` runs on a worker's thread, not on the program's first one. Its stack has 8 MiB (or the
/// default size of stacks, if that is more), as a program's first thread has as a rule. The return
/// type is anything that an ordinary `main` may return. When `main` returns the program ends,
/// whatever goroutines still run.
///
/// An async `main` keeps its executor's attribute, and does without this one: goroutines start all
/// the same.
///
/// # Exit codes
///
/// What `main` returns; 101 after a panic; 2, with a message, if the runtime cannot start.
///
/// # Where the runtime is
///
/// The expansion names the runtime `::go_runtime`. Where your `Cargo.toml` gives it another name,
/// or another crate re-exports it, rustc cannot find `go_runtime`: say where it is, with
/// `#[goroutines::main(crate = goroutines)]` or `#[my_crate::main(crate = my_crate::go_runtime)]`.
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    main_attr::expand(arguments.into(), item.into()).into()
}

fn with_runtime(
    input: TokenStream,
    expand: fn(TokenStream2, TokenStream2) -> syn::Result<TokenStream2>,
) -> TokenStream {
    let expanded = split_runtime(input.into()).and_then(|(krate, rest)| expand(krate, rest));
    expanded
        .unwrap_or_else(|error| {
            // The errors are put into a block, so that the macro expands to one expression.
            let errors = error.into_compile_error();
            quote!({ #errors })
        })
        .into()
}

/// Takes the group with the path of the runtime off the front.
fn split_runtime(input: TokenStream2) -> syn::Result<(TokenStream2, TokenStream2)> {
    let mut tokens = input.into_iter();
    match tokens.next() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket => {
            Ok((group.stream(), tokens.collect()))
        }
        _ => Err(syn::Error::new(
            Span::call_site(),
            "this macro is a part of `go_runtime`: use the one of the same name there",
        )),
    }
}
