//! Says which goroutine has panicked.
//!
//! std's panic hook names the thread, which tells nothing of a goroutine. A hook in front of the one that was there
//! before prints the goroutine's name and where it was spawned, then hands on.

use std::io::Write;
use std::panic;
use std::sync::Once;

use super::thread;

static INSTALLED: Once = Once::new();

/// Installs the hook, once in the process. A hook that the program sets later takes its place, as with any hook.
pub(super) fn install() {
    if INSTALLED.is_completed() {
        return;
    }
    // A panicking thread may not change the hook; the next spawn will.
    if std::thread::panicking() {
        return;
    }
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if let Some(task) = thread::current_task() {
                // SAFETY: the goroutine that runs here holds a reference.
                let task = unsafe { task.get() };
                let name = task.name().unwrap_or("unnamed");
                // One write, so that reports of several threads do not mix; if stderr is closed, so be it.
                let text = format!("goroutine '{name}', spawned at {}:\n", task.spawned_at());
                let _ = std::io::stderr().write_all(text.as_bytes());
            }
            previous(info);
        }));
    });
}
