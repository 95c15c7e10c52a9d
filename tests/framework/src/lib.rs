//! A crate that passes the macros on: its users do not depend on `go-runtime` themselves.

pub use go_runtime;
pub use go_runtime::{go, golang, main, select, select_biased};

/// A macro of its own that uses ours: no name of `go-runtime` is in the user's scope.
#[macro_export]
macro_rules! twice {
    ($($body:tt)*) => {
        ($crate::go!({ $($body)* }), $crate::go!({ $($body)* }))
    };
}
