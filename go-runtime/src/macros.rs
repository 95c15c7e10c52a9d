//! The macros' public faces. Each hands its tokens to a proc macro together with `$crate`, so that what they expand to
//! works under whatever name, and through whatever re-export, the user reaches this crate.

/// Starts a goroutine; an expression of type [`JoinHandle`](crate::JoinHandle).
///
/// A block runs in the goroutine. A lone call follows Go's rule, whatever the delimiters: receiver and arguments are evaluated by
/// the caller, in source order (Go specification, *Go statements*); add a `;` to have all of it run in the goroutine.
///
/// ```
/// use go_runtime::go;
/// let (a, b) = (20, 22);
/// assert_eq!(go!(i32::max(a, b)).join().unwrap(), 22);
/// assert_eq!(go! { let c = a + b; c }.join().unwrap(), 42);
/// assert_eq!(go!(name = "closure"; move || a).join().unwrap(), 20);
/// ```
#[macro_export]
macro_rules! go {
    ($($tokens:tt)*) => { $crate::__private::go_impl! { [$crate] $($tokens)* } };
}

/// Waits until one of several channel operations can go on, and carries out that one: of several ready arms one at random.
///
/// Arms are `recv(rx) -> pat => body`, `send(tx, value) -> pat => body`, `default => body`, `default(duration) => body`, and with
/// Go's arrows `pat = <-rx => body`, `<-rx => body`, `tx <- value => body`. Channels are evaluated once, on entering; a value
/// to send only when its arm has been chosen (as in crossbeam; Go evaluates it on entering). Bodies are in the caller's scope.
///
/// ```
/// use go_runtime::{channel::unbounded, select};
/// let (tx, rx) = unbounded();
/// tx.send(1).unwrap();
/// let got = select! {
///     recv(rx) -> n => n.unwrap(),
///     default => 0,
/// };
/// assert_eq!(got, 1);
/// ```
#[macro_export]
macro_rules! select {
    ($($tokens:tt)*) => { $crate::__private::select_impl! { [$crate] $($tokens)* } };
}

/// Like [`select!`](crate::select), but takes the first ready arm.
#[macro_export]
macro_rules! select_biased {
    ($($tokens:tt)*) => { $crate::__private::select_biased_impl! { [$crate] $($tokens)* } };
}

/// Passes items or statements through and rewrites each `go!< ... >` in them to `go! { ... }`.
///
/// The first `>` closes at which what lies between is complete; `->`, `=>`, `>=`, `>>` and whatever is in brackets do not
/// count. Where a later `>` could close as well, it is an error: parenthesise the comparison.
///
/// ```
/// use go_runtime::golang;
/// let handle = golang! { go!< i32::max(1, 2) > };
/// assert_eq!(handle.join().unwrap(), 2);
/// ```
#[macro_export]
macro_rules! golang {
    ($($tokens:tt)*) => { $crate::__private::golang_impl! { [$crate] $($tokens)* } };
}
