//! Deadlocks: all goroutines are asleep, and nothing can wake one.
//!
//! The monitor looks when all workers sleep (see `sched::silence`). A goroutine can then be woken
//! only by a timer, by an event of the system that one waits for, by a signal that has a handler,
//! or by a thread that runs. The runtime knows its timers, and what each goroutine and each thread
//! waits for that waits in one of its calls. The system knows how many threads there are, and
//! which of them sleep.
//!
//! A thread that has just been woken looks as if it waited until it runs. So the threads that wait
//! are read twice, and between that the system's own states of all threads. A thread that had been
//! woken before the first reading is ready until it runs, and the second reading sees that it has
//! run. No thread could have woken it after that: all were asleep, and none had ended unseen, when
//! the states were read.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry};
use std::io;
use std::sync::Once;
use std::time::Duration;

use super::cycle;
use super::on_signal::{Message, write_and_exit, write_elsewhere};
use crate::sched::listing::{self, State};
use crate::sched::{Runtime, checks, global, silence};
use crate::signal;
use crate::wait::{Why, threads};

/// How long all workers have slept when a process is said to be silent that may be woken by threads
/// of which the runtime knows nothing.
const SILENT: Duration = Duration::from_secs(10);
/// The time to the second look. Threads end, and signals are no longer listened to, without a
/// worker that wakes up. (The runtime's own threads for blocking calls, which cannot be told from
/// others, end when they have had nothing to run for two seconds.)
const LATER: Duration = Duration::from_secs(3);

/// From now on deadlocks end the process, or are reported, unless `GODEBUG=deadlock=0` says that
/// they are not.
pub(crate) fn watch_for_deadlocks() {
    silence::watch(look);
    checks::make(cycle::check);
}

fn look(asleep_for: Duration) -> Option<Duration> {
    let runtime = global::running()?;
    if !runtime.debug().deadlock {
        return None;
    }
    let next = look_for_all(runtime, asleep_for);
    // While all workers sleep, a cycle can only appear if a thread begins to wait, which leads to
    // another look.
    next.into_iter().chain(cycle::check_asleep()).min()
}

fn look_for_all(runtime: &'static Runtime, asleep_for: Duration) -> Option<Duration> {
    // Looks become rarer, so that a process costs next to nothing that is silent for days.
    let again = asleep_for.max(LATER);
    match what_may_wake(runtime) {
        Waker::Event => None,
        Waker::Other => Some(again),
        Waker::Threads(0) => write_and_exit("fatal error: all goroutines are asleep - deadlock!"),
        Waker::Threads(others) if asleep_for >= SILENT => {
            warn_once(others, asleep_for);
            Some(again)
        }
        Waker::Threads(_) => Some(again.min(SILENT - asleep_for)),
    }
}

fn warn_once(others: usize, asleep_for: Duration) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let threads = if others == 1 {
            "one thread".to_owned()
        } else {
            format!("{others} threads")
        };
        let line = format!(
            "go-runtime: all goroutines have been asleep for {} s. No timer, no descriptor and no \
             signal can wake one; only {threads} could that the runtime knows nothing of. If none \
             does, this is a deadlock. (GODEBUG=deadlock=0 silences this.)",
            asleep_for.as_secs()
        );
        drop(write_elsewhere(Message::dump(line), false));
    });
}

/// What may wake a goroutine.
enum Waker {
    /// A timer or an event, for which a worker watches; or no goroutine waits.
    Event,
    /// Something that may vanish without a worker that wakes up: a thread that runs or waits with a
    /// deadline, or a signal.
    Other,
    /// One of so many threads, which sleep.
    Threads(usize),
}

fn what_may_wake(runtime: &'static Runtime) -> Waker {
    let snapshot = threads::snapshot();
    let signals = signal::what_is_there();
    let mut waiting = snapshot.goroutines;
    let mut by_event = silence::has_timers(runtime);
    listing::for_each(runtime, |listed| match listed.state {
        State::Waiting(word) => {
            waiting += 1;
            by_event |= Why::of_word(word).is_none_or(Why::is_for_outside);
        }
        State::Running(_) | State::Runnable => by_event = true,
    });
    if by_event || waiting == 0 || !silence::goes_on(runtime) {
        return Waker::Event;
    }
    // A goroutine that has not started is counted, but not listed; one on a thread of its own may
    // run.
    if signals.may_wake || snapshot.for_others || waiting != crate::num_goroutines() {
        return Waker::Other;
    }
    let known = silence::threads(runtime) + signals.threads + snapshot.for_ever;
    let Some(all) = threads_of_the_process() else {
        return Waker::Other;
    };
    let still = signal::what_is_there().may_wake == signals.may_wake;
    if !silence::goes_on(runtime) {
        Waker::Event
    } else if !still || all.sleeping < all.number || snapshot != threads::snapshot() {
        Waker::Other
    } else {
        Waker::Threads(all.number.saturating_sub(known))
    }
}

struct Threads {
    number: usize,
    /// Those that sleep, and the calling thread.
    sleeping: usize,
}

/// Reads the states of the threads; `None` if the system does not tell, or if there are others
/// meanwhile.
fn threads_of_the_process() -> Option<Threads> {
    // All threads are listed before the first state is read: what a thread that has ended by then
    // has woken is ready.
    let all = list_threads()?;
    // SAFETY: `gettid` has no preconditions.
    let this = unsafe { libc::gettid() };
    let sleeping = |thread: &&i32| **thread == this || sleeps(**thread) == Some(true);
    let sleeping = all.iter().filter(sleeping).count();
    (list_threads()? == all).then_some(Threads {
        number: all.len(),
        sleeping,
    })
}

fn list_threads() -> Option<BTreeSet<i32>> {
    let entries = fs::read_dir("/proc/self/task").ok()?;
    let number = |entry: io::Result<DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    entries.map(number).collect()
}

/// Returns whether the system says that the thread sleeps.
fn sleeps(thread: i32) -> Option<bool> {
    let stat = fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok()?;
    // The name, in parentheses, may have parentheses of its own.
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.trim_start().starts_with('S'))
}
