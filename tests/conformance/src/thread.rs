//! What the tests use of `std::thread` and `crossbeam_utils::thread`, for goroutines.

use std::any::Any;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::thread;

pub use go_runtime::time::sleep;
pub use go_runtime::{spawn, yield_now, JoinHandle, ScopedJoinHandle};
pub use std::thread::panicking;

/// The scope of [`crossbeam_scope`].
#[derive(Debug, Clone, Copy)]
pub struct Scope<'scope, 'env>(&'scope go_runtime::Scope<'scope, 'env>);

impl<'scope, 'env> Scope<'scope, 'env> {
    /// Starts a goroutine in the scope, which it gets as an argument.
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce(&Scope<'scope, 'env>) -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let scope = *self;
        self.0.spawn(move || f(&scope))
    }
}

/// `crossbeam_utils::thread::scope`: a panic of a goroutine that nobody has joined is an error.
pub fn crossbeam_scope<'env, F, R>(f: F) -> thread::Result<R>
where
    F: for<'scope> FnOnce(&Scope<'scope, 'env>) -> R,
{
    let run = || go_runtime::scope(|scope| f(&Scope(scope)));
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| -> Box<dyn Any + Send> { payload })
}
