//! A crate that re-exports the macros: its users do not depend on `go-runtime` themselves.

pub use go_runtime;
pub use go_runtime::{go, golang, main, select, select_biased};

/// A macro that uses this crate's `go!`, without any name of `go-runtime` in the user's scope.
#[macro_export]
macro_rules! twice {
    ($($body:tt)*) => {
        ($crate::go!({ $($body)* }), $crate::go!({ $($body)* }))
    };
}
