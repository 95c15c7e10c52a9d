//! A simulation of the scheduler on virtual workers, which checks the effects of the decisions of
//! [`placement`](super).
//!
//! A seed determines a run: it draws a number of workers and a workload, and the run plays them
//! through on a virtual clock. The decisions are the real ones (`Survey`, `Watch`,
//! `may_start_anyway`), on the counts that the real `Load` keeps. [`scheduler`] mirrors the rest:
//! a worker's loop and its queues, how workers search, fall asleep and wake each other, and the
//! monitor. [`machine`] owns the clock and the goroutines, and [`workloads`] says what the
//! goroutines do.
//!
//! What is modeled:
//! - The system runs a woken thread, or one whose alarm goes off, 5 to 60 us late, at random. A
//!   switch to a goroutine takes 150 ns, a spawn or a message 200 ns. An idle worker searches
//!   for work every 2 us.
//! - The monitor ticks every 5 ms, notices held workers, and adds and retires workers. It sleeps
//!   while all workers sleep, so the periods of `Load` stand still meanwhile.
//!
//! What is not modeled: two workers that act at the very same time (each search is one event; the
//! model checks are for races), threads that the system preempts, a limited number of processors,
//! holding sites, the capacity of a worker's queue, memory for stacks, pollers, and goroutines that
//! are spawned with a delay.
//!
//! # Properties
//!
//! 1. **A task starts soon while a worker is idle.** A worker is idle if it accepts goroutines,
//!    runs none, and has none that is ready or pinned to it. For each task that any worker may
//!    start, the clock of idleness adds up the time during which the task waited and at least one
//!    worker was idle. The sum is at most [`SOON`], plus [`LINK`] for each task that an idle
//!    worker started meanwhile (counted up to the number of workers): idle workers are woken one
//!    after the other, and each of them keeps a watch of its own.
//! 2. **A pool is spread.** Of GOMAXPROCS goroutines that wait on one channel, each worker gets
//!    exactly one if a survey reads all other workers (at most [`SURVEYED`]), also beside
//!    goroutines that have been parked for more than two periods. With more workers, none gets more
//!    than three. A goroutine and the only one that it spawns, and then waits for, run on different
//!    workers.
//! 3. **Computing goroutines are spread.** They end no later than in the worst case of list
//!    scheduling (Graham 1969: each worker has an equal share of all other goroutines, after which
//!    the longest one starts). If there are at least four goroutines for each worker, they end
//!    within 1.3 times the optimum. Both bounds are extended by the time that it takes to wake the
//!    workers one after the other.
//!
//! # Seeds
//!
//! With `SIMULATION_SEEDS=N` each test runs N seeds. With `SIMULATION_SEED=N` each test runs this
//! seed only, which repeats a failure: its message names the seed.

mod machine;
mod scheduler;
mod workloads;

use std::env;
use std::fmt::{self, Display};
use std::ops::Range;

use fastrand::Rng;

use machine::{LATEST_WAKE_UP, Machine};
use scheduler::SURVEYED;
use workloads::{MS, Nanos, US, Workload, any_scale};

/// How long a task may wait while a worker is idle: 200 us, a wake-up, and a late alarm.
const SOON: Nanos = 200 * US + 2 * LATEST_WAKE_UP;

/// How long the next idle worker takes at most until it starts a task: it is woken, keeps watch
/// for 100 us, and its alarm is late.
const LINK: Nanos = LATEST_WAKE_UP + 100 * US + LATEST_WAKE_UP;

/// Seeds with which `tasks_start_soon` once found a fault. They lose their meaning when the
/// workloads change.
const KEPT: [u64; 10] = [217, 329, 280, 394, 250, 256, 32, 24, 91, 2416];

/// The result of a run.
struct Run {
    seed: u64,
    workers: usize,
    kinds: Vec<&'static str>,
    machine: Machine,
}

impl Run {
    fn new(seed: u64, make: impl FnOnce(&mut Rng, usize) -> Workload) -> Run {
        let mut rng = Rng::with_seed(seed);
        let workers = draw_workers(&mut rng);
        let workload = make(&mut rng, workers);
        let kinds = workload.kinds.clone();
        let mut run = Run {
            seed,
            workers,
            kinds,
            machine: Machine::new(workers, rng, workload),
        };
        if let Err(reason) = run.machine.run() {
            panic!("{run}: {reason}");
        }
        run
    }

    fn check_waits(&self) {
        self.check_waits_within(SOON);
    }

    fn check_waits_within(&self, most: Nanos) {
        let (wait, task) = self.machine.longest_wait;
        assert!(
            wait <= most,
            "{self}: task {task} waited for {} us too long while a worker was idle",
            (wait - most) / US
        );
    }
}

impl Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seed, workers, kinds) = (self.seed, self.workers, &self.kinds);
        write!(f, "SIMULATION_SEED={seed}, {workers} workers, {kinds:?}")
    }
}

fn draw_workers(rng: &mut Rng) -> usize {
    const OFTEN: [usize; 8] = [1, 2, 3, 4, 8, 16, 64, 128];
    if rng.u8(..4) == 0 {
        rng.usize(1..=128)
    } else {
        OFTEN[rng.usize(..OFTEN.len())]
    }
}

/// The seeds that a test runs: the first `count`, unless the environment says otherwise.
fn seeds(count: u64) -> Range<u64> {
    let variable = |name| env::var(name).ok()?.parse::<u64>().ok();
    match variable("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..variable("SIMULATION_SEEDS").unwrap_or(count),
    }
}

fn run_mixed(seed: u64) -> Run {
    Run::new(seed, |rng, workers| Workload::mixed(rng, workers, 20 * MS))
}

#[test]
fn tasks_start_soon() {
    for seed in KEPT.into_iter().chain(seeds(80)) {
        run_mixed(seed).check_waits();
    }
}

/// Here tasks wait nearly all the time, so a worker's watch hardly ever ends, and most idle workers
/// were woken for other tasks. So a task may wait for another 100 us.
#[test]
fn tasks_start_soon_in_a_stream() {
    for seed in seeds(10) {
        let stream = |rng: &mut Rng, workers| Workload::stream(rng, workers, 200 * MS);
        Run::new(seed, stream).check_waits_within(SOON + 100 * US);
    }
}

/// Four pools, one after the other, in half of the runs beside goroutines that parked long ago.
fn pools(rng: &mut Rng, workers: usize) -> Workload {
    let mut workload = Workload::default();
    let mut begin = 0;
    if rng.bool() {
        begin = 260 * MS;
        for _ in 0..rng.usize(1..4) {
            let (at, count) = (rng.u64(..10 * MS), any_scale(rng, 1, 200) as usize);
            workload.crowd(rng, at, count);
        }
        workload.keep_awake(begin - 5 * MS);
    }
    (0..4).for_each(|i| workload.pool(begin + i * 20 * MS, workers, rng.bool()));
    workload
}

#[test]
fn a_pool_is_spread() {
    for seed in seeds(60) {
        let run = Run::new(seed, pools);
        run.check_waits();
        let most = if run.workers <= SURVEYED + 1 { 1 } else { 3 };
        for group in &run.machine.groups {
            let on = |worker| group.iter().filter(|at| **at == worker).count();
            let spread: Vec<_> = (0..run.machine.workers.len()).map(on).collect();
            assert!(
                spread.iter().all(|count| *count <= most),
                "{run}: {spread:?}"
            );
        }
    }
}

#[test]
fn a_couple_has_two_workers() {
    for seed in seeds(100) {
        let run = Run::new(seed, |_, _| {
            let mut workload = Workload::default();
            (0..4).for_each(|i| workload.couple(i * 5 * MS));
            workload
        });
        for group in &run.machine.groups {
            assert!(run.workers == 1 || group[0] != group[1], "{run}: {group:?}");
        }
    }
}

/// Goroutines that all compute for about the same time.
fn computing(rng: &mut Rng, workers: usize) -> Workload {
    let work = any_scale(rng, 50 * US, 5 * MS);
    let count = any_scale(rng, 1, 20 * workers as u64) as usize;
    Workload::computing(rng, count, work)
}

#[test]
fn computing_goroutines_are_spread() {
    for seed in seeds(150) {
        let run = Run::new(seed, computing);
        run.check_waits();
        let (workers, tasks) = (run.workers as u64, run.machine.tasks.len() as u64);
        let (total, longest) = (run.machine.total, run.machine.longest);
        let ideal = longest.max(total / workers);
        let graham = longest + (total - longest) / workers;
        let most = if tasks >= 4 * workers {
            graham.min(ideal * 13 / 10)
        } else {
            graham
        };
        let wake_ups = SOON + workers.min(tasks) * LATEST_WAKE_UP;
        let took = run.machine.ended;
        assert!(
            took <= most + wake_ups,
            "{run}: {took} ns instead of {ideal} ns"
        );
    }
}
