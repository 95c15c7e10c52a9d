//! A goroutine, or a waiting thread, as a value, and the lists of all of them.
//!
//! The values are copies, made under the locks of the lists (see `sched::listing` and
//! `wait::threads`), and belong to the caller. Code of the caller's runs without these locks.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::convert::Infallible;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use super::blocker::Blocker;
use super::blockers;
use super::frames::{self, Frame};
use super::hidden::Hidden;
use crate::primitives::one_line::OneLine;
use crate::sched::global;
use crate::sched::listing::{Listed, Listing, State};
use crate::wait::threads::{self, ThreadSeen};
use crate::wait::{WaitReason, Why};

/// What is known of a goroutine, or of a thread that waits in one of the runtime's calls.
///
/// It displays as the head of Go's dumps, with the place where it was spawned:
///
/// ```text
/// goroutine 3 [chan receive, 2 minutes] {name: printer}:
/// app::printer::next
///         src/printer.rs:31:22
/// created at src/main.rs:14:5, on worker 1
///         by the goroutine created at src/main.rs:9:5
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goroutine {
    number: usize,
    name: Option<String>,
    spawned_at: Option<&'static Location<'static>>,
    spawner: Option<&'static Location<'static>>,
    worker: Option<usize>,
    thread: Option<String>,
    state: GoroutineState,
    since: Duration,
    holds_for: Option<Duration>,
    system_call: Option<String>,
    object: Option<Hidden>,
    blocked_by: Option<Blocker>,
    frames: Vec<Frame>,
}

/// Whether a goroutine runs, or what it waits for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum GoroutineState {
    /// It runs. (Of the goroutines of a worker that were spawned at the same place, and are ready,
    /// one is said to run, not always the right one.)
    Running,
    /// It is ready, and waits for its turn on its worker.
    Runnable,
    /// It waits. (A goroutine that another worker or a thread has just woken counts as waiting
    /// until its worker has noticed, which a goroutine that holds the worker may delay.)
    Waiting(WaitReason),
}

impl GoroutineState {
    /// Returns the words for the state.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            GoroutineState::Running => "running",
            GoroutineState::Runnable => "runnable",
            GoroutineState::Waiting(reason) => reason.as_str(),
        }
    }
}

impl fmt::Display for GoroutineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Goroutine {
    /// The number by which people tell goroutines apart in dumps. It stays as long as the goroutine
    /// lives; after that another goroutine may get it.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// The name that [`Builder::name`](crate::Builder::name) has given the goroutine.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where the goroutine was spawned; `None` for a thread that is no goroutine.
    #[must_use]
    pub fn spawned_at(&self) -> Option<&'static Location<'static>> {
        self.spawned_at
    }

    /// Where the goroutine was spawned that has spawned this one; `None` if a thread has, such as
    /// the program's first one.
    #[must_use]
    pub fn spawner(&self) -> Option<&'static Location<'static>> {
        self.spawner
    }

    /// The index of the worker whose thread runs the goroutine; `None` if it has a thread of its
    /// own, or is a thread.
    #[must_use]
    pub fn worker(&self) -> Option<usize> {
        self.worker
    }

    /// The name of the thread, if it is no worker's and has a name.
    #[must_use]
    pub fn thread(&self) -> Option<&str> {
        self.thread.as_deref()
    }

    /// Whether the goroutine runs, or what it waits for.
    #[must_use]
    pub fn state(&self) -> GoroutineState {
        self.state
    }

    /// How long ago it has last run, to within 0.1 s (a thread: how long it has waited).
    #[must_use]
    pub fn since(&self) -> Duration {
        self.since
    }

    /// For how long the goroutine has kept its worker's thread, on which other goroutines wait
    /// meanwhile; `None` if that is less than some 10 ms, if it waits, or if it has a thread of its
    /// own.
    #[must_use]
    pub fn holds_worker_for(&self) -> Option<Duration> {
        self.holds_for
    }

    /// The system call that the goroutine is in if it holds its worker, or has a thread of its own
    /// and waits in none of the runtime's calls: its name and perhaps the descriptor, such as `read
    /// of descriptor 4`. `None` also if the system does not say.
    #[must_use]
    pub fn system_call(&self) -> Option<&str> {
        self.system_call.as_deref()
    }

    /// The address of what the goroutine waits for. Goroutines with the same address wait for the
    /// same channel, lock or group.
    #[must_use]
    pub fn object(&self) -> Option<usize> {
        self.object.map(Hidden::get)
    }

    /// The goroutine, or the thread, that must go on before this one's wait can end: the holder of
    /// the [`Mutex`](crate::sync::Mutex), the one that has the [`RwLock`](crate::sync::RwLock) for
    /// writing or runs the closure of the [`Once`](crate::sync::Once), the one that is joined, or
    /// one of those that the [`scope`](crate::scope) or
    /// [`WaitGroup::go`](crate::sync::WaitGroup::go) has spawned.
    ///
    /// `None` if it is not known, or has changed while the goroutines were listed. It is not known
    /// of a thread that is no goroutine and runs, of a goroutine that has not started, of a lock
    /// that others read, of a wait with a deadline, and on other systems than Linux. It may have
    /// changed since. (A goroutine counts as the holder of what it has locked, even if it has
    /// passed the guard on; if it has leaked the guard and ended, so does the next on its stack.)
    #[must_use]
    pub fn blocked_by(&self) -> Option<&Blocker> {
        self.blocked_by.as_ref()
    }

    pub(super) fn set_blocked_by(&mut self, blocker: Blocker) {
        self.blocked_by = Some(blocker);
    }

    /// Writes what the goroutine waits for, and what blocks it, if that is known.
    pub(super) fn write_blocker(
        &self,
        f: &mut dyn fmt::Write,
        before: &str,
        after: &str,
    ) -> fmt::Result {
        let Some(blocker) = &self.blocked_by else {
            return Ok(());
        };
        write!(f, "{before} waits for ")?;
        let object = self.object.unwrap_or(Hidden::new(0));
        match self.state {
            GoroutineState::Waiting(WaitReason::MutexLock) => {
                write!(f, "a mutex at {object:#x}, locked by ")?;
            }
            GoroutineState::Waiting(WaitReason::RwLockRead | WaitReason::RwLockWrite) => {
                write!(f, "a lock at {object:#x}, locked for writing by ")?;
            }
            GoroutineState::Waiting(WaitReason::Once) => {
                write!(f, "a value at {object:#x}, initialized by ")?;
            }
            GoroutineState::Waiting(WaitReason::Scope) => {
                f.write_str("the goroutines of a scope, such as ")?;
            }
            GoroutineState::Waiting(WaitReason::WaitGroupWait) => {
                f.write_str("the goroutines of a group, such as ")?;
            }
            _ => f.write_str("the end of ")?,
        }
        write!(f, "{blocker}{after}")
    }

    /// The calls that the goroutine is in, the innermost first, without the runtime's own; see
    /// [`goroutines_with_frames`].
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Returns the word for what it is: a goroutine, or a thread that is none.
    pub(super) fn kind(&self) -> &'static str {
        kind(self.spawned_at)
    }

    /// Returns the goroutine's name; of a thread that is no goroutine, the thread's.
    pub(super) fn own_name(&self) -> Option<&str> {
        match self.spawned_at {
            Some(_) => self.name(),
            None => self.thread(),
        }
    }

    pub(super) fn of_worker(listed: Listed<'_>) -> Goroutine {
        let mut hold = None;
        let (state, object) = match listed.state {
            State::Running(held) => {
                hold = held;
                (GoroutineState::Running, None)
            }
            State::Runnable => (GoroutineState::Runnable, None),
            State::Waiting(word) => waiting(Why::read(word)),
        };
        Goroutine {
            number: listed.number,
            name: listed.name.map(str::to_owned),
            spawned_at: Some(listed.spawned_at),
            spawner: listed.spawner,
            worker: Some(listed.worker),
            thread: None,
            state,
            since: listed.since,
            holds_for: hold.as_ref().map(|hold| hold.lasted),
            system_call: hold.and_then(|hold| hold.system_call),
            object,
            blocked_by: None,
            frames: Vec::new(),
        }
    }

    pub(super) fn of_thread(seen: ThreadSeen<'_>) -> Goroutine {
        let (state, object) = match seen.waiting {
            None => (GoroutineState::Running, None),
            Some(why) => waiting(Why::read(why.to_word())),
        };
        let goroutine = seen.goroutine.as_ref();
        let name = goroutine.and_then(|goroutine| goroutine.name);
        Goroutine {
            number: seen.number,
            name: name.map(str::to_owned),
            spawned_at: goroutine.map(|goroutine| goroutine.spawned_at),
            spawner: goroutine.and_then(|goroutine| goroutine.spawner),
            worker: None,
            thread: seen.thread.map(str::to_owned),
            state,
            since: seen.since,
            holds_for: None,
            system_call: seen
                .goroutine
                .and_then(|goroutine| (goroutine.system_call)()),
            object,
            blocked_by: None,
            frames: Vec::new(),
        }
    }
}

fn waiting(why: Option<(WaitReason, usize)>) -> (GoroutineState, Option<Hidden>) {
    match why {
        Some((reason, object)) => {
            let object = (object != 0).then(|| Hidden::new(object));
            (GoroutineState::Waiting(reason), object)
        }
        None => (GoroutineState::Runnable, None),
    }
}

impl fmt::Display for Goroutine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} [{}", self.kind(), self.number, self.state)?;
        match (self.holds_for.zip(self.worker), self.since.as_secs() / 60) {
            (Some((lasted, worker)), _) => {
                write!(f, ", has held worker {worker} for {}", Rounded(lasted))?;
            }
            (None, 0) => {}
            (None, _) => write!(f, ", {}", Rounded(self.since))?,
        }
        if let Some(call) = &self.system_call {
            write!(f, ", in {call}")?;
        }
        if self.spawned_at.is_some() && self.worker.is_none() {
            f.write_str(", locked to thread")?;
        }
        f.write_str("]")?;
        if let Some(name) = self.own_name() {
            write!(f, " {{name: {}}}", OneLine(name))?;
        }
        f.write_str(":")?;
        for frame in &self.frames {
            write!(f, "\n{frame}")?;
        }
        if let Some(site) = self.spawned_at {
            write!(f, "\ncreated at {site}")?;
        }
        if let Some(worker) = self.worker {
            write!(f, ", on worker {worker}")?;
        }
        if let Some(spawner) = self.spawner {
            write!(f, "\n\tby the goroutine created at {spawner}")?;
        }
        self.write_blocker(f, "\nIt", "")
    }
}

/// Returns the word for what has this spawn site, or none.
pub(super) fn kind(spawned_at: Option<&'static Location<'static>>) -> &'static str {
    match spawned_at {
        Some(_) => "goroutine",
        None => "thread",
    }
}

/// A time in its largest unit, up to minutes.
pub(super) struct Rounded(pub(super) Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0 => write!(f, "{} ms", self.0.as_millis()),
            seconds @ ..60 => write!(f, "{seconds} s"),
            60..120 => f.write_str("1 minute"),
            seconds => write!(f, "{} minutes", seconds / 60),
        }
    }
}

/// Calls `f` for each goroutine that has a stack or a thread, and for each thread that waits in one
/// of the runtime's calls, until it fails. No lock is held meanwhile, so `f` may take its time.
pub(super) fn for_each<E>(mut f: impl FnMut(Goroutine) -> Result<(), E>) -> Result<(), E> {
    let mut some = Vec::new();
    if let Some(runtime) = global::running() {
        let mut listing = Listing::new(runtime);
        while listing.next(|listed| some.push(Goroutine::of_worker(listed))) {
            some.drain(..).try_for_each(&mut f)?;
        }
    }
    threads::for_each(|seen| some.push(Goroutine::of_thread(seen)));
    some.into_iter().try_for_each(f)
}

/// Lists the goroutines that have started, and the threads that wait in one of the runtime's calls,
/// by their numbers.
///
/// It takes some 0.1 us, and some 250 bytes of memory, for each; [`dump`](super::dump) needs less
/// memory. If some wait for what [certain others](Goroutine::blocked_by) have, all are listed twice
/// more, to find those, and it takes several times as long. It does not start the runtime.
///
/// ```
/// use go_runtime::debug::{GoroutineState, WaitReason, goroutines};
/// use go_runtime::{Builder, channel};
///
/// let (stop, done) = channel::bounded::<()>(0);
/// let waiting = Builder::new().name("waiter").spawn(move || done.recv()).unwrap();
/// let is_it = |state| state == GoroutineState::Waiting(WaitReason::ChanReceive);
/// # #[cfg(target_os = "linux")]
/// while !goroutines().iter().any(|one| one.name() == Some("waiter") && is_it(one.state())) {
///     go_runtime::yield_now();
/// }
/// drop(stop);
/// assert!(waiting.join().unwrap().is_err());
/// ```
#[must_use]
pub fn goroutines() -> Vec<Goroutine> {
    let mut all = Vec::new();
    let Ok(()) = for_each(|goroutine| {
        all.push(goroutine);
        Ok::<_, Infallible>(())
    });
    all.sort_unstable_by_key(Goroutine::number);
    blockers::add_blockers(&mut all);
    all
}

/// Lists the goroutines as [`goroutines`] does, with the [frames](Goroutine::frames) of those that
/// wait.
///
/// The goroutines record their frames themselves, each on its own worker, which takes some 20 us
/// for each; looking up the names takes longer. Of the program's code only its global allocator may
/// run. Goroutines have no frames here that run, that have a thread of their own, whose worker is
/// held by another goroutine, or whose stack has less than 16 KiB left. If more than 1,000 wait,
/// those have frames that have waited longest. A goroutine that calls this lets its worker go on
/// meanwhile; while it panics it cannot, and the goroutines of its worker have no frames. Calls at
/// the same time wait for each other. (If a goroutine ends while it is listed, its entry may have
/// the frames of the next on the same stack.)
///
/// Names and lines come from the program's debug information: a release build has lines with
/// `debug = "line-tables-only"` in its profile.
///
/// ```
/// use go_runtime::debug::goroutines_with_frames;
/// use go_runtime::{Builder, channel};
///
/// let (stop, done) = channel::bounded::<()>(0);
/// let waiting = Builder::new().name("waiter").spawn(move || done.recv()).unwrap();
/// for one in goroutines_with_frames() {
///     for frame in one.frames() {
///         println!("{} is in {}", one.number(), frame.function());
///     }
/// }
/// drop(stop);
/// assert!(waiting.join().unwrap().is_err());
/// ```
#[must_use]
pub fn goroutines_with_frames() -> Vec<Goroutine> {
    let mut all = goroutines();
    add_frames(&mut all);
    all
}

/// Maximum number of goroutines that record their frames for one request, so that no worker is kept
/// for more than some 20 ms.
const MOST_FRAMES: usize = 1000;

/// The goroutines whose frames are wanted: those that have waited longest, of all that were
/// [added](Self::add).
#[derive(Default)]
pub(super) struct Longest {
    /// How long each has waited, its worker and its number. The first to go has waited least.
    waiting: BinaryHeap<(Reverse<Duration>, usize, usize)>,
}

/// The frames of some goroutines.
#[derive(Default)]
pub(super) struct Recorded {
    /// By the goroutines' numbers.
    frames: HashMap<usize, Vec<Frame>>,
}

impl Longest {
    pub(super) fn add(&mut self, one: &Goroutine) {
        if let (GoroutineState::Waiting(_), Some(worker)) = (one.state, one.worker) {
            self.waiting.push((Reverse(one.since), worker, one.number));
            if self.waiting.len() > MOST_FRAMES {
                self.waiting.pop();
            }
        }
    }

    /// Lets the goroutines record their frames.
    pub(super) fn record(self) -> Recorded {
        let Some(runtime) = global::running() else {
            return Recorded::default();
        };
        let wanted = self.waiting.into_iter();
        let wanted = wanted.map(|(_, worker, number)| (worker, number));
        Recorded {
            frames: frames::record(runtime, wanted.collect()),
        }
    }
}

impl Recorded {
    /// Adds the frames, if there are any, to the goroutine.
    pub(super) fn add_to(&self, one: &mut Goroutine) {
        if matches!(one.state, GoroutineState::Waiting(_))
            && let Some(frames) = self.frames.get(&one.number)
        {
            one.frames.clone_from(frames);
        }
    }
}

/// Adds the frames to goroutines that have been listed.
pub(super) fn add_frames<'a>(goroutines: impl IntoIterator<Item = &'a mut Goroutine>) {
    let mut longest = Longest::default();
    let all: Vec<_> = goroutines
        .into_iter()
        .inspect(|one| longest.add(one))
        .collect();
    let recorded = longest.record();
    all.into_iter().for_each(|one| recorded.add_to(one));
}
