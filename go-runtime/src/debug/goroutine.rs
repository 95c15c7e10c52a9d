//! A goroutine, or a waiting thread, as a value.

#[cfg(target_os = "linux")]
use std::cmp::Reverse;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use super::frames::{self, Frame};
use crate::sched::global;
use crate::sched::listing::{self, Listed, State};
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
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goroutine {
    number: usize,
    name: Option<String>,
    spawned_at: Option<&'static Location<'static>>,
    worker: Option<usize>,
    thread: Option<String>,
    state: GoroutineState,
    since: Duration,
    object: Option<usize>,
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

impl fmt::Display for GoroutineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            GoroutineState::Running => "running",
            GoroutineState::Runnable => "runnable",
            GoroutineState::Waiting(reason) => reason.as_str(),
        })
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

    /// The address of what the goroutine waits for. Goroutines with the same address wait for the
    /// same channel, lock or group.
    #[must_use]
    pub fn object(&self) -> Option<usize> {
        self.object
    }

    /// The calls that the goroutine is in, the innermost first, without the runtime's own; see
    /// [`goroutines_with_frames`].
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Returns the word for what it is.
    pub(super) fn kind(&self) -> &'static str {
        match self.spawned_at {
            Some(_) => "goroutine",
            None => "thread",
        }
    }

    fn of_worker(listed: &Listed<'_>) -> Goroutine {
        let (state, object) = match listed.state {
            State::Running => (GoroutineState::Running, None),
            State::Runnable => (GoroutineState::Runnable, None),
            State::Waiting(word) => waiting(Why::read(word)),
        };
        Goroutine {
            number: listed.number,
            name: listed.name.map(str::to_owned),
            spawned_at: Some(listed.spawned_at),
            worker: Some(listed.worker),
            thread: None,
            state,
            since: listed.since,
            object,
            frames: Vec::new(),
        }
    }

    fn of_thread(seen: &ThreadSeen<'_>) -> Goroutine {
        let (state, object) = match seen.waiting {
            None => (GoroutineState::Running, None),
            Some(why) => waiting(Why::read(why.to_word())),
        };
        let (spawned_at, name) = seen.goroutine.unzip();
        Goroutine {
            number: seen.number,
            name: name.flatten().map(str::to_owned),
            spawned_at,
            worker: None,
            thread: seen.thread.map(str::to_owned),
            state,
            since: seen.since,
            object,
            frames: Vec::new(),
        }
    }
}

fn waiting(why: Option<(WaitReason, usize)>) -> (GoroutineState, Option<usize>) {
    match why {
        Some((reason, object)) => {
            let object = (object != 0).then_some(object);
            (GoroutineState::Waiting(reason), object)
        }
        None => (GoroutineState::Runnable, None),
    }
}

impl fmt::Display for Goroutine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} [{}", self.kind(), self.number, self.state)?;
        match self.since.as_secs() / 60 {
            0 => {}
            1 => f.write_str(", 1 minute")?,
            minutes => write!(f, ", {minutes} minutes")?,
        }
        if self.spawned_at.is_some() && self.worker.is_none() {
            f.write_str(", locked to thread")?;
        }
        f.write_str("]")?;
        let name = match self.spawned_at {
            Some(_) => &self.name,
            None => &self.thread,
        };
        if let Some(name) = name {
            write!(f, " {{name: {name}}}")?;
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
        Ok(())
    }
}

/// Calls `f` for each goroutine that has a stack or a thread, and for each thread that waits in one
/// of the runtime's calls.
pub(super) fn for_each(mut f: impl FnMut(Goroutine)) {
    if let Some(runtime) = global::running() {
        listing::for_each(runtime, |listed| f(Goroutine::of_worker(&listed)));
    }
    threads::for_each(|seen| f(Goroutine::of_thread(&seen)));
}

/// Lists the goroutines that have started, and the threads that wait in one of the runtime's calls,
/// by their numbers.
///
/// It takes some 0.1 us for each. It does not start the runtime.
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
    for_each(|goroutine| all.push(goroutine));
    all.sort_unstable_by_key(Goroutine::number);
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
/// meanwhile. (If a goroutine ends while it is listed, its entry may have the frames of the next on
/// the same stack.)
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
    add_frames(&mut all.iter_mut().collect::<Vec<_>>());
    all
}

/// Maximum number of goroutines that record their frames for one request, so that no worker is kept
/// for more than some 20 ms.
#[cfg(target_os = "linux")]
const MOST_FRAMES: usize = 1000;

/// Adds the frames to goroutines that have been listed.
pub(super) fn add_frames(goroutines: &mut [&mut Goroutine]) {
    #[cfg(target_os = "linux")]
    if let Some(runtime) = global::running() {
        let waits = |one: &&&mut Goroutine| matches!(one.state, GoroutineState::Waiting(_));
        let mut wanted: Vec<_> = goroutines
            .iter()
            .filter(waits)
            .filter_map(|one| Some((Reverse(one.since), one.worker?, one.number)))
            .collect();
        wanted.sort_unstable();
        wanted.truncate(MOST_FRAMES);
        let wanted = wanted
            .into_iter()
            .map(|(_, worker, number)| (worker, number));
        let recorded = crate::sched::frames::record(runtime, wanted);
        for one in goroutines {
            if let Some(backtrace) = recorded.get(&one.number) {
                one.frames = frames::of_program(backtrace);
            }
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = goroutines;
}
