//! What is counted of a worker for `debug::metrics`, away from the paths that goroutines take all
//! the time.
//!
//! Two figures are sampled, at the monitor's ticks. *Busy time*: a worker that runs a goroutine at
//! a tick counts as busy since the tick before. *Latency*, the time that goroutines are runnable
//! before they run, is sampled in two ways, each at most once between two ticks:
//!
//! - If a worker runs a goroutine, the monitor notes the time and the end of the worker's run queue
//!   (it opens a [`Probe`]). The worker measures how long it takes until a goroutine would run that
//!   had been queued there at that moment. It checks that where a round ends; while a probe is open
//!   it lets the round end with the turn at which the place may come up.
//! - A thread that wakes the sleeping worker notes the time, and the worker, when it is awake,
//!   measures how long that took.
//!
//! ```text
//!   monitor   tick: open ........................................ tick: open ...
//!                     \                                               \
//!   worker    runs ... end of a round: place reached? no ... yes: record, close
//! ```
//!
//! The other counters are written by the worker, where it steals, sleeps or wakes up.

use std::time::{Duration, Instant};

use super::stats::WorkerStats;
use crate::clock;
use crate::primitives::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The upper bounds of the histogram's buckets, in nanoseconds. A last bucket has no bound.
#[rustfmt::skip]
pub(crate) const BOUNDS: [u64; 25] = [
    100, 200, 500,
    1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000, 100_000_000,
    200_000_000, 500_000_000,
    1_000_000_000, 2_000_000_000, 5_000_000_000, 10_000_000_000,
];
pub(crate) const BUCKETS: usize = BOUNDS.len() + 1;

pub(super) struct Tally {
    /// When the worker was made. Moments below are in nanoseconds since then.
    base: Instant,
    /// Nanoseconds for which the worker counts as busy. The monitor writes this.
    busy: AtomicU64,
    /// Numbers of successful searches in other queues, and of sleeps that other threads have ended.
    /// The worker writes these.
    steals: AtomicU64,
    wakeups: AtomicU64,
    probe: Probe,
    /// [`READY`], if a thread that wakes the worker is to note when; or that moment; or 0. The
    /// monitor writes `READY`, a thread that wakes the worker writes the moment, the worker 0.
    woken: AtomicU64,
    /// Latencies. The worker writes these.
    samples: [AtomicU64; BUCKETS],
    /// The sum of the latencies, in nanoseconds.
    sum: AtomicU64,
}

const READY: u64 = u64::MAX;

/// A place in the run queue whose turn is awaited.
#[derive(Default)]
struct Probe {
    /// The moment at which the end of the run queue was at `place`; 0 if the probe is closed. The
    /// monitor opens a closed probe, and the worker closes an open one.
    since: AtomicU64,
    /// The number of the fiber that would have been pushed next.
    place: AtomicUsize,
}

/// What a worker does about an open probe.
pub(super) enum Probed {
    /// The place has been reached, and the latency is recorded.
    Reached,
    /// The place has not been reached; the number of fibers ahead of it.
    Ahead(usize),
}

/// Adds to a counter that only the calling thread writes.
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
}

impl Tally {
    pub(super) fn new() -> Tally {
        Tally {
            base: clock::now(),
            busy: AtomicU64::new(0),
            steals: AtomicU64::new(0),
            wakeups: AtomicU64::new(0),
            probe: Probe::default(),
            woken: AtomicU64::new(READY),
            samples: [const { AtomicU64::new(0) }; BUCKETS],
            sum: AtomicU64::new(0),
        }
    }

    /// Returns a moment in nanoseconds since `base`, but not 0.
    fn moment(&self, now: Instant) -> u64 {
        (now.saturating_duration_since(self.base).as_nanos() as u64).max(1)
    }

    // --- for the monitor ---

    /// Takes the samples of a tick, the last of which was `passed` ago.
    pub(super) fn sample(&self, stats: &WorkerStats, passed: Duration, now: Instant) {
        let _ = self
            .woken
            .compare_exchange(0, READY, Ordering::Relaxed, Ordering::Relaxed);
        if stats.running().is_none() {
            return;
        }
        add(&self.busy, passed.as_nanos() as u64);
        if self.probe.since.load(Ordering::Relaxed) == 0 {
            self.probe
                .place
                .store(stats.run_queue.pushed(), Ordering::Relaxed);
            // Release: the worker that sees the moment sees the place.
            self.probe.since.store(self.moment(now), Ordering::Release);
        }
    }

    // --- for a thread that wakes the worker ---

    /// Notes that the calling thread wakes the sleeping worker, if a sample is due.
    pub(super) fn note_waking(&self) {
        if self.woken.load(Ordering::Relaxed) == READY {
            let now = self.moment(clock::now());
            self.woken.store(now, Ordering::Relaxed);
        }
    }

    // --- for the worker ---

    /// Returns whether a probe is open.
    #[inline]
    pub(super) fn is_probed(&self) -> bool {
        self.probe.since.load(Ordering::Relaxed) != 0
    }

    /// Closes the open probe and records its latency, if the worker has popped all fibers ahead of
    /// its place.
    #[cold]
    pub(super) fn check_probe(&self, popped: usize) -> Probed {
        let since = self.probe.since.load(Ordering::Acquire);
        let place = self.probe.place.load(Ordering::Relaxed);
        match place.wrapping_sub(popped).cast_signed() {
            ahead @ 1.. => Probed::Ahead(ahead.cast_unsigned()),
            _ => {
                self.record(self.moment(clock::now()).saturating_sub(since));
                self.probe.since.store(0, Ordering::Relaxed);
                Probed::Reached
            }
        }
    }

    /// Notes that the worker is awake after a sleep that began at `since`.
    pub(super) fn note_awake(&self, since: Instant) {
        let woken = self.woken.load(Ordering::Relaxed);
        if woken == 0 || woken == READY {
            return;
        }
        // The thread that ended an earlier sleep may have noted the moment only after that sleep.
        if woken >= self.moment(since) {
            self.record(self.moment(clock::now()).saturating_sub(woken));
        }
        self.woken.store(0, Ordering::Relaxed);
    }

    pub(super) fn count_steal(&self) {
        add(&self.steals, 1);
    }

    /// Counts a sleep that another thread has ended.
    pub(super) fn count_wakeup(&self) {
        add(&self.wakeups, 1);
    }

    fn record(&self, nanoseconds: u64) {
        let bucket = BOUNDS.partition_point(|&bound| bound < nanoseconds);
        add(&self.samples[bucket], 1);
        add(&self.sum, nanoseconds);
    }

    // --- for all ---

    /// Returns how long ago the worker was made.
    pub(super) fn age(&self) -> Duration {
        clock::now().saturating_duration_since(self.base)
    }

    pub(super) fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy.load(Ordering::Relaxed))
    }

    pub(super) fn steals(&self) -> u64 {
        self.steals.load(Ordering::Relaxed)
    }

    pub(super) fn wakeups(&self) -> u64 {
        self.wakeups.load(Ordering::Relaxed)
    }

    /// Adds the latencies to those of other workers: their number by bucket, and their sum.
    pub(super) fn add_latencies(&self, samples: &mut [u64; BUCKETS], sum: &mut Duration) {
        for (all, own) in samples.iter_mut().zip(&self.samples) {
            *all += own.load(Ordering::Relaxed);
        }
        *sum += Duration::from_nanos(self.sum.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(tally: &Tally) -> (Vec<usize>, Duration) {
        let (mut samples, mut sum) = ([0; BUCKETS], Duration::ZERO);
        tally.add_latencies(&mut samples, &mut sum);
        let buckets = (0..BUCKETS).filter(|&bucket| samples[bucket] > 0);
        (buckets.collect(), sum)
    }

    #[test]
    fn a_bucket_includes_its_bound() {
        for (bucket, bound) in BOUNDS.into_iter().enumerate() {
            let tally = Tally::new();
            tally.record(bound);
            tally.record(bound + 1);
            let sum = Duration::from_nanos(2 * bound + 1);
            assert_eq!(samples(&tally), (vec![bucket, bucket + 1], sum));
        }
    }

    #[test]
    fn a_probe_is_open_until_its_place_is_reached() {
        let tally = Tally::new();
        tally.probe.place.store(5, Ordering::Relaxed);
        tally.probe.since.store(1, Ordering::Relaxed);
        assert!(matches!(tally.check_probe(2), Probed::Ahead(3)));
        assert!(tally.is_probed());
        assert!(matches!(tally.check_probe(5), Probed::Reached));
        assert!(!tally.is_probed());
        assert_eq!(samples(&tally).0.len(), 1);
        // The counts of the run queue wrap.
        tally.probe.place.store(1, Ordering::Relaxed);
        tally.probe.since.store(1, Ordering::Relaxed);
        assert!(matches!(tally.check_probe(usize::MAX), Probed::Ahead(2)));
        assert!(matches!(tally.check_probe(2), Probed::Reached));
    }

    /// A thread may come late with its note of a wake-up, in a later sleep of the worker.
    #[test]
    fn a_wake_up_from_an_earlier_sleep_is_no_sample() {
        let tally = Tally::new();
        tally.note_waking();
        let later = tally.base + Duration::from_secs(1000);
        tally.note_awake(later);
        assert_eq!(samples(&tally), (vec![], Duration::ZERO));
        // None is due before the monitor's next tick.
        tally.note_waking();
        tally.note_awake(tally.base);
        assert_eq!(samples(&tally), (vec![], Duration::ZERO));
        tally.sample(&WorkerStats::default(), Duration::ZERO, tally.base);
        tally.note_waking();
        tally.note_awake(tally.base);
        assert_eq!(samples(&tally).0.len(), 1);
        assert!(!tally.is_probed(), "the worker ran nothing");
    }
}
