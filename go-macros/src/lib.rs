//! The proc macros of `go-runtime`: `go!`, `select!`, `select_biased!`, `golang!` and `#[main]`.
//!
//! The function-like ones are reached through `macro_rules` wrappers of the runtime, which put the
//! runtime's own `$crate` into a bracket group in front: `[$crate] tokens`. That way a renamed or
//! re-exported runtime needs no configuration. Use `go_runtime`, never this crate.

mod go;
mod go_syntax;
mod main_attr;
mod select;

use proc_macro::TokenStream;
use proc_macro2::{Delimiter, Span, TokenStream as TokenStream2, TokenTree};
use quote::quote;

/// Starts a goroutine and gives its `JoinHandle`.
///
/// ```ignore
/// go! { statements; }                       // runs the statements in the goroutine
/// go!(f(a, b))                              // evaluates f, a, b now, calls in the goroutine
/// go!(rx.recv().unwrap())                   // the same; `unwrap` belongs to the call
/// go!(move || expression)                   // runs the closure
/// go!(clone(tx, log) { tx.send(1) })        // clones tx and log first, and moves the clones
/// go!(name = "acceptor", stack_size = 1 << 20; { ... })
/// go!(local; { ... })                       // stays on this thread, so it needs no `Send`
/// ```
///
/// As in Go, a call's function and arguments are evaluated here, in source order, and only the
/// call itself happens in the goroutine. A `move` closure at the end of the arguments is left in
/// the call, so that its parameter types are inferred. What is called on a view of a variable, as in
/// `go!(rx.iter().map(|n| n + 1).sum::<i32>())`, is one call on the variable.
///
/// A macro does not see which brackets it was called with, so a lone call follows this rule in
/// braces too: `go! { f(rx.recv()) }` receives in the caller. `go!({ f(rx.recv()) })`, or a `;`,
/// makes it a block.
///
/// The options come first and end with `;`. They are evaluated before anything else.
#[proc_macro]
pub fn go(input: TokenStream) -> TokenStream {
    with_runtime(input, go::expand)
}

/// Waits for several channel operations and runs the body of one that is ready.
///
/// ```ignore
/// select! {
///     recv(rx) -> msg => use_it(msg),       // msg: Result<T, RecvError>
///     send(tx, value()) -> sent => { sent?; }
///     msg = <-rx => use_it(msg),            // the same in Go's arrows
///     <-done => return,
///     tx <- 5 => {}
///     default(timeout) => too_late(),       // or `default => ...`: do not wait at all
/// }
/// ```
///
/// Channels and the duration are evaluated once, in source order, on entering. The value of a send
/// is evaluated only when its arm has been chosen. Values and bodies are ordinary code of the
/// function around them: `return`, `break`, `continue` and `?` work, and the value of the body is
/// the value of the whole.
///
/// A disconnected channel makes its arm ready, with an `Err`. `tx <- value` has no place for that
/// result: the error is dropped, and the value with it. Use `send(tx, value) -> result` to see it.
///
/// When several arms are ready, one of them is chosen at random. Without an arm it waits forever.
#[proc_macro]
pub fn select(input: TokenStream) -> TokenStream {
    with_runtime(input, |krate, arms| select::expand(krate, arms, false))
}

/// [`select!`](macro@select) which prefers the arm written first when several are ready.
#[proc_macro]
pub fn select_biased(input: TokenStream) -> TokenStream {
    with_runtime(input, |krate, arms| select::expand(krate, arms, true))
}

/// Lets the code inside write `go!<f(x)>` and `go!< statements >` for `go! { ... }`.
///
/// ```ignore
/// golang! {
///     let handle = go!<f(x)>;
///     go!<
///         let worker = go!<work()>;
///         worker.join();
///     >;
/// }
/// ```
///
/// It takes items, statements or an expression, and changes nothing else. `go!<` is found at any
/// depth, in the arguments of macros too.
///
/// # Which `>` closes
///
/// The first `>` up to which the content is a complete body for `go!`. A `>` in parentheses,
/// brackets or braces never counts, nor does one that is part of `->`, `=>`, `>=`, `>>` or `>>=`
/// (but the `>>` of `go!<go!<f()>>` closes both). So generics and comparisons mostly work by
/// themselves: what comes before the `>` of `let v: Vec<u8> = ...;`, `f::<T>(x)` or `if a > b {}`
/// is incomplete.
///
/// What is left is a comparison whose left side could end the body: in `go!< init(); a > b; c() >`
/// the first `>` could close or compare. It closes if what follows cannot be an operand (the end,
/// `;`, `,`, `.`, `?`, `=>`, another closing `>`, a keyword such as `let` or `fn`, or another
/// `go!`), or if no later `>` could close. Otherwise it is an error, and one of these helps: put
/// the comparison in parentheses, `(a > b)`, or write a `;` after the closing `>`.
#[proc_macro]
pub fn golang(input: TokenStream) -> TokenStream {
    // Items may stand here, so errors are not wrapped into a block as those of the others are.
    split_runtime(input.into())
        .and_then(|(krate, code)| go_syntax::expand(&krate, code))
        .unwrap_or_else(|error| error.into_compile_error())
        .into()
}

/// Runs `fn main` as the main goroutine.
///
/// ```ignore
/// #[go_runtime::main]
/// fn main() -> Result<(), Error> { ... }
/// ```
///
/// The return type is anything that an ordinary `main` may return. The runtime is looked up in the
/// dependencies of your `Cargo.toml`; where it is only re-exported by another crate, say where it
/// is: `#[my_crate::main(crate = my_crate::go_runtime)]`.
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
            // One expression, however many errors there are.
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
