//! The monitor: a thread that notices workers which one goroutine holds for long, and sees to it
//! that the other goroutines do not suffer.
//!
//! It reads each worker's counters every few milliseconds, so a switch needs no clock. A worker
//! that has run the same goroutine for 10 ms is *held* if the goroutine computes, or is blocked in
//! the system (not if the system has merely preempted the thread). A held worker accepts no tasks
//! until that turn ends. If a task waits meanwhile and no worker sleeps, the monitor adds a worker,
//! so that GOMAXPROCS of them accept tasks. When there are too many for 100 ms, an added one
//! *retires*: it runs what has started on it, and accepts nothing new. The monitor also notes the
//! spawn sites of goroutines that hold workers (see `reputation`), and reports those that block one
//! for long while others wait for it (see `report`). When all workers sleep the
//! monitor sleeps as well, until the first of them gets up.
//!
//! [`Watcher`] belongs to the monitor's thread; the workers use [`Monitor::note_awake`] only.

use std::io;
use std::mem;
use std::sync::OnceLock;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::label;
use super::load;
use super::nap::Nap;
use super::report::{Culprit, Reports};
use super::reputation::Record;
use super::runtime::{Queue, Runtime};
use super::seat::Seat;
use super::task::MonitorTick;
use super::worker::patience;
use crate::clock;
use crate::primitives::uncaptured;

/// Time between two looks of the monitor: a look costs some 5 us (`overload`), so they take a
/// thousandth of a processor.
const TICK: Duration = Duration::from_millis(5);
/// How long a goroutine may keep a worker from others: Go preempts one after this time, too.
const HELD_AFTER: Duration = Duration::from_millis(10);
/// How long a surplus of workers lasts before one retires, and a hold before it is reported while
/// it goes on. It is also the time between two requests to the workers to give memory back.
const LONG: Duration = Duration::from_millis(100);

/// How long a goroutine blocks its worker's thread, while others wait, before that is reported.
const BLOCKED_FOR_LONG: Duration = Duration::from_secs(1);

/// Most workers beyond GOMAXPROCS that are added for tasks of spawn sites with a reputation and
/// that are not held. Handlers that hold their worker once, and then park for long, would otherwise
/// get a thread each.
const SPARE: usize = 8;

pub(super) struct Monitor {
    nap: Nap,
    thread: OnceLock<Thread>,
}

impl Monitor {
    pub(super) fn new() -> Monitor {
        Monitor {
            nap: Nap::new(),
            thread: OnceLock::new(),
        }
    }

    /// Notes that a worker has got up: its inbox does not say any more that it sleeps.
    pub(super) fn note_awake(&self) {
        if self.nap.end()
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Sleeps until a worker gets up, unless one is awake.
    fn nap(&self, runtime: &Runtime) {
        self.nap.begin(|| all_asleep(runtime));
        while self.nap.is_on() {
            thread::park();
        }
    }
}

fn all_asleep(runtime: &Runtime) -> bool {
    runtime.seats().all(|seat| seat.rest.is_asleep())
}

pub(super) fn start(runtime: &'static Runtime) -> io::Result<()> {
    let builder = thread::Builder::new().name("go-monitor".into());
    uncaptured::spawn(builder, move || {
        // Before the first nap, from which it has to be woken.
        let _ = runtime.monitor.thread.set(thread::current());
        Watcher::new(runtime).run();
    })
}

/// What the monitor remembers of a worker.
struct Observation {
    /// The worker's turn; as long as it does not change, the worker runs the same goroutine, or
    /// sleeps.
    turn: usize,
    /// When the turn was first seen.
    since: Instant,
    /// How long the worker's thread had computed at the second look at the same turn.
    computed: Option<Option<Duration>>,
    /// The goroutine, if it is to be reported as one that holds its worker.
    to_report: Option<Culprit>,
}

impl Observation {
    fn new(turn: usize, now: Instant) -> Observation {
        Observation {
            turn,
            since: now,
            computed: None,
            to_report: None,
        }
    }

    /// Returns whether the goroutine, which has run for `lasted`, holds the worker, rather than the
    /// system having preempted its thread.
    fn is_held(&mut self, seat: &Seat, lasted: Duration) -> bool {
        let now = seat.computed();
        let Some(before) = *self.computed.get_or_insert(now) else {
            return lasted >= 2 * HELD_AFTER;
        };
        // A thread that has computed for most of a tick has not been preempted.
        let computing = now.is_some_and(|now| now >= before + TICK * 4 / 5);
        lasted >= HELD_AFTER && (computing || seat.is_blocked().unwrap_or(lasted >= 2 * HELD_AFTER))
    }

    /// Returns whether the goroutine, which has held the worker for `lasted`, has spent that time
    /// blocked in the system, rather than computing or preempted.
    fn is_blocked(&self, seat: &Seat, lasted: Duration) -> bool {
        let computed = seat.computed().zip(self.computed.flatten());
        computed.is_some_and(|(now, before)| now - before < lasted / 10)
            && seat.is_blocked() == Some(true)
    }
}

struct Watcher {
    runtime: &'static Runtime,
    workers: Vec<Observation>,
    reports: Reports,
    /// Since when there have been more workers than needed.
    surplus_since: Option<Instant>,
    /// Since when all workers have slept.
    asleep_since: Option<MonitorTick>,
    /// When the workers were last asked to give memory back.
    trimmed: Instant,
    record: Record,
    /// Since when there have been tasks apart.
    apart_since: Option<Instant>,
    /// The queue of a worker whose thread could not be made.
    spare: Option<Queue>,
}

impl Watcher {
    fn new(runtime: &'static Runtime) -> Watcher {
        Watcher {
            runtime,
            workers: Vec::new(),
            reports: Reports::default(),
            surplus_since: None,
            asleep_since: None,
            trimmed: clock::now(),
            record: Record::default(),
            apart_since: None,
            spare: None,
        }
    }

    fn run(mut self) {
        let mut last = clock::now();
        loop {
            thread::park_timeout(TICK);
            let now = clock::now();
            if now - last > 2 * LONG {
                // The whole process may have been stopped.
                self.workers.clear();
            }
            last = now;
            self.runtime.begin_tick();
            // SAFETY: the monitor is the one thread that reads labels, and it keeps none from one
            // tick to the next (a `Culprit` has a copy).
            unsafe { label::free_names() };
            let mut any_slice_over = false;
            for (index, seat) in self.runtime.seats().enumerate() {
                any_slice_over |= self.look_at(index, seat, now);
            }
            patience::note_slices(any_slice_over);
            self.adjust_workers(now);
            if now - self.trimmed >= LONG {
                self.trimmed = now;
                self.runtime.seats().for_each(Seat::want_trim);
            }
            if all_asleep(self.runtime) {
                let now = self.runtime.tick();
                let since = *self.asleep_since.get_or_insert(now);
                // By then no goroutine counts as active any more: while the monitor naps, periods
                // stand still.
                if now.wrapping_sub(since) > load::ACTIVE_FOR && self.surplus_since.is_none() {
                    // (A nap may last for long; ticks do not count it.)
                    self.record.forgive(&self.runtime.reputation);
                    self.runtime.monitor.nap(self.runtime);
                    self.asleep_since = None;
                    last = clock::now();
                }
            } else {
                self.asleep_since = None;
            }
        }
    }

    /// Returns whether a goroutine has run there for a slice.
    fn look_at(&mut self, index: usize, seat: &Seat, now: Instant) -> bool {
        let turn = seat.books.turn();
        let running = seat.books.running();
        if self.workers.len() <= index {
            self.workers.push(Observation::new(turn, now));
        }
        let watch = &mut self.workers[index];
        let lasted = now - watch.since;
        let (Some(label), true) = (running, watch.turn == turn) else {
            let ended = mem::replace(watch, Observation::new(turn, now));
            if let Some(culprit) = ended.to_report {
                self.reports.held(&culprit, lasted, None);
            }
            return false;
        };
        // SAFETY: read in this tick, after the names of tasks that were gone have been freed.
        let (site, name) = unsafe { label.read() };
        let culprit = || Culprit::new(site, name);
        let slow = self.runtime.debug().slow;
        if !seat.books.is_held() && watch.is_held(seat, lasted) {
            seat.books.set_held(turn);
            watch.to_report = (slow == Some(true)).then(culprit);
        } else if seat.books.is_held()
            && slow.is_none()
            && lasted >= BLOCKED_FOR_LONG
            && !self.reports.has(site)
            && seat.waiting(now) > 0
            && watch.is_blocked(seat, lasted)
        {
            self.reports.blocked(&culprit(), lasted, seat, now);
        }
        if seat.books.is_held() {
            self.record
                .note(&self.runtime.reputation, site, self.runtime.tick());
            if let Some(poller) = seat.poller.get() {
                // Goroutines of other workers may wait for descriptors that are registered there.
                poller.poll();
            }
        }
        // Delayed tasks need not wait for the goroutine that holds the worker.
        while seat.books.is_held() && seat.delayed.is_due(now) {
            self.runtime.queue_due(seat, now);
        }
        if lasted >= LONG
            && let Some(culprit) = watch.to_report.take()
        {
            self.reports.held(&culprit, lasted, Some(seat));
        }
        lasted >= HELD_AFTER
    }

    /// Has enough workers accept goroutines, and not too many.
    fn adjust_workers(&mut self, now: Instant) {
        let runtime = self.runtime;
        let wanted = runtime.workers();
        let accepting = runtime.accepting();
        if accepting <= wanted {
            self.surplus_since = None;
        } else if now - *self.surplus_since.get_or_insert(now) >= LONG {
            runtime.retire_one();
        }
        // A sleeping worker watches the tasks (see `placement`), or has been called.
        if accepting < wanted && runtime.has_unstarted() && !runtime.sleeps_any() {
            // If the system has no thread to give, the next look tries again.
            let _ = runtime.add_worker(false, &mut self.spare);
        }
        self.record.age(&runtime.reputation, runtime.tick());
        self.serve_apart(now);
    }

    /// Finds workers for the tasks that were put apart, or forgives their sites if that takes long.
    fn serve_apart(&mut self, now: Instant) {
        let runtime = self.runtime;
        let apart = &runtime.reputation.apart;
        let waiting = apart.len();
        for seat in runtime.seats().filter(|seat| seat.is_empty()).take(waiting) {
            runtime.call(seat);
        }
        let empty = runtime.seats().filter(|seat| seat.is_empty()).count();
        for _ in empty..waiting {
            let free = runtime.seats().filter(|seat| !seat.books.is_held());
            if free.count() >= runtime.workers() + SPARE
                || runtime.add_worker(true, &mut self.spare).is_err()
            {
                break;
            }
        }
        if waiting == 0 {
            self.apart_since = None;
        } else if now - *self.apart_since.get_or_insert(now) >= 3 * HELD_AFTER {
            self.record.pardon(&runtime.reputation, runtime.tick());
            (0..waiting.min(runtime.active())).for_each(|_| runtime.call_one());
        }
    }
}
