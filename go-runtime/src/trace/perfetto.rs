//! Events as a trace in Perfetto's format: messages of Protocol Buffers, as
//! <https://perfetto.dev/docs/reference/synthetic-track-event> describes them.
//!
//! ```text
//!   process
//!    +-- thread go-worker-0     | main.rs:9 |     | main.rs:14 ! |   asleep   |  turns, wake-ups
//!    |    `-- run queue         3     2     1     2              0               a counter
//!    +-- thread go-blocking        | blocking |!                             calls, wake-ups
//!    `-- goroutine 7: main.rs:14  runnable | running | chan receive | runnable | running
//! ```
//!
//! [`Converter`] gets the events of all rings in the order of their times, and follows each worker
//! and each goroutine as the events tell of them. It does not rely on an event being there: rings
//! lose their oldest events, so a turn may have no beginning, and a wait no end. A slice that is
//! open where it cannot be is closed.
//!
//! A flow (an arrow from a spawn or a wake-up to the turn that it leads to) is written when its end
//! is seen, so both ends are in the trace. Its begin is an instant within the waker's turn.

use std::collections::HashMap;
use std::panic::Location;
use std::process;

use crate::debug::protobuf::Message;
use crate::sched::recording::ring::Site;
use crate::sched::recording::{Event, Kind};
use crate::wait::Why;

// Numbers of fields, from perfetto's `trace_packet.proto` and the files that it imports.
const TRACE_PACKET: u32 = 1;
const TIMESTAMP: u32 = 8;
const SEQUENCE: u32 = 10;
const TRACK_EVENT: u32 = 11;
const INTERNED: u32 = 12;
const SEQUENCE_FLAGS: u32 = 13;
const TRACK_DESCRIPTOR: u32 = 60;
const EVENT_NAMES: u32 = 2;
const ANNOTATION_NAMES: u32 = 3;

const STATE_CLEARED: u64 = 1;
const NEEDS_STATE: u64 = 2;

/// The type of a `TrackEvent`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Begin = 1,
    End = 2,
    Instant = 3,
    Counter = 4,
}

/// The name of an annotation, by its number in the trace.
#[derive(Clone, Copy)]
enum Annotation {
    /// The address of what a goroutine waits for.
    Object = 1,
    Count = 2,
}

/// The end of a flow that a turn begins with, or the begin that an instant stands for.
#[derive(Clone, Copy)]
enum Flow {
    From(u64),
    To(u64),
}

type Track = u64;

const PROCESS: Track = 1;

/// Which thread an event is of: a worker, or another thread by its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Lane {
    Worker(usize),
    Thread(u64),
}

struct Thread {
    track: Track,
    /// Whether a slice is open: a turn, a sleep, or a call.
    is_open: bool,
    /// The fiber of the turn.
    turn: Option<u64>,
    /// The counter's track and value.
    counter: Track,
    queue: Option<u64>,
    /// The name of the goroutine whose turn begins next.
    name: Vec<u8>,
    /// The time of the last event.
    last: u64,
}

struct Goroutine {
    track: Track,
    state: State,
    /// When its last turn began.
    began: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Runnable,
    Waiting,
    /// What it does is not known; no slice is open.
    Unknown,
}

/// A spawn or a wake-up that has not led to a turn yet.
#[derive(Clone, Copy)]
struct Cause {
    /// When, in nanoseconds.
    time: u64,
    /// The waker, unless it is the clock or a descriptor.
    by: Option<Lane>,
    site: Option<Site>,
}

/// Writes the trace. Times are in nanoseconds.
pub(super) struct Converter {
    out: Vec<u8>,
    names: HashMap<String, u64>,
    /// Names that the next packet has to define.
    new_names: Message,
    /// Numbers of names that consist of a word and a spawn site.
    sites: HashMap<(*const Location<'static>, &'static str), u64>,
    has_begun: bool,
    next_track: Track,
    next_flow: u64,
    next_goroutine: u64,
    threads: HashMap<Lane, Thread>,
    thread_names: HashMap<u64, Option<String>>,
    /// The goroutines, and below the wake-ups of goroutines, by their fibers.
    goroutines: HashMap<u64, Goroutine>,
    unparks: HashMap<u64, Cause>,
    /// The spawns by the tasks of the new goroutines.
    spawns: HashMap<u64, Cause>,
}

impl Converter {
    pub(super) fn new() -> Converter {
        let mut converter = Converter {
            out: Vec::new(),
            names: HashMap::new(),
            new_names: Message::new(),
            sites: HashMap::new(),
            has_begun: false,
            next_track: PROCESS + 1,
            next_flow: 1,
            next_goroutine: 1,
            threads: HashMap::new(),
            thread_names: HashMap::new(),
            goroutines: HashMap::new(),
            unparks: HashMap::new(),
            spawns: HashMap::new(),
        };
        for (annotation, name) in [(Annotation::Object, "object"), (Annotation::Count, "count")] {
            converter.new_names.message(ANNOTATION_NAMES, |entry| {
                entry.number(1, annotation as u64).text(2, name);
            });
        }
        let name = std::env::args_os().next();
        let name = name.map(|name| name.to_string_lossy().into_owned());
        converter.describe(PROCESS, None, |track| {
            track.message(3, |described| {
                described.number(1, u64::from(process::id()));
                described.text(6, &name.unwrap_or_default());
            });
        });
        converter
    }

    /// Tells the names of threads that are no workers, by their numbers in events.
    pub(super) fn set_thread_names(&mut self, names: Vec<(u64, Option<String>)>) {
        self.thread_names.extend(names);
    }

    /// Returns what has been written since the last call.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// Notes an event of a worker, or of another thread with `None`, at `time`.
    pub(super) fn event(&mut self, worker: Option<usize>, time: u64, event: &Event) {
        let lane = match worker {
            Some(index) => Lane::Worker(index),
            None => Lane::Thread(event.second),
        };
        let (first, site) = (event.first, event.site);
        if event.kind == Kind::Held {
            // The monitor tells of a worker.
            return self.instant(Lane::Worker(first as usize), time, "held", site, None);
        }
        let time = {
            let thread = self.thread(lane);
            thread.last = thread.last.max(time);
            thread.last
        };
        match event.kind {
            Kind::Name => {
                let bytes = [first, event.second].map(u64::to_le_bytes);
                self.thread(lane).name.extend(bytes.as_flattened());
            }
            Kind::Start => self.begin(lane, time, first, site, Some(event.second)),
            Kind::GoOn => self.begin(lane, time, first, site, None),
            Kind::Park | Kind::Yield | Kind::End => self.suspend(lane, time, event),
            Kind::Unpark => self.unpark(time, first, Some(lane)),
            Kind::UnparkByTimer | Kind::UnparkByPoller => self.unpark(time, first, None),
            Kind::Spawn => {
                let by = Some(lane);
                self.spawns.insert(first, Cause { time, by, site });
            }
            Kind::Steal => {
                let count = Some((Annotation::Count, first));
                self.instant(lane, time, "steal", None, count);
            }
            Kind::Sleep => self.open(lane, time, "asleep"),
            Kind::BlockingBegin => self.open(lane, time, "blocking"),
            Kind::Wake | Kind::BlockingEnd => self.close(lane, time),
            Kind::Lost => self.lost(lane, time, first),
            Kind::Held => {}
        }
    }

    /// Notes that events of a thread, or of all threads but workers, have been lost.
    fn lost(&mut self, lane: Lane, time: u64, count: u64) {
        // What runs, or whether it sleeps, is not known from here on.
        if let Some(fiber) = self.thread(lane).turn {
            self.set_state(fiber, time, State::Unknown, "", None);
        }
        self.close(lane, time);
        let count = Some((Annotation::Count, count));
        self.instant(lane, time, "events lost", None, count);
    }

    /// Ends the trace: closes all slices at `time`.
    pub(super) fn finish(&mut self, time: u64) {
        let lanes: Vec<Lane> = self.threads.keys().copied().collect();
        for lane in lanes {
            let time = time.max(self.thread(lane).last);
            self.close(lane, time);
        }
        let fibers: Vec<u64> = self.goroutines.keys().copied().collect();
        for fiber in fibers {
            self.set_state(fiber, time, State::Unknown, "", None);
        }
        for (_, spawn) in std::mem::take(&mut self.spawns) {
            if let Some(by) = spawn.by {
                self.instant(by, spawn.time, "spawn", spawn.site, None);
            }
        }
        for (_, unpark) in std::mem::take(&mut self.unparks) {
            if let Some(by) = unpark.by {
                self.instant(by, unpark.time, "unpark", None, None);
            }
        }
    }

    // --- turns ---

    /// A goroutine begins a turn. It has not run before if it has a `task`.
    fn begin(&mut self, lane: Lane, time: u64, fiber: u64, site: Option<Site>, task: Option<u64>) {
        self.close(lane, time);
        let name = std::mem::take(&mut self.thread(lane).name);
        let name = name_of(&name);
        if task.is_some() || !self.goroutines.contains_key(&fiber) {
            self.set_state(fiber, time, State::Unknown, "", None);
            self.add_goroutine(fiber, site, &name);
        }
        let began = self.goroutines.get(&fiber).map_or(0, |one| one.began);
        let unpark = self.unparks.remove(&fiber);
        let (cause, what) = match task {
            Some(task) => (self.spawns.remove(&task), "spawn"),
            None => (unpark.filter(|unpark| unpark.time >= began), "unpark"),
        };
        // An event of another thread may have come too late to stand before this one.
        let cause = cause.filter(|cause| cause.time <= time);
        let mut flow = None;
        if let Some(Cause {
            time,
            by: Some(by),
            site,
        }) = cause
        {
            flow = Some(Flow::To(self.next_flow));
            let name = self.name(what, site);
            let from = Some(Flow::From(self.next_flow));
            self.next_flow += 1;
            let track = self.thread(by).track;
            self.emit(time, track, Type::Instant, Some(name), from, None);
        }
        let turn = match name.is_empty() {
            true => self.name("", site),
            false => self.intern(&name),
        };
        let thread = self.thread(lane);
        (thread.is_open, thread.turn) = (true, Some(fiber));
        let track = thread.track;
        self.emit(time, track, Type::Begin, Some(turn), flow, None);
        self.set_state(fiber, time, State::Running, "running", None);
        if let Some(goroutine) = self.goroutines.get_mut(&fiber) {
            goroutine.began = time;
        }
    }

    /// The goroutine of the worker's turn parks, yields or ends.
    fn suspend(&mut self, lane: Lane, time: u64, event: &Event) {
        let fiber = self.thread(lane).turn.take();
        self.close(lane, time);
        self.count(lane, time, event.first);
        // (The turn's begin may have been lost.)
        let Some(fiber) = fiber else { return };
        let began = self.goroutines.get(&fiber).map_or(0, |one| one.began);
        let is_woken = self
            .unparks
            .get(&fiber)
            .is_some_and(|one| one.time >= began);
        match event.kind {
            Kind::End => {
                self.set_state(fiber, time, State::Unknown, "", None);
                self.goroutines.remove(&fiber);
                self.unparks.remove(&fiber);
            }
            Kind::Park if !is_woken => {
                let (reason, object) = match Why::read(event.second) {
                    Some((reason, object)) => (reason.as_str(), object as u64),
                    None => ("waiting", 0),
                };
                let object = (object != 0).then_some((Annotation::Object, object));
                self.set_state(fiber, time, State::Waiting, reason, object);
            }
            _ => self.set_state(fiber, time, State::Runnable, "runnable", None),
        }
    }

    /// A goroutine is woken. Only the first event of a wake-up counts: others tell the same.
    fn unpark(&mut self, time: u64, fiber: u64, by: Option<Lane>) {
        let goroutine = self.goroutines.get(&fiber);
        let began = goroutine.map_or(0, |one| one.began);
        let is_waiting = goroutine.is_some_and(|one| one.state == State::Waiting);
        if time < began
            || self
                .unparks
                .get(&fiber)
                .is_some_and(|one| one.time >= began)
        {
            return;
        }
        let site = None;
        self.unparks.insert(fiber, Cause { time, by, site });
        if is_waiting {
            self.set_state(fiber, time, State::Runnable, "runnable", None);
        }
    }

    fn add_goroutine(&mut self, fiber: u64, site: Option<Site>, name: &str) {
        let (track, number) = (self.new_track(), self.next_goroutine);
        self.next_goroutine += 1;
        let site = site.map(|site| format!("{}:{}", site.file(), site.line()));
        let mut text = format!("goroutine {number}");
        for part in [Some(name), site.as_deref()] {
            if let Some(part) = part.filter(|part| !part.is_empty()) {
                text.push_str(if text.contains(": ") { ", " } else { ": " });
                text.push_str(part);
            }
        }
        self.describe(track, Some(PROCESS), |described| {
            described.text(2, &text);
        });
        let state = State::Unknown;
        let goroutine = Goroutine {
            track,
            state,
            began: 0,
        };
        self.goroutines.insert(fiber, goroutine);
    }

    /// Ends the goroutine's slice, if one is open, and begins another unless `state` is unknown.
    fn set_state(
        &mut self,
        fiber: u64,
        time: u64,
        state: State,
        name: &str,
        about: Option<(Annotation, u64)>,
    ) {
        let Some(goroutine) = self.goroutines.get_mut(&fiber) else {
            return;
        };
        let track = goroutine.track;
        let before = std::mem::replace(&mut goroutine.state, state);
        if before != State::Unknown {
            self.emit(time, track, Type::End, None, None, None);
        }
        if state != State::Unknown {
            let name = self.intern(name);
            self.emit(time, track, Type::Begin, Some(name), None, about);
        }
    }

    // --- threads ---

    /// Returns the thread, described in the trace.
    fn thread(&mut self, lane: Lane) -> &mut Thread {
        if !self.threads.contains_key(&lane) {
            let thread = self.new_thread(lane);
            self.threads.insert(lane, thread);
        }
        self.threads
            .get_mut(&lane)
            .unwrap_or_else(|| unreachable!("it has been inserted"))
    }

    fn new_thread(&mut self, lane: Lane) -> Thread {
        let (track, counter) = (self.new_track(), self.new_track());
        // The numbers of threads only have to differ: Perfetto takes the first thread of a process,
        // which has the process's number, for its main thread.
        let (name, number) = match lane {
            Lane::Worker(index) => (format!("go-worker-{index}"), 1 + index as u64),
            Lane::Thread(0) => ("threads".to_owned(), 1_000_000),
            Lane::Thread(number) => {
                let name = self.thread_names.get(&number).cloned().flatten();
                let name = name.unwrap_or_else(|| format!("thread {number}"));
                (name, 1_000_000 + number)
            }
        };
        self.describe(track, Some(PROCESS), |described| {
            described.message(4, |thread| {
                thread.number(1, u64::from(process::id()));
                thread.number(2, u64::from(process::id()) + number);
                thread.text(5, &name);
            });
        });
        if let Lane::Worker(_) = lane {
            self.describe(counter, Some(track), |described| {
                described.text(2, "run queue").message(8, |_| {});
            });
        }
        Thread {
            track,
            is_open: false,
            turn: None,
            counter,
            queue: None,
            name: Vec::new(),
            last: 0,
        }
    }

    fn open(&mut self, lane: Lane, time: u64, name: &str) {
        self.close(lane, time);
        let name = self.intern(name);
        let thread = self.thread(lane);
        thread.is_open = true;
        let track = thread.track;
        self.emit(time, track, Type::Begin, Some(name), None, None);
    }

    fn close(&mut self, lane: Lane, time: u64) {
        let thread = self.thread(lane);
        thread.turn = None;
        if std::mem::take(&mut thread.is_open) {
            let track = thread.track;
            self.emit(time, track, Type::End, None, None, None);
        }
    }

    fn instant(
        &mut self,
        lane: Lane,
        time: u64,
        name: &'static str,
        site: Option<Site>,
        about: Option<(Annotation, u64)>,
    ) {
        let name = self.name(name, site);
        let track = self.thread(lane).track;
        self.emit(time, track, Type::Instant, Some(name), None, about);
    }

    fn count(&mut self, lane: Lane, time: u64, queue: u64) {
        let thread = self.thread(lane);
        if thread.queue.replace(queue) == Some(queue) {
            return;
        }
        let counter = thread.counter;
        self.packet(|packet| {
            packet.number(TIMESTAMP, time);
            packet.message(TRACK_EVENT, |event| {
                event.number(9, Type::Counter as u64);
                event.number(11, counter).number(30, queue);
            });
        });
    }

    // --- packets ---

    fn new_track(&mut self) -> Track {
        let track = self.next_track;
        self.next_track += 1;
        track
    }

    fn describe(&mut self, track: Track, parent: Option<Track>, fill: impl FnOnce(&mut Message)) {
        self.packet(|packet| {
            packet.message(TRACK_DESCRIPTOR, |described| {
                described.number(1, track);
                if let Some(parent) = parent {
                    described.number(5, parent);
                }
                fill(described);
            });
        });
    }

    fn emit(
        &mut self,
        time: u64,
        track: Track,
        kind: Type,
        name: Option<u64>,
        flow: Option<Flow>,
        about: Option<(Annotation, u64)>,
    ) {
        self.packet(|packet| {
            packet.number(TIMESTAMP, time);
            packet.message(TRACK_EVENT, |event| {
                event.number(9, kind as u64).number(11, track);
                if let Some(name) = name {
                    event.number(10, name);
                }
                match flow {
                    Some(Flow::From(flow)) => _ = event.fixed64(47, flow),
                    Some(Flow::To(flow)) => _ = event.fixed64(48, flow),
                    None => {}
                }
                if let Some((annotation, value)) = about {
                    let field = match annotation {
                        Annotation::Object => 7,
                        Annotation::Count => 3,
                    };
                    event.message(4, |message| {
                        message.number(1, annotation as u64).number(field, value);
                    });
                }
            });
        });
    }

    /// Writes a packet, with the names that are new.
    fn packet(&mut self, fill: impl FnOnce(&mut Message)) {
        let mut packet = Message::new();
        fill(&mut packet);
        let new = std::mem::take(&mut self.new_names);
        if !new.as_bytes().is_empty() {
            packet.bytes(INTERNED, new.as_bytes());
        }
        let flags = match std::mem::replace(&mut self.has_begun, true) {
            false => STATE_CLEARED | NEEDS_STATE,
            true => NEEDS_STATE,
        };
        packet.number(SEQUENCE, 1).number(SEQUENCE_FLAGS, flags);
        let mut trace = Message::new();
        trace.bytes(TRACE_PACKET, packet.as_bytes());
        self.out.extend_from_slice(trace.as_bytes());
    }

    /// Returns the number of a name that consists of a word and a spawn site, either of which may
    /// be missing.
    fn name(&mut self, word: &'static str, site: Option<Site>) -> u64 {
        let Some(site) = site else {
            return self.intern(word);
        };
        let key = (std::ptr::from_ref(site), word);
        if let Some(number) = self.sites.get(&key) {
            return *number;
        }
        let text = match word {
            "" => site.to_string(),
            word => format!("{word} {site}"),
        };
        let number = self.intern(&text);
        self.sites.insert(key, number);
        number
    }

    fn intern(&mut self, text: &str) -> u64 {
        if let Some(number) = self.names.get(text) {
            return *number;
        }
        let number = self.names.len() as u64 + 1;
        self.names.insert(text.to_owned(), number);
        self.new_names.message(EVENT_NAMES, |entry| {
            entry.number(1, number).text(2, text);
        });
        number
    }
}

/// Returns a goroutine's name from its bytes, which end in zeros and perhaps within a character.
fn name_of(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim_end_matches(['\0', char::REPLACEMENT_CHARACTER])
        .to_owned()
}
