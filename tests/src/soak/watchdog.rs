//! Ends the process when nothing happens any more.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::process::Process;
use super::report;
use super::world::World;

/// How long the counts may stand still before the watchdog reports a failure.
const STALL_TIMEOUT: Duration = Duration::from_secs(20);

/// A thread that watches the counts until this is dropped.
pub(super) struct Watchdog {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    pub(super) fn start(world: &Arc<World>) -> Watchdog {
        let (stop, stopped) = mpsc::channel();
        let world = Arc::clone(world);
        let thread = thread::spawn(move || watch(&world, &stopped));
        Watchdog {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

fn watch(world: &World, stopped: &mpsc::Receiver<()>) {
    let mut last = (world.counts.progress(), Instant::now());
    while stopped.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
        let now = world.counts.progress();
        if now != last.0 {
            last = (now, Instant::now());
        } else if last.1.elapsed() > STALL_TIMEOUT {
            // Code that waits for the goroutines would wait forever, so only the watchdog can
            // report this.
            eprintln!(
                "FAILED: nothing has happened for {STALL_TIMEOUT:?}: {}\n{:?}",
                report::state(world, &Process::read()),
                world.counts
            );
            std::process::exit(1);
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // The thread returns nothing.
            let _ = thread.join();
        }
    }
}
