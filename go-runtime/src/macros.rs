//! The macros' public faces. Each hands its tokens to a proc macro together with `$crate`, so that what they expand to
//! works under whatever name, and through whatever re-export, the user reaches this crate.

/// Starts a goroutine.
#[macro_export]
macro_rules! go {
    ($($tokens:tt)*) => { $crate::__private::go_impl! { [$crate] $($tokens)* } };
}

/// Waits on several channel operations.
#[macro_export]
macro_rules! select {
    ($($tokens:tt)*) => { $crate::__private::select_impl! { [$crate] $($tokens)* } };
}

/// Like [`select!`](crate::select), but takes the first ready arm.
#[macro_export]
macro_rules! select_biased {
    ($($tokens:tt)*) => { $crate::__private::select_biased_impl! { [$crate] $($tokens)* } };
}

/// Lets `go!< ... >` be written.
#[macro_export]
macro_rules! golang {
    ($($tokens:tt)*) => { $crate::__private::golang_impl! { [$crate] $($tokens)* } };
}
