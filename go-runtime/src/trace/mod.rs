//! What the scheduler does, over time: a trace for <https://ui.perfetto.dev>.
//!
//! A [`FlightRecorder`] keeps the last seconds in memory, to be written when something has gone
//! wrong; [`start`] and [`stop`] write all that happens in between. The file is in Perfetto's
//! format. It shows
//!
//! - a track for each worker: the turns of goroutines, named by the goroutine's name or else by its
//!   spawn site; when the worker sleeps; where it stole tasks (`steal`), and where the monitor saw
//!   that a goroutine holds it (`held`); the length of its run queue;
//! - a track for each goroutine: `running`, `runnable`, or what it waits for, in the words of
//!   [`WaitReason`](crate::debug::WaitReason);
//! - a track for each other thread that wakes or spawns goroutines, with the `blocking` calls of
//!   the pool's threads;
//! - an arrow from each spawn and each wake-up to the turn that it led to. (A goroutine's wake-ups
//!   of goroutines of its own worker stand at the end of its turn.) Nothing points to a goroutine
//!   that the clock or a descriptor has woken.
//!
//! Goroutines with a thread of their own (`go!(thread; ...)`) have no track. Where events are
//! missing, at the beginning or because they were lost, so are the slices and arrows that they
//! would have made; what has not ended at the end of the trace ends there. Names are cut off after
//! 64 bytes.
//!
//! # Cost
//!
//! A program that records nothing pays nothing for a switch, and one test of a flag for a spawn or
//! a wake-up from another thread. While it records, a turn makes two events, and each wake-up one.
//! An event takes some 10 to 20 ns, as `cargo run --release -p go-benches --bin trace` shows.
//!
//! One recorder or one trace is active at a time.

mod flight_recorder;
mod perfetto;
mod recorded;
mod stream;

pub use flight_recorder::{FlightRecorder, FlightRecorderConfig};
pub use stream::{start, stop};

use std::fmt;
use std::io;

use crate::config::StartError;

/// Why no recording has begun.
#[derive(Debug)]
pub struct Error(Reason);

#[derive(Debug)]
enum Reason {
    Active,
    Start(StartError),
    Thread(io::Error),
}

impl Error {
    fn active() -> Error {
        Error(Reason::Active)
    }

    fn start(error: StartError) -> Error {
        Error(Reason::Start(error))
    }

    fn thread(error: io::Error) -> Error {
        Error(Reason::Thread(error))
    }

    /// Returns whether the reason is that a recorder or a trace is active.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.0, Reason::Active)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::Active => f.write_str("a flight recorder or a trace is active already"),
            Reason::Start(error) => write!(f, "the goroutine runtime cannot start: {error}"),
            Reason::Thread(error) => {
                write!(
                    f,
                    "the thread that writes the trace cannot be made ({error})"
                )
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Reason::Active => None,
            Reason::Start(error) => Some(error),
            Reason::Thread(error) => Some(error),
        }
    }
}
