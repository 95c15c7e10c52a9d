//! The scheduler's constants: what each is for, its unit, and what would notice a change.
//!
//! Rows are those of `cargo run --release -p go-benches --bin compare`, benchmarks are other
//! programs of that package, and tests are those of `cargo test -p go-tests`, but for the
//! simulation, a unit test. A constant without any of these is a limit, or a size that made no
//! difference in measurements.

use std::time::Duration;

use super::task::MonitorTick;
use crate::primitives::prefetch::LINE;

// --- rounds and fairness: `worker::rounds`, `worker::fairness` ---

/// Maximum number of turns in a round. A round whose worker has timers, tasks and descriptors reads
/// the clock and asks the system for events, which together take about as long as ten turns (row
/// `yield1000`, benchmark `http`).
pub(super) const ROUND: usize = 64;
/// Maximum number of timers that are fired, and of delayed tasks that are queued, at a time. Where
/// very many goroutines wait, each is cold in the caches: the fewer others are fetched between its
/// own fetch and its turn, the more of it is still cached (row `timers`).
pub(super) const TIMERS_AT_A_TIME: usize = 16;
/// Number of the monitor's ticks in a slice, which therefore lasts 5 to 10 ms. After a slice one
/// failed poll, or, once the monitor has seen it too, one operation that may wait, lets the other
/// goroutines run first. Go preempts a goroutine after 10 ms (tests of starvation).
pub(super) const SLICE: MonitorTick = 2;
/// Number of failed polls, of some 0.1 us each, after which the other goroutines of the worker run
/// first. With many more, consumers that poll a closed channel keep the senders of an open one
/// waiting (tests of starvation).
pub(super) const MAX_FAILED_POLLS: u32 = 16;

// --- which task starts next: `worker::unstarted` ---

/// Maximum number of tasks in a worker's own queue; further tasks go to the injector. A longer
/// queue would keep the memory of its greatest length, and a queue that thieves have emptied cannot
/// even give it back.
pub(super) const QUEUE_CAPACITY: usize = 4096;
/// Time after which the oldest task is preferred to the newest, so that none starves (tests of
/// starvation). It should not be shorter: the oldest task may be the root of a tree, and the more
/// trees grow at a time, the colder the caches are (row `skynet`).
pub(super) const OLDEST_WAIT: Duration = Duration::from_millis(1);
/// Maximum number of tasks in a worker's queue at which the newest and the oldest start
/// alternately. Goroutines of a kind have often been spawned one after the other (a pool's senders,
/// and then its receivers), and each worker should have some of each (row `mpmc0`).
pub(super) const FEW_TASKS: usize = 8;

// --- where a task starts: `placement`, `load` ---

/// Number of the monitor's ticks in a period of `load`, which lasts 100 ms. If a period is much
/// shorter, the first members of a pool are forgotten before the last one has started, where many
/// threads share few processors (tests of placement).
pub(super) const PERIOD: MonitorTick = 20;
/// How long a task waits for a busy worker while another one is idle: some ten times what a wake-up
/// of a thread takes at best, and a tenth of the latest start that is acceptable, a millisecond
/// (tests of `placement::simulation`).
pub(super) const WATCH_FOR: Duration = Duration::from_micros(100);
/// Weight of a leaf, a goroutine that has not spawned any. All parents of a worker together weigh
/// one: a parent mostly waits for its children, and would otherwise keep its worker out of every
/// pool that it makes; without any weight, a parent and its only child would share a worker (tests
/// of `placement::simulation`).
pub(super) const LEAF: usize = 2;
/// Surplus of live goroutines that weighs as much as another worker's parents: so a server's idle
/// connections also go to the worker that accepts them, though that one has a parent (tests of
/// placement).
pub(super) const PARENTS_WORTH: usize = 64;
/// Maximum number of other workers whose loads are read for one decision, which then takes about 1
/// us.
pub(super) const SURVEYED_WORKERS: usize = 16;

// --- an idle worker: `worker::idling` ---

/// How long an idle worker spins before it sleeps, if its recent spins found no work.
pub(super) const SPIN: Duration = Duration::from_micros(20);
/// Longest wait for work for which spinning would have been better than a sleep. It is about the
/// time that two workers need if they wake each other alternately and sleep in between; with a
/// shorter time they would never learn that they need not sleep. If all spins last for `SPIN`, row
/// `ring` takes a quarter longer with two workers.
pub(super) const SPIN_WORTH: Duration = Duration::from_micros(250);
/// How long an idle worker spins before it lets other threads have the processor: on a machine with
/// more threads than processors one of them may be the thread that it waits for. If no worker ever
/// did so, row `ring` would take nine times as long with eight workers on two processors.
pub(super) const SPIN_ALONE: Duration = Duration::from_micros(3);
/// A `yield_now` that takes at least this long, while there are enough processors for all workers
/// that run something, has let a process compute that never sleeps. Without this rule row `ring`
/// takes four times as long beside two busy processes, with two workers, and row `pingpong` ten to
/// twenty times as long beside four, with eight. At 0.3 ms row `sieve` takes ten times as long with
/// sixteen workers on two processors, and twice as long if the processors did not count.
pub(super) const LONG_YIELD: Duration = Duration::from_millis(1);
/// Number of sleeps after such a yield until an idle worker yields again. With 4, row `pingpong`
/// takes twice as long beside four busy processes; with 64, row `sieve` takes up to half as long
/// again with sixteen workers.
pub(super) const YIELD_PAUSE: u32 = 16;
/// How often a goroutine that is about to park, on a worker that has nothing else to run, spins and
/// checks whether its wait has ended: about 1 us, or some round trips between two processors.
pub(crate) const PARK_SPINS: u32 = 100;
/// Maximum number of consecutive spins in vain; see `SpinCredit`. If every park spins, row
/// `pingpong` takes twice as long beside two busy processes, with two workers.
pub(super) const SPIN_CREDIT: i32 = 8;
/// Number of parks without a spin that follow, until one goroutine tries again.
pub(super) const SPIN_PAUSE: i32 = 32;

// --- workers: `hiring`, `monitor`, `holding_sites` ---

/// Maximum number of workers beyond GOMAXPROCS, which replace workers that a goroutine holds.
pub(super) const EXTRA_WORKERS: usize = 256;
/// Memory in bytes that must be available (see `ulimit -v`) before a worker's thread is made: a
/// thread that finds no memory for its own purposes ends the process.
#[cfg(target_os = "linux")]
pub(super) const THREAD_MEMORY: usize = 8 << 20;
/// Memory in bytes that is kept free while the runtime starts, so that an error can be reported.
#[cfg(target_os = "linux")]
pub(super) const ERROR_MEMORY: usize = 1 << 20;
/// Time between two ticks of the monitor. The monitor's work in one tick takes some 5 us
/// (benchmark `overload`), a thousandth of a processor.
pub(super) const TICK: Duration = Duration::from_millis(5);
/// How long a goroutine may run without a switch before its worker counts as held. Go preempts a
/// goroutine after this time, too (tests of the monitor).
pub(super) const HELD_AFTER: Duration = Duration::from_millis(10);
/// A period that the monitor uses for three things: how long a surplus of workers lasts before one
/// retires; how long a hold lasts before it is reported although it has not ended (with
/// `GODEBUG=slow=1`, which reports a shorter hold when it ends); and the time between two requests
/// to the workers to give memory back.
pub(super) const LONG: Duration = Duration::from_millis(100);
/// The time between two looks at a process whose workers all sleep, if threads go on waiting in the
/// runtime's calls meanwhile. A look takes some 0.1 ms, and 0.1 us for each goroutine.
pub(super) const LOOKS_APART: Duration = Duration::from_millis(100);
/// How long a goroutine blocks its worker's thread, while others wait, before that is reported.
pub(super) const BLOCKED_FOR_LONG: Duration = Duration::from_secs(1);
/// Maximum number of workers beyond GOMAXPROCS that are not held and were added for tasks of
/// holding sites. Handlers that hold their worker once, and then park for long, would
/// otherwise get a thread each.
pub(super) const SPARE_WORKERS: usize = 8;
/// Maximum number of holding sites; a further one replaces the oldest.
pub(super) const SITES: usize = 16;
/// Number of the monitor's ticks (a second) without another hold after which a holding site is
/// removed.
pub(super) const SITE_EXPIRY: MonitorTick = 200;

// --- memory: `worker::stacks`, `worker::trim`, `blocks` ---

/// Maximum number of stacks that are made at a time if many are needed: one system call then guards
/// them all (row `spawn_join`, first run).
pub(super) const STACK_BATCH: usize = 64;
/// Number of tasks waiting for a stack that try again at a time: each attempt costs system calls.
pub(super) const STACK_TRIES: usize = 8;
/// Time after which an idle worker lets tasks that wait for a stack try again.
pub(super) const STACK_RETRY: Duration = Duration::from_millis(20);
/// Minimum time between two shortages of memory that are both reported.
pub(super) const SHORTAGE_QUIET: Duration = Duration::from_secs(10);
/// Number of idle fibers that a worker keeps.
pub(super) const TRIM_KEPT: usize = 16;
/// Number of fibers that one step of a trim looks at. A step takes some 10 us, or more if there is
/// much to give back.
pub(super) const TRIM_STEP: usize = 64;
/// Time after which memory that has not been needed is given back.
pub(super) const TRIM_AFTER: Duration = Duration::from_millis(100);
/// The same time for a worker that does not sleep. It is longer, because such a worker may soon
/// need the memory again.
pub(super) const TRIM_AFTER_AT_WORK: Duration = Duration::from_secs(1);
/// How long a worker sleeps before it gives memory back. A worker that is woken all the time is
/// busy, though with short breaks, and giving memory back would cost it time (and, where many
/// threads run, the other threads as well). But if a worker has no sleep of this length for
/// [`TRIM_NO_QUIET`], it gives memory back all the same (test
/// `memory_goes_back_beside_one_that_is_woken_all_the_time`).
pub(super) const TRIM_QUIET: Duration = Duration::from_millis(10);
pub(super) const TRIM_NO_QUIET: Duration = Duration::from_secs(1);
/// Maximum number of steps that a worker that does not sleep takes each time that the monitor asks,
/// which is every tenth of a second: they take a few hundredths of its time at most.
pub(super) const TRIM_STEPS: usize = 20;
/// Sizes of blocks for tasks, in bytes; larger tasks come from the allocator. Most goroutines'
/// closures fit into the first (row `spawn_join`).
pub(super) const BLOCK_SIZES: [usize; 2] = [128, 256];
/// Number of blocks that go to the depot, or come from there, at a time (row `spawn_join`, with two
/// workers).
pub(super) const BLOCK_CHAIN: usize = 64;
/// Time after which the depot gives back what it has not needed.
pub(super) const DEPOT_UNUSED: Duration = Duration::from_millis(100);
/// Number of dead entries that a heap of timers may have before they are cleared away.
pub(super) const DEAD_TIMERS: usize = 64;

// --- caches: `worker::run_queue`, `fiber` ---

/// Length of a worker's run queue at the beginning, in fibers; a power of two.
pub(super) const QUEUE_LENGTH: usize = 64;
/// How many places ahead of its turn a goroutine's fiber, and then its stack, is fetched into the
/// caches. Where very many goroutines wait, each is cold (benchmark `million`).
pub(super) const FIBER_AHEAD: usize = 8;
pub(super) const STACK_AHEAD: usize = 4;
/// Number of bytes of a suspended stack that are fetched: those that the goroutine needs as soon as
/// it goes on.
pub(super) const STACK_HOT: usize = 5 * LINE;

// --- the system ---

/// Maximum number of events that a poller fetches at a time.
#[cfg(unix)]
pub(super) const EVENTS: usize = 256;
/// The system call that waits for events counts in milliseconds; what is left of a wait below this
/// is slept by another call, which is more precise (tests of time).
#[cfg(unix)]
pub(super) const COARSE_SLEEP: Duration = Duration::from_millis(1);
/// Size of a worker's signal stack in bytes: room for the largest set of registers, and for
/// formatting in a debug build.
#[cfg(target_os = "linux")]
pub(super) const SIGNAL_STACK: usize = 64 << 10;
