//! The monitor: a thread that notices when a goroutine holds its worker for long, and makes sure
//! that other goroutines do not suffer from it.
//!
//! The monitor reads each worker's counters every few milliseconds, so a switch needs no clock. A
//! worker that has run the same goroutine for 10 ms is *held* if the goroutine computes, or is
//! blocked in the system; it is not held if the system has merely preempted its thread. A held
//! worker accepts no tasks until the goroutine suspends or ends. If a task waits meanwhile and no
//! worker sleeps, the monitor adds a worker, so that GOMAXPROCS workers accept tasks. When too many
//! workers have accepted tasks for 100 ms, an added worker *retires*: it runs the goroutines that
//! have started on it, and accepts no new ones. The monitor also notes the spawn sites of
//! goroutines that hold workers (see `holding_sites`), and reports goroutines that block a worker
//! for long while others wait for it (see `report`). When all workers sleep, the monitor sleeps as
//! well, until the first of them wakes up.
//!
//! ```text
//!   every tick:  read every worker ---> held? ---> note its spawn site, poll for it, report it
//!                      |
//!                      v
//!                too few accept tasks? add one    too many for long? retire one
//!                      |
//!                      v
//!                all asleep for a while? sleep until a worker wakes up
//! ```
//!
//! [`Watcher`] belongs to the monitor's thread; the workers use [`Runtime::note_awake`] only.

use std::io;
use std::mem;
use std::thread;
use std::time::{Duration, Instant};

use super::checks;
use super::hiring;
use super::holding_sites::Record;
use super::label;
use super::load;
#[cfg(target_os = "linux")]
use super::overflow;
use super::profile;
use super::recording::{self, Kind};
use super::report::{HoldingGoroutine, Reports};
use super::runtime::{Queue, Runtime};
use super::shared::WorkerShared;
use super::silence;
use super::task::MonitorTick;
use super::tuning::{BLOCKED_FOR_LONG, HELD_AFTER, LONG, SPARE_WORKERS, TICK};
use super::worker::fairness;
use crate::clock;
use crate::primitives::uncaptured;

/// Starts the monitor's thread.
///
/// # Errors
/// Returns the system's error if it cannot make a thread.
pub(super) fn start(runtime: &'static Runtime) -> io::Result<()> {
    let builder = thread::Builder::new().name("go-monitor".into());
    uncaptured::spawn(builder, move || {
        // The thread is stored before the monitor's first sleep, because a worker wakes the monitor
        // through it.
        let _ = runtime.monitor_thread.set(thread::current());
        Watcher::new(runtime).run();
    })
}

/// The monitor's record of a worker.
struct Observation {
    /// The worker's turn; as long as it does not change, the worker runs the same goroutine, or
    /// sleeps.
    turn: usize,
    /// When the turn was first seen.
    since: Instant,
    /// CPU time that the worker's thread had used when the monitor saw the same turn a second time.
    computed: Option<Option<Duration>>,
    /// The goroutine, if it is to be reported because it holds its worker.
    to_report: Option<HoldingGoroutine>,
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
    fn is_held(&mut self, worker: &WorkerShared, lasted: Duration) -> bool {
        let now = worker.computed();
        let Some(before) = *self.computed.get_or_insert(now) else {
            return lasted >= 2 * HELD_AFTER;
        };
        // A thread that computed for most of a tick was not preempted meanwhile.
        let computing = now.is_some_and(|now| now >= before + TICK * 4 / 5);
        lasted >= HELD_AFTER
            && (computing || worker.is_blocked().unwrap_or(lasted >= 2 * HELD_AFTER))
    }

    /// Returns whether the goroutine, which has held the worker for `lasted`, has spent that time
    /// blocked in the system, rather than computing or preempted.
    fn is_blocked(&self, worker: &WorkerShared, lasted: Duration) -> bool {
        let computed = worker.computed().zip(self.computed.flatten());
        computed.is_some_and(|(now, before)| now - before < lasted / 10)
            && worker.is_blocked() == Some(true)
    }
}

struct Watcher {
    runtime: &'static Runtime,
    workers: Vec<Observation>,
    reports: Reports,
    /// When more workers than needed were first seen.
    surplus_since: Option<Instant>,
    /// The tick at which all workers were first seen asleep.
    asleep_since: Option<MonitorTick>,
    /// When the workers were last asked to give memory back.
    trimmed: Instant,
    /// When the next of the `checks` is due.
    check_at: Instant,
    record: Record,
    /// When tasks were first seen quarantined.
    quarantined_since: Option<Instant>,
    /// The queue of a worker whose thread could not be made, to be used for the next worker.
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
            check_at: clock::now(),
            record: Record::default(),
            quarantined_since: None,
            spare: None,
        }
    }

    fn run(mut self) {
        let mut last = clock::now();
        loop {
            thread::park_timeout(TICK);
            let now = clock::now();
            let passed = now - last;
            if passed > 2 * LONG {
                // The system may have stopped the whole process for a while, so the observations
                // are of no use.
                self.workers.clear();
            } else {
                // Before the clock advances, which lets rounds end, where workers see the probes.
                for worker in self.runtime.workers() {
                    worker.tally.sample(&worker.stats, passed, now);
                }
            }
            last = now;
            self.runtime.advance_clock(now);
            // SAFETY: the monitor is the only thread that reads labels of other threads'
            // goroutines without `label::reading`, and it keeps none from one tick to the next: a
            // `HoldingGoroutine` has a copy of the name.
            unsafe { label::free_names() };
            #[cfg(target_os = "linux")]
            overflow::dump_if_wanted();
            // SAFETY: the monitor alone frees names, and has done so in this tick, so the options
            // of a label that `sample` reads from now on stay until the next tick. `sample` keeps
            // copies.
            unsafe { profile::sample(self.runtime, now) };
            let mut any_slice_over = false;
            for (index, worker) in self.runtime.workers().enumerate() {
                any_slice_over |= self.observe(index, worker, now);
            }
            fairness::note_slices(any_slice_over);
            self.adjust_workers(now);
            if now - self.trimmed >= LONG {
                self.trimmed = now;
                self.runtime.workers().for_each(WorkerShared::want_trim);
            }
            if now >= self.check_at {
                self.check_at = now + checks::run();
            }
            if self.runtime.all_asleep() {
                let now = self.runtime.tick();
                let since = *self.asleep_since.get_or_insert(now);
                // The monitor sleeps only after so many ticks that no goroutine counts as active
                // any more, because periods do not advance while it sleeps.
                if now.wrapping_sub(since) > load::ACTIVE_FOR && self.surplus_since.is_none() {
                    // (The sleep may last for long, and no site expires during it, so all do now.)
                    self.record.clear(&self.runtime.holding_sites);
                    self.sleep();
                    self.asleep_since = None;
                    last = clock::now();
                }
            } else {
                self.asleep_since = None;
            }
        }
    }

    /// Sleeps until a worker wakes up, unless a worker is awake.
    fn sleep(&self) {
        let runtime = self.runtime;
        runtime.monitor_sleep.begin(|| runtime.all_asleep());
        silence::last(runtime);
    }

    /// Observes a worker and acts on it. Returns whether a goroutine has run there for a whole
    /// slice.
    fn observe(&mut self, index: usize, worker: &WorkerShared, now: Instant) -> bool {
        let turn = worker.stats.turn();
        let running = worker.stats.running();
        if self.workers.len() <= index {
            self.workers.push(Observation::new(turn, now));
        }
        let watch = &mut self.workers[index];
        let lasted = now - watch.since;
        let (Some(label), true) = (running, watch.turn == turn) else {
            let ended = mem::replace(watch, Observation::new(turn, now));
            if let Some(goroutine) = ended.to_report {
                self.reports.held(&goroutine, lasted, None);
            }
            return false;
        };
        // SAFETY: the label was read in this tick, after `free_names`: so its task had not been
        // freed by then. The options of a task that is freed since then stay in the list until the
        // monitor, which runs this, calls `free_names` in its next tick.
        let (site, name) = unsafe { label.read() };
        let goroutine = || HoldingGoroutine::new(site, name);
        let slow = self.runtime.debug().slow;
        if !worker.stats.is_held() && watch.is_held(worker, lasted) {
            let ticks = lasted.as_nanos() / TICK.as_nanos();
            let since = self.runtime.tick().wrapping_sub(ticks as MonitorTick);
            worker.stats.set_held(turn, since);
            if recording::is_on() {
                recording::record(Kind::Held, index as u64, Some(site));
            }
            watch.to_report = (slow == Some(true)).then(goroutine);
        } else if worker.stats.is_held()
            && slow.is_none()
            && lasted >= BLOCKED_FOR_LONG
            && !self.reports.has(site)
            && worker.waiting(now) > 0
            && watch.is_blocked(worker, lasted)
        {
            self.reports.blocked(&goroutine(), lasted, worker, now);
        }
        if worker.stats.is_held() {
            self.record
                .note(&self.runtime.holding_sites, site, self.runtime.tick());
            if let Some(poller) = worker.poller.get() {
                // Other workers' goroutines may wait for descriptors registered with this worker.
                poller.poll();
            }
        }
        // Delayed tasks need not wait for the goroutine that holds the worker.
        while worker.stats.is_held() && worker.delayed.is_due(now) {
            for task in worker.delayed.pop_due(now) {
                self.runtime.inject(task);
            }
        }
        if lasted >= LONG
            && let Some(goroutine) = watch.to_report.take()
        {
            self.reports.held(&goroutine, lasted, Some(worker));
        }
        lasted >= HELD_AFTER
    }

    /// Makes sure that enough workers accept goroutines, and not too many.
    fn adjust_workers(&mut self, now: Instant) {
        let runtime = self.runtime;
        let wanted = runtime.gomaxprocs();
        let accepting = runtime.accepting();
        if accepting <= wanted {
            self.surplus_since = None;
        } else if now - *self.surplus_since.get_or_insert(now) >= LONG {
            hiring::retire_one(runtime);
        }
        // No worker is added while a worker sleeps: the sleeping worker watches the tasks (see
        // `placement`), or is about to wake up.
        if accepting < wanted && runtime.has_unstarted() && !runtime.sleeps_any() {
            // If the system cannot make a thread, the next tick tries again.
            let _ = hiring::add_worker(runtime, false, &mut self.spare);
        }
        self.record.expire(&runtime.holding_sites, runtime.tick());
        self.place_quarantined(now);
    }

    /// Finds workers for the quarantined tasks, or removes all holding sites if that takes too
    /// long.
    fn place_quarantined(&mut self, now: Instant) {
        let runtime = self.runtime;
        let quarantined = &runtime.holding_sites.quarantined;
        let waiting = quarantined.len();
        for worker in runtime
            .workers()
            .filter(|worker| worker.is_empty())
            .take(waiting)
        {
            runtime.notify(worker);
        }
        let empty = runtime.workers().filter(|worker| worker.is_empty()).count();
        for _ in empty..waiting {
            let free = runtime.workers().filter(|worker| !worker.stats.is_held());
            if free.count() >= runtime.gomaxprocs() + SPARE_WORKERS
                || hiring::add_worker(runtime, true, &mut self.spare).is_err()
            {
                break;
            }
        }
        if waiting == 0 {
            self.quarantined_since = None;
        } else if now - *self.quarantined_since.get_or_insert(now) >= 3 * HELD_AFTER {
            self.record
                .clear_and_pause(&runtime.holding_sites, runtime.tick());
            (0..waiting.min(runtime.active())).for_each(|_| runtime.notify_one());
        }
    }
}
