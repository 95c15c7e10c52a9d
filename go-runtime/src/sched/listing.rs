//! The goroutines that have a stack, as any thread may list them.
//!
//! Nothing is registered when a goroutine starts: the fibers are found at the tops of the stacks
//! (see `stack`), and what other threads may read of a fiber is atomic (see [`Fiber::see`]). The
//! listing stops no goroutine. So it is no picture of one moment: each goroutine is seen at a
//! moment of its own, one that starts or ends meanwhile may be missing, and a goroutine's state may
//! be a moment old.

use std::collections::HashSet;
use std::ptr::NonNull;
use std::time::Duration;

use super::fiber::{Fiber, RUNNABLE, Seen};
use super::label::{self, Label, Site};
use super::load;
use super::runtime::Runtime;
use super::tuning::{PERIOD, TICK};
use crate::clock;
use crate::stack::{self, Extent};

/// A goroutine as another thread has seen it.
pub(crate) struct Listed<'a> {
    /// The number of its stack: no two goroutines have the same at a time.
    pub(crate) number: usize,
    pub(crate) name: Option<&'a str>,
    pub(crate) spawned_at: Site,
    /// The index of its worker.
    pub(crate) worker: usize,
    pub(crate) state: State,
    /// How long ago it has run, to within some 0.1 s.
    pub(crate) since: Duration,
    pub(crate) stack: Extent,
    /// The address of its task.
    pub(crate) task: usize,
    /// The group that it is in (see `wait::in_group`), or 0.
    pub(crate) group: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    Runnable,
    /// It waits, for what the word says that its wait has written.
    Waiting(u64),
}

/// Calls `f` for each goroutine that has a stack. `f` must neither start nor end a goroutine, nor
/// wait for a thread that does.
#[cfg(target_os = "linux")]
pub(crate) fn for_each(runtime: &Runtime, mut f: impl FnMut(Listed<'_>)) {
    // The clock may stand still, if the monitor sleeps.
    runtime.advance_clock(clock::now());
    let period = runtime.period();
    // While this is held, names that are read below are not freed.
    let labels = label::reading();
    // Of goroutines with the same label on a worker, which one it runs cannot be seen, nor does it
    // matter.
    let mut running: HashSet<(usize, Label)> = runtime
        .workers()
        .filter_map(|worker| Some((worker.index(), worker.stats.running()?)))
        .collect();
    stack::for_each_carved(|number, stack, place: NonNull<Fiber>| {
        // SAFETY: the stack exists during the call, and fibers are the only things that are carved
        // out of stacks.
        let Some(seen) = (unsafe { Fiber::see(place) }) else {
            return;
        };
        let Seen { label, worker, .. } = seen;
        // SAFETY: the label was read while `labels` is held.
        let (spawned_at, name) = unsafe { labels.read(label) };
        let state = match seen.waiting {
            RUNNABLE if running.remove(&(worker, label)) => State::Running,
            RUNNABLE => State::Runnable,
            waiting => State::Waiting(waiting),
        };
        let periods = match seen.active_in {
            load::NEVER => 0,
            // (The goroutine may have run in a period that began after `period` was read.)
            last => period
                .wrapping_sub(last)
                .cast_signed()
                .max(0)
                .cast_unsigned(),
        };
        f(Listed {
            number,
            name,
            spawned_at,
            worker,
            state,
            since: TICK * PERIOD * periods,
            stack,
            task: seen.task,
            group: seen.group,
        });
    });
}

/// Calls `f` for no goroutine: on this system the stacks cannot be listed.
#[cfg(not(target_os = "linux"))]
pub(crate) fn for_each(_: &Runtime, _: impl FnMut(Listed<'_>)) {}
