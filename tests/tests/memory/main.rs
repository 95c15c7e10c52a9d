//! Operations leave no memory behind: an allocator counts the bytes in use.
//!
//! The count includes the whole process, so only one test at a time measures ([`alone`]), and these
//! tests are a program of their own.

mod context_memory;
mod select_memory;

use std::sync::{Mutex, MutexGuard, PoisonError};

use go_tests::support::memory::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Returns a guard that keeps all other tests of this program from measuring.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}
