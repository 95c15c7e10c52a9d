//! The parts of `crossbeam_utils::thread` that the tests use, for goroutines.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::thread::{Result, ScopedJoinHandle};

/// A scope that starts goroutines, which may start more.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'scope, 'env>(&'scope go_runtime::Scope<'scope, 'env>);

impl<'scope, 'env> Scope<'scope, 'env> {
    /// Starts a goroutine, which gets the scope as its argument.
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

/// Runs `f` like `go_runtime::scope`, but returns the panic of a goroutine that was not joined as
/// an error.
///
/// # Errors
/// Returns an error if such a goroutine has panicked.
pub fn scope<'env, F, R>(f: F) -> Result<R>
where
    F: for<'scope> FnOnce(&Scope<'scope, 'env>) -> R,
{
    let f = AssertUnwindSafe(f);
    let run = || go_runtime::scope(|scope| catch_unwind(|| { f }.0(&Scope(scope))));
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Err(panic_of_f)) => resume_unwind(panic_of_f),
        Ok(Ok(result)) => Ok(result),
        Err(panic_of_a_goroutine) => Err(panic_of_a_goroutine),
    }
}
