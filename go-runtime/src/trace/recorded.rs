//! Events of a session, read from its rings, in the order of their times.
//!
//! Any number of [`Reader`]s may read a session, each on one thread. What a reader has taken is
//! sorted: events of one ring stay in their order, because their times never go back.

use super::perfetto::Converter;
use crate::clock;
use crate::sched::recording::{Event, Kind, Session};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of a trace that are written at a time.
pub(super) const CHUNK: usize = 64 << 10;

/// A moment by both clocks: in ticks of the session, and in nanoseconds of the trace.
#[derive(Clone, Copy)]
struct Moment {
    ticks: u64,
    nanoseconds: u64,
}

/// Translates ticks into nanoseconds.
///
/// The rate is measured between the last two moments at which both clocks were read. So the
/// processor's counter needs no calibration, and does not run away from the system's clock.
pub(super) struct Times {
    started: Instant,
    /// The time of the trace when the session started.
    base: u64,
    from: Moment,
    to: Moment,
}

impl Times {
    /// Begins with the session's start, which was at `started`.
    pub(super) fn new(started: Instant, base: u64) -> Times {
        let start = Moment {
            ticks: 0,
            nanoseconds: base,
        };
        Times {
            started,
            base,
            from: start,
            to: start,
        }
    }

    /// Reads both clocks. Returns the present in ticks.
    pub(super) fn advance(&mut self, session: &Session) -> u64 {
        let ticks = session.ticks.now();
        let nanoseconds = self.base + (clock::now() - self.started).as_nanos() as u64;
        if ticks > self.to.ticks && nanoseconds > self.to.nanoseconds {
            self.from = self.to;
            self.to = Moment { ticks, nanoseconds };
        }
        ticks
    }

    pub(super) fn to_nanoseconds(&self, ticks: u64) -> u64 {
        let passed = (self.to.nanoseconds - self.from.nanoseconds) as f64;
        let counted = (self.to.ticks - self.from.ticks).max(1) as f64;
        let since = ticks as i64 - self.from.ticks as i64;
        let since = (since as f64 * (passed / counted)) as i64;
        self.from.nanoseconds.saturating_add_signed(since)
    }

    /// Returns the ticks at `ago` before the last [`advance`](Self::advance).
    pub(super) fn ticks_before(&self, ago: Duration) -> u64 {
        let passed = (self.to.nanoseconds - self.from.nanoseconds).max(1) as f64;
        let rate = (self.to.ticks - self.from.ticks) as f64 / passed;
        let ago = (ago.as_nanos() as f64 * rate) as u64;
        self.to.ticks.saturating_sub(ago)
    }

    pub(super) fn end(&self) -> u64 {
        self.to.nanoseconds
    }
}

/// What is read of the rings from time to time.
pub(super) struct Reader {
    session: Arc<Session>,
    /// For each ring, the number of the first event that has not been read, and the time of the
    /// last one that has.
    rings: Vec<(Option<usize>, u64, u64)>,
    /// Events that are not converted yet, each with its worker.
    events: Vec<(Option<usize>, Event)>,
}

impl Reader {
    pub(super) fn new(session: Arc<Session>) -> Reader {
        Reader {
            session,
            rings: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Reads all new events. Where events were overwritten before they were read, there is a
    /// [`Kind::Lost`] instead.
    pub(super) fn read(&mut self) {
        let mut words = Vec::new();
        for (worker, ring) in self.session.rings() {
            let known = self.rings.iter().position(|(of, ..)| *of == worker);
            let at = known.unwrap_or(self.rings.len());
            if known.is_none() {
                self.rings.push((worker, 0, 0));
            }
            let (_, from, last) = &mut self.rings[at];
            words.clear();
            let read = ring.read(*from, &mut words);
            *from = read.end;
            let mut lost = (read.lost > 0).then_some(read.lost);
            for mut event in words.iter().copied().filter_map(Event::read) {
                // A thread that goes to another processor may see that its counter is behind by
                // a few ticks.
                *last = event.time.max(*last);
                event.time = *last;
                if let Some(first) = lost.take() {
                    let lost = Event {
                        time: event.time,
                        kind: Kind::Lost,
                        first,
                        site: None,
                        second: 0,
                    };
                    self.events.push((worker, lost));
                }
                self.events.push((worker, event));
            }
        }
        // (Stable: events of a ring stay in their order.)
        self.events.sort_by_key(|(_, event)| event.time);
    }

    /// Takes the events before `end`.
    pub(super) fn take_before(&mut self, end: u64) -> Vec<(Option<usize>, Event)> {
        let count = self.events.partition_point(|(_, event)| event.time < end);
        let rest = self.events.split_off(count);
        std::mem::replace(&mut self.events, rest)
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }
}

/// Converts events.
pub(super) fn convert(converter: &mut Converter, times: &Times, events: &[(Option<usize>, Event)]) {
    for (worker, event) in events {
        converter.event(*worker, times.to_nanoseconds(event.time), event);
    }
}

/// Returns nanoseconds since the machine's start, as Perfetto's other sources count them; or 0
/// where the system does not say.
pub(super) fn since_boot() -> u64 {
    #[cfg(target_os = "linux")]
    {
        let mut time = std::mem::MaybeUninit::<libc::timespec>::uninit();
        // SAFETY: the call initializes `time` if it returns 0, and has no other precondition.
        if unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, time.as_mut_ptr()) } == 0 {
            // SAFETY: the call has returned 0, so it has initialized `time`.
            let time = unsafe { time.assume_init() };
            // Both fields are non-negative.
            return Duration::new(time.tv_sec as u64, time.tv_nsec as u32).as_nanos() as u64;
        }
    }
    0
}
