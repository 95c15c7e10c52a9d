//! Looks into the process while the crowd works, with everything that a program can ask about
//! itself.

use std::io;
use std::time::{Duration, Instant};

use go_runtime::debug::{self, DumpOptions};
use go_runtime::trace::{FlightRecorder, FlightRecorderConfig};

/// A flight recorder that is on for as long as this lives.
pub(super) struct Inside {
    recorder: FlightRecorder,
}

impl Inside {
    pub(super) fn start() -> Result<Inside, String> {
        let recorder = FlightRecorder::new(FlightRecorderConfig::default());
        recorder.start().map_err(|error| error.to_string())?;
        Ok(Inside { recorder })
    }

    /// Asks for everything once, and returns how long each answer took. All goroutines of the crowd
    /// can go on in the end, so none may be reported as leaked or as deadlocked.
    pub(super) fn look(&self) -> Result<String, String> {
        let mut said = String::from("inside:");
        let mut sink = Counted(0);
        let start = Instant::now();
        let fault = |error: io::Error| error.to_string();
        let written = self.recorder.write_to(&mut sink).map_err(fault)?;
        if written == 0 || written != sink.0 {
            return Err(format!("{written} bytes of a trace, {} came", sink.0));
        }
        tell(
            &mut said,
            &format!("trace of {} MiB", written >> 20),
            start.elapsed(),
        );

        let (start, mut sink) = (Instant::now(), Counted(0));
        debug::dump(&mut sink, DumpOptions::new()).map_err(fault)?;
        tell(
            &mut said,
            &format!("dump of {} KiB", sink.0 >> 10),
            start.elapsed(),
        );

        let start = Instant::now();
        let deadlocks = debug::deadlocks();
        tell(&mut said, "deadlocks", start.elapsed());
        if let Some(deadlock) = deadlocks.first() {
            return Err(format!("a deadlock that is none: {deadlock}"));
        }

        let start = Instant::now();
        let leaks = debug::leaks().map_err(fault)?;
        tell(&mut said, "leaks", start.elapsed());
        if let Some(leak) = leaks.first() {
            return Err(format!(
                "{} leaks that are none, the first {leak}",
                leaks.len()
            ));
        }

        let start = Instant::now();
        let goroutines = debug::metrics().goroutines;
        tell(&mut said, "metrics", start.elapsed());
        if goroutines == 0 {
            return Err("metrics count no goroutine".into());
        }
        Ok(said)
    }
}

fn tell(said: &mut String, what: &str, took: Duration) {
    said.push_str(&format!(" {what} {took:.0?},"));
}

/// Counts what is written to it.
struct Counted(u64);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
