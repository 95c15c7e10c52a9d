//! Profiles: which kinds of goroutines use the workers' CPU time. A kind is a spawn site and a
//! name.
//!
//! While a profile is being made, the monitor samples, at each tick, which goroutine each worker
//! runs, and adds the CPU time that the worker's thread has used since the last sample to that
//! goroutine's kind. A goroutine that the system has preempted or blocked has used none. If the
//! worker sleeps at the tick, or its goroutine is blocked in the system, another goroutine has used
//! the time. It is *carried* over to the worker's next sample then: samples meet the goroutines of
//! a worker as often as they compute.
//!
//! Each profile has its own [`Collector`], with a lock that the monitor only tries: a sample that
//! finds it locked is left out, and the next one includes all that has been used since.

use std::collections::HashMap;
use std::panic::Location;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

use super::label::{self, Label};
use super::runtime::Runtime;
use super::shared::WorkerShared;
use crate::clock;
use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::primitives::mutex::lock;

/// Maximum number of kinds in a profile. The goroutines of further kinds go by their spawn sites
/// only, so that names that are never the same twice need no more memory than this.
const MOST_KINDS: usize = 1000;

/// A spawn site and a name; `None` is the worker's own loop.
pub(crate) type Kind = Option<(&'static Location<'static>, Option<String>)>;

/// What the goroutines of a kind have used.
#[derive(Clone, Copy, Default)]
pub(crate) struct Use {
    pub(crate) cpu: Duration,
    /// Number of samples that have met one of them while it computed.
    pub(crate) samples: u64,
}

/// A profile that is being made. It is made until this is dropped.
pub(crate) struct Profiling(Arc<Collector>);

/// What a profile has seen.
pub(crate) struct Collected {
    pub(crate) kinds: HashMap<Kind, Use>,
    /// CPU time that was carried over until the end.
    pub(crate) unattributed: Duration,
    pub(crate) duration: Duration,
}

/// All profiles that are being made.
static ALL: Mutex<Vec<Arc<Collector>>> = Mutex::new(Vec::new());
/// The number of profiles in [`ALL`].
static COUNT: AtomicUsize = AtomicUsize::new(0);

struct Collector(Mutex<State>);

struct State {
    begun: Instant,
    /// When the profile ends; `None` is never.
    until: Option<Instant>,
    last: Instant,
    has_ended: bool,
    workers: Vec<Seen>,
    kinds: HashMap<Kind, Use>,
}

/// What a profile has last seen of a worker.
#[derive(Default)]
struct Seen {
    cpu: Duration,
    carried: Duration,
}

impl Profiling {
    /// Begins a profile that ends at `until`, or when it is collected.
    pub(crate) fn begin(runtime: &Runtime, until: Option<Instant>) -> Profiling {
        let now = clock::now();
        let seen = |worker: &WorkerShared| Seen {
            cpu: worker.computed().unwrap_or_default(),
            carried: Duration::ZERO,
        };
        let collector = Arc::new(Collector(Mutex::new(State {
            begun: now,
            until,
            last: now,
            has_ended: false,
            workers: runtime.workers().map(seen).collect(),
            kinds: HashMap::new(),
        })));
        lock(&ALL).push(Arc::clone(&collector));
        COUNT.fetch_add(1, Ordering::Relaxed);
        Profiling(collector)
    }

    /// Ends the profile, and returns what it has seen.
    pub(crate) fn collect(self, runtime: &Runtime) -> Collected {
        let labels = label::reading();
        let mut state = lock(&self.0.0);
        state.sample(runtime, clock::now(), |label| {
            // SAFETY: `State::sample` reads the label in a worker's counters just before it calls
            // this, and `labels` was made before.
            let (site, name) = unsafe { labels.read(label) };
            (site, name.map(str::to_owned))
        });
        Collected {
            kinds: std::mem::take(&mut state.kinds),
            unattributed: state.workers.iter().map(|seen| seen.carried).sum(),
            duration: state.last - state.begun,
        }
    }
}

impl Drop for Profiling {
    fn drop(&mut self) {
        lock(&ALL).retain(|collector| !Arc::ptr_eq(collector, &self.0));
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes a sample for each profile that is being made. The monitor calls this at each tick.
///
/// # Safety
/// Until this returns, no name is freed whose label a worker's counters have now or later.
pub(super) unsafe fn sample(runtime: &Runtime, now: Instant) {
    if COUNT.load(Ordering::Relaxed) == 0 {
        return;
    }
    for collector in &*lock(&ALL) {
        let mut state = match collector.0.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(state)) => state.into_inner(),
            Err(TryLockError::WouldBlock) => continue,
        };
        state.sample(runtime, now, |label| {
            // SAFETY: `State::sample` has just read the label in a worker's counters, and the
            // caller makes sure that its name is not freed meanwhile.
            let (site, name) = unsafe { label.read() };
            (site, name.map(str::to_owned))
        });
    }
}

impl State {
    /// Takes a sample. `read`, which reads a label, is called with labels of goroutines that
    /// workers run now.
    fn sample(
        &mut self,
        runtime: &Runtime,
        now: Instant,
        read: impl Fn(Label) -> (&'static Location<'static>, Option<String>),
    ) {
        let passed = now.saturating_duration_since(self.last);
        if self.has_ended || passed.is_zero() {
            return;
        }
        self.last = now;
        self.has_ended = self.until.is_some_and(|until| until <= now);
        for (index, worker) in runtime.workers().enumerate() {
            if self.workers.len() <= index {
                // The worker was added meanwhile, so all that its thread has used counts.
                self.workers.push(Seen::default());
            }
            let seen = &mut self.workers[index];
            let cpu = worker.computed();
            let running = worker.stats.running();
            let used = match cpu {
                Some(cpu) => cpu.saturating_sub(std::mem::replace(&mut seen.cpu, cpu)),
                // On systems that do not say what another thread has used, a goroutine that runs
                // counts as computing.
                None if running.is_some() => passed,
                None => Duration::ZERO,
            };
            seen.carried += used;
            if worker.sleep.is_asleep() || used.is_zero() {
                continue;
            }
            // A thread that has computed for most of the time is not asked for its state, which
            // takes some 10 us.
            let is_blocked = || cpu.is_some() && worker.is_blocked() == Some(true);
            if running.is_some() && used < passed * 4 / 5 && is_blocked() {
                continue;
            }
            let used = std::mem::take(&mut seen.carried);
            let mut kind = running.map(&read);
            if self.kinds.len() >= MOST_KINDS
                && !self.kinds.contains_key(&kind)
                && let Some((_, name)) = &mut kind
            {
                *name = None;
            }
            let sum = self.kinds.entry(kind).or_default();
            sum.cpu += used;
            sum.samples += 1;
        }
    }
}
