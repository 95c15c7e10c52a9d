//! The goroutines that have a stack, as any thread may list them.
//!
//! Nothing is registered when a goroutine starts: the fibers are found at the tops of the stacks
//! (see `stack`), and what other threads may read of a fiber is atomic (see [`Fiber::see`]). The
//! listing stops no goroutine. So it is no picture of one moment: each goroutine is seen at a
//! moment of its own, one that starts or ends meanwhile may be missing, and a goroutine's state may
//! be a moment old.

#[cfg(target_os = "linux")]
pub(crate) use linux::Listing;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::Listing;

use std::time::Duration;

use super::label::Site;
use super::runtime::Runtime;
use crate::stack::Extent;

/// A goroutine as another thread has seen it.
pub(crate) struct Listed<'a> {
    /// The number of its stack: no two goroutines have the same at a time.
    pub(crate) number: usize,
    pub(crate) name: Option<&'a str>,
    pub(crate) spawned_at: Site,
    /// Where the goroutine was spawned that has spawned it.
    pub(crate) spawner: Option<Site>,
    /// The index of its worker.
    pub(crate) worker: usize,
    pub(crate) state: State,
    /// How long ago the goroutine has run, to within some 0.1 s.
    pub(crate) since: Duration,
    pub(crate) stack: Extent,
    /// The address of its task.
    pub(crate) task: usize,
    /// The group that it is in (see `wait::in_group`), or 0.
    pub(crate) group: usize,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// It runs, and may hold its worker.
    Running(Option<Hold>),
    Runnable,
    /// It waits, for what the word says that its wait has written.
    Waiting(u64),
}

/// What is known of a goroutine that holds its worker.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hold {
    /// How long the goroutine has held the worker, to within some 10 ms.
    pub(crate) lasted: Duration,
    /// The system call that the goroutine is in.
    pub(crate) system_call: Option<String>,
}

/// Calls `f` for each goroutine that has a stack. `f` must neither start nor end a goroutine, nor
/// wait for a thread that does.
pub(crate) fn for_each(runtime: &Runtime, mut f: impl FnMut(Listed<'_>)) {
    let mut listing = Listing::new(runtime);
    while listing.next(&mut f) {}
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::HashMap;
    use std::ptr::NonNull;

    use super::{Hold, Listed, State};
    use crate::clock;
    use crate::sched::fiber::{Fiber, RUNNABLE, Seen};
    use crate::sched::label::{self, Label};
    use crate::sched::load;
    use crate::sched::runtime::Runtime;
    use crate::sched::shared::WorkerShared;
    use crate::sched::tuning::{PERIOD, TICK};
    use crate::stack;

    /// A listing that goes on where it has stopped.
    pub(crate) struct Listing<'a> {
        runtime: &'a Runtime,
        /// What the workers run, by their indices. Of goroutines with the same label on a worker,
        /// which one it runs cannot be seen. (The labels are compared, and not read.)
        running: HashMap<(usize, Label), Option<Hold>>,
        /// The address from which the slabs of stacks have yet to be listed.
        from: usize,
    }

    impl<'a> Listing<'a> {
        pub(crate) fn new(runtime: &'a Runtime) -> Listing<'a> {
            // The clock may stand still, if the monitor sleeps.
            runtime.advance_clock(clock::now());
            let running = |worker: &WorkerShared| {
                let turn = worker.stats.turn();
                let label = worker.stats.running()?;
                let hold = worker.stats.held_since().map(|since| Hold {
                    lasted: TICK * runtime.tick().wrapping_sub(since),
                    system_call: worker.system_call(),
                });
                // Another goroutine may run by now, to which the system call belongs.
                let hold = hold.filter(|_| worker.stats.turn() == turn);
                Some(((worker.index(), label), hold))
            };
            Listing {
                runtime,
                running: runtime.workers().filter_map(running).collect(),
                from: 0,
            }
        }

        /// Calls `f` for some more goroutines, a thousand at most. Returns whether there may be
        /// others. `f` must neither start nor end a goroutine, nor wait for a thread that does.
        pub(crate) fn next(&mut self, mut f: impl FnMut(Listed<'_>)) -> bool {
            let period = self.runtime.period();
            // While this is held, names that are read below are not freed.
            let labels = label::reading();
            let next = stack::for_each_carved_of_slab(
                self.from,
                |number, stack, place: NonNull<Fiber>| {
                    // SAFETY: the stack exists during this call, which the table's lock makes sure
                    // of. Its memory is zeroed until its worker makes a fiber at this place.
                    // Nothing else is ever carved out of a stack, so after that there is this
                    // fiber, or one before it.
                    let Some(seen) = (unsafe { Fiber::see(place) }) else {
                        return;
                    };
                    let Seen { label, worker, .. } = seen;
                    // SAFETY: `Fiber::see` has just read the label in a fiber, and `labels` was
                    // made before.
                    let (spawned_at, name) = unsafe { labels.read(label) };
                    let state = match seen.waiting {
                        RUNNABLE => match self.running.remove(&(worker, label)) {
                            Some(hold) => State::Running(hold),
                            None => State::Runnable,
                        },
                        waiting => State::Waiting(waiting),
                    };
                    let periods = match seen.active_in {
                        load::NEVER => 0,
                        // (The goroutine may have run in a period that began after `period` was
                        // read.)
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
                        spawner: seen.spawner,
                        worker,
                        state,
                        since: TICK * PERIOD * periods,
                        stack,
                        task: seen.task,
                        group: seen.group,
                    });
                },
            );
            match next {
                Some(from) => self.from = from,
                None => return false,
            }
            true
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use super::Listed;
    use crate::sched::runtime::Runtime;

    /// A listing of no goroutine: on this system the stacks cannot be listed.
    pub(crate) struct Listing;

    impl Listing {
        pub(crate) fn new(_: &Runtime) -> Listing {
            Listing
        }

        pub(crate) fn next(&mut self, _: impl FnMut(Listed<'_>)) -> bool {
            false
        }
    }
}
