//! Reports which goroutine has panicked.
//!
//! std's own panic hook names the thread, which says nothing about a goroutine. The runtime's hook
//! runs before std's, and prints the goroutine's name and where it was spawned. A hook that the
//! program has set prints what the program wants printed, perhaps nothing. So the runtime leaves
//! such a hook alone, whether it was set before the first spawn or later. (libtest sets one as well
//! where it captures the output of tests.)

use std::io::Write;
use std::panic::{self, PanicHookInfo};
use std::ptr;
use std::sync::Once;

use super::thread;
#[cfg(target_os = "linux")]
use crate::debug::{self, traceback};
use crate::primitives::atomic::{AtomicBool, AtomicPtr, Ordering};
use crate::primitives::one_line::OneLine;
use crate::sched::Task;

type Hook = dyn Fn(&PanicHookInfo<'_>) + Sync + Send + 'static;

static INSTALLED: Once = Once::new();

/// The task of `main`, once it has started, to compare with.
static MAIN: AtomicPtr<Task> = AtomicPtr::new(ptr::null_mut());
/// Whether the runtime's hook has reported a panic of `main`.
static MAIN_REPORTED: AtomicBool = AtomicBool::new(false);

/// Notes that the calling goroutine is `main`.
pub(super) fn watch_this() {
    let task = thread::current_task().map_or(ptr::null_mut(), |task| task.as_ptr().as_ptr());
    MAIN.store(task, Ordering::Relaxed);
}

/// Returns whether the runtime's hook, rather than the program's, has reported a panic of `main`.
#[cfg(target_os = "linux")]
pub(super) fn has_reported() -> bool {
    MAIN_REPORTED.load(Ordering::Relaxed)
}

/// Installs the runtime's hook, once in the process, unless the program has set a hook. A hook that
/// the program sets later replaces the runtime's.
pub(super) fn install() {
    if INSTALLED.is_completed() {
        return;
    }
    // A panicking thread may not change the hook; the next spawn will install it.
    if std::thread::panicking() {
        return;
    }
    INSTALLED.call_once(|| {
        #[cfg(target_os = "linux")]
        {
            debug::watch_for_deadlocks();
            traceback::watch_for_overflows();
            debug::watch_end();
        }
        let previous = panic::take_hook();
        // After `take_hook`, std's own hook is in place.
        let stds = panic::take_hook();
        if !is_same(&*previous, &*stds) {
            panic::set_hook(previous);
            return;
        }
        panic::set_hook(Box::new(move |info| {
            report();
            stds(info);
            #[cfg(target_os = "linux")]
            if cfg!(panic = "abort") {
                traceback::before_abort();
            }
        }));
    });
}

/// Returns whether `one` is std's own hook, as `other` is. std's hook has no data, so the vtables
/// are compared: both hooks come from the same expression in std, and so have the same vtable. (If
/// std changed that, no panic would be reported as a goroutine's, and `--test goroutines panics`
/// would fail.)
fn is_same(one: &Hook, other: &Hook) -> bool {
    size_of_val(one) == 0 && ptr::eq(one, other)
}

fn report() {
    let Some(task) = thread::current_task() else {
        return;
    };
    if task.as_ptr().as_ptr() == MAIN.load(Ordering::Relaxed) {
        MAIN_REPORTED.store(true, Ordering::Relaxed);
    }
    // SAFETY: the scheduler holds a reference to the task while the goroutine runs, and the
    // goroutine runs here.
    let task = unsafe { task.get() };
    let name = OneLine(task.name().unwrap_or("unnamed"));
    // One write, so that reports of several threads do not mix.
    let text = format!("goroutine '{name}', spawned at {}:\n", task.spawned_at());
    // If standard error is closed, there is no place to report that.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
