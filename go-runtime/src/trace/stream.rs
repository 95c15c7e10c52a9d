//! A whole trace, written while it is recorded.
//!
//! A thread of ours reads the rings every few milliseconds, and when a quarter of a ring has been
//! written, and writes what it has read. A worker never waits for it: if the writer is too slow,
//! events are overwritten, which the trace then says.

use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::Error;
use super::perfetto::Converter;
use super::recorded::{CHUNK, Reader, Times, convert, since_boot};
use crate::channel::{Receiver, bounded};
use crate::clock;
use crate::primitives::mutex::lock;
use crate::primitives::uncaptured;
use crate::sched::recording::{self, Session};
use crate::sched::{fork, global};

/// Number of events in each ring: 2 MiB. A power of two.
const LENGTH: usize = 1 << 16;
const READ_EVERY: Duration = Duration::from_millis(10);

struct Streaming {
    session: Arc<Session>,
    thread: Option<ThreadId>,
    outcome: Receiver<io::Result<()>>,
}

static STREAMING: Mutex<Option<Streaming>> = Mutex::new(None);

/// Writes a trace of all that the scheduler does from now on to `writer`, until [`stop`]. Go's
/// `trace.Start`.
///
/// A thread of the runtime's own writes, so `writer` may block. (As `writer` may also wake
/// goroutines, a [deadlock](crate::debug#deadlocks) does not end the process meanwhile.) Workers do
/// not wait for the thread: if it is too slow, events are lost, and the trace has an instant named
/// `events lost` with their number on the track of the worker whose they were. If `writer` fails or
/// panics, the recording ends, and `stop` returns the error.
///
/// # Errors
/// A trace or a [flight recorder](super::FlightRecorder) is active; the runtime cannot start; the
/// system cannot make a thread.
///
/// ```
/// use go_runtime::{go, trace};
///
/// let path = std::env::temp_dir().join("example.perfetto-trace");
/// trace::start(std::fs::File::create(&path)?)?;
/// go! { println!("working") }.join().unwrap();
/// trace::stop()?;
/// assert!(std::fs::metadata(&path)?.len() > 0);
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn start(writer: impl Write + Send + 'static) -> Result<(), Error> {
    let runtime = global::try_get().map_err(Error::start)?;
    let mut streaming = lock(&STREAMING);
    if streaming.is_some() {
        return Err(Error::active());
    }
    let (started, base) = (clock::now(), since_boot());
    let session = recording::start(runtime, LENGTH, true).ok_or_else(Error::active)?;
    let times = Times::new(started, base);
    let (report, outcome) = bounded(1);
    let (tell, told) = mpsc::channel();
    // The thread gets the writer when it runs. If there is no thread, the writer is dropped after
    // the lock has been given back: its `Drop` may call `stop`.
    let (give, given) = mpsc::channel();
    let theirs = Arc::clone(&session);
    let builder = thread::Builder::new().name("go-trace".into());
    let spawned = uncaptured::spawn(builder, move || {
        let Ok(writer) = given.recv() else {
            return;
        };
        theirs.set_consumer(thread::current());
        let _ = tell.send(thread::current().id());
        let session = Arc::clone(&theirs);
        let stream = || stream(theirs, times, writer);
        let result = panic::catch_unwind(AssertUnwindSafe(stream)).unwrap_or_else(|payload| {
            // The payload's own `Drop` could panic as well.
            std::mem::forget(payload);
            Err(io::Error::other("the writer of the trace has panicked"))
        });
        session.stop();
        // (If nothing waits for it, nothing wants it.)
        let _ = report.send(result);
    });
    if let Err(error) = spawned {
        session.stop();
        return Err(Error::thread(error));
    }
    let _ = give.send(writer);
    *streaming = Some(Streaming {
        session,
        thread: told.recv().ok(),
        outcome,
    });
    Ok(())
}

/// Ends the trace, and waits until all of it has been written and the writer has been dropped. Does
/// nothing if there is none. Go's `trace.Stop`.
///
/// # Errors
/// The writer has failed or panicked, or is the caller: then the trace is not complete.
pub fn stop() -> io::Result<()> {
    let streaming = {
        let mut streaming = lock(&STREAMING);
        let own = Some(thread::current().id());
        if streaming.as_ref().is_some_and(|one| one.thread == own) {
            return Err(io::Error::other("the writer of a trace cannot stop it"));
        }
        streaming.take()
    };
    let Some(streaming) = streaming else {
        return Ok(());
    };
    if fork::check().is_err() {
        return Err(io::Error::other(
            "the thread that writes the trace is in the parent process",
        ));
    }
    streaming.session.stop();
    streaming.session.wake_consumer();
    let lost = |_| io::Error::other("the thread that writes the trace is gone");
    streaming.outcome.recv().map_err(lost)?
}

/// Writes what the session records until it ends.
fn stream(session: Arc<Session>, mut times: Times, mut writer: impl Write) -> io::Result<()> {
    let mut converter = Converter::new();
    let mut reader = Reader::new(session);
    loop {
        // Read first: what was recorded before the end is written.
        let is_last = !reader.session().is_on();
        if !is_last {
            thread::park_timeout(READ_EVERY);
        }
        let now = times.advance(reader.session());
        reader.read();
        converter.set_thread_names(reader.session().threads());
        // What is recorded meanwhile may be older than some event that is not there yet.
        let events = reader.take_before(if is_last { u64::MAX } else { now });
        for events in events.chunks(CHUNK / 16) {
            convert(&mut converter, &times, events);
            writer.write_all(&converter.take())?;
        }
        if is_last {
            times.advance(reader.session());
            converter.finish(times.end());
            writer.write_all(&converter.take())?;
            return writer.flush();
        }
    }
}
