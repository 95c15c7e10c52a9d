//! The flight recorder.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::Error;
use super::perfetto::Converter;
use super::recorded::{CHUNK, Reader, Times, convert, since_boot};
use crate::clock;
use crate::goroutine::yield_now;
use crate::primitives::mutex::lock;
use crate::sched::global;
use crate::sched::recording::{self, Kind, Session};

/// What a [`FlightRecorder`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlightRecorderConfig {
    /// How far back a written trace goes, if the memory suffices; 10 s by default. Older events
    /// are left out.
    pub min_age: Duration,
    /// Memory for events in bytes, divided among the workers; 10 MiB by default. An event takes 32
    /// bytes, and a goroutine that waits once makes three or four. This limit goes before
    /// `min_age`. (A worker has room for 64 events in any case, and workers beyond
    /// [`gomaxprocs`](crate::gomaxprocs), which the runtime adds while others are held, come on
    /// top.)
    pub max_bytes: usize,
}

impl Default for FlightRecorderConfig {
    fn default() -> Self {
        FlightRecorderConfig {
            min_age: Duration::from_secs(10),
            max_bytes: 10 << 20,
        }
    }
}

const BYTES_OF_EVENT: usize = 32;
const FEWEST_EVENTS: usize = 64;

/// Number of events that are converted before other goroutines of the worker run.
const CONVERTED_AT_A_TIME: usize = 4096;

/// Keeps what the scheduler did of late, to be written when something has gone wrong. Go's
/// `runtime/trace.FlightRecorder`.
///
/// ```
/// use go_runtime::go;
/// use go_runtime::trace::{FlightRecorder, FlightRecorderConfig};
///
/// let recorder = FlightRecorder::new(FlightRecorderConfig::default());
/// recorder.start()?;
/// go! { println!("serving") }.join().unwrap();
///
/// // A request took too long: what happened?
/// let mut trace = Vec::new();
/// let written = recorder.write_to(&mut trace)?;
/// assert_eq!(written, trace.len() as u64);
/// recorder.stop();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A recorder that is dropped stops.
#[derive(Debug)]
pub struct FlightRecorder {
    config: FlightRecorderConfig,
    active: Mutex<Option<Active>>,
}

#[derive(Clone)]
struct Active {
    session: Arc<Session>,
    started: Instant,
    base: u64,
}

impl std::fmt::Debug for Active {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Active").finish_non_exhaustive()
    }
}

impl FlightRecorder {
    /// Makes a recorder, which does nothing before it is [started](Self::start).
    #[must_use]
    pub fn new(config: FlightRecorderConfig) -> FlightRecorder {
        FlightRecorder {
            config,
            active: Mutex::new(None),
        }
    }

    fn active(&self) -> MutexGuard<'_, Option<Active>> {
        lock(&self.active)
    }

    /// Begins to record. The caller's worker records from its next switch on, the others within 5
    /// ms or when they next run something. Starts the runtime if need be.
    ///
    /// # Errors
    /// A recorder or a [trace](super::start) is active, this one or another; or the runtime cannot
    /// start.
    #[track_caller]
    pub fn start(&self) -> Result<(), Error> {
        let runtime = global::try_get().map_err(Error::start)?;
        let events = self.config.max_bytes / BYTES_OF_EVENT / (runtime.gomaxprocs() + 1);
        let mut active = self.active();
        let (started, base) = (clock::now(), since_boot());
        let session = recording::start(runtime, events.max(FEWEST_EVENTS), false);
        *active = Some(Active {
            session: session.ok_or_else(Error::active)?,
            started,
            base,
        });
        Ok(())
    }

    /// Ends the recording, and forgets what was recorded. Does nothing if the recorder is not
    /// active. Calls of [`write_to`](Self::write_to) that have begun go on.
    pub fn stop(&self) {
        if let Some(active) = self.active().take() {
            active.session.stop();
        }
    }

    /// Returns whether the recorder is active.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.active().is_some()
    }

    /// Writes what was recorded, and returns the number of bytes. The recording goes on.
    ///
    /// Several goroutines and threads may write at a time, each a whole trace. A trace of 10 MiB of
    /// events takes some 300 ms to write; other goroutines of the worker run meanwhile.
    ///
    /// # Errors
    /// The recorder is not active ([`io::ErrorKind::NotConnected`]), or the writer fails. A panic
    /// of the writer is the caller's.
    pub fn write_to(&self, writer: &mut (impl Write + ?Sized)) -> io::Result<u64> {
        let active = self.active().clone();
        let Some(active) = active else {
            return Err(io::Error::new(
                io::ErrorKind::NotConnected,
                "the flight recorder is not active",
            ));
        };
        let mut reader = Reader::new(Arc::clone(&active.session));
        reader.read();
        let mut times = Times::new(active.started, active.base);
        let now = times.advance(&active.session);
        let mut events = reader.take_before(now);
        // The ring is meant to lose its oldest events.
        events.retain(|(_, event)| event.kind != Kind::Lost);
        let begin = times.ticks_before(self.config.min_age);
        let first = events.partition_point(|(_, event)| event.time < begin);
        let mut converter = Converter::new();
        converter.set_thread_names(active.session.threads());
        let mut written = 0;
        for events in events[first..].chunks(CONVERTED_AT_A_TIME) {
            convert(&mut converter, &times, events);
            if converter.len() >= CHUNK {
                written += write(&mut converter, writer)?;
            }
            yield_now();
        }
        converter.finish(times.end());
        written += write(&mut converter, writer)?;
        writer.flush()?;
        Ok(written)
    }
}

fn write(converter: &mut Converter, writer: &mut (impl Write + ?Sized)) -> io::Result<u64> {
    let bytes = converter.take();
    writer.write_all(&bytes)?;
    Ok(bytes.len() as u64)
}

impl Drop for FlightRecorder {
    fn drop(&mut self) {
        self.stop();
    }
}
