//! The state that all goroutines of the run share.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use go_runtime::channel::{Receiver, Sender, bounded};
use go_runtime::sync::WaitGroup;
use go_runtime::{Builder, JoinHandle};

use super::counts::{Counts, Kind};
use super::lobby::Lobby;
use super::message::Message;

/// Both ends of a shared channel.
pub(super) type Ends = (Sender<Message>, Receiver<Message>);

#[derive(Debug)]
pub(super) struct World {
    /// Target number of goroutines.
    pub(super) target: usize,
    /// Operations that are left out in this run.
    pub(super) without: Vec<Kind>,
    pub(super) counts: Counts,
    pub(super) lobby: Lobby,
    /// Channels on which all goroutines send and receive during the whole run.
    pub(super) board: [Ends; 8],
    stop: Sender<()>,
    /// Closed when the run is over.
    pub(super) done: Receiver<()>,
    over: AtomicBool,
    /// Counts the goroutines that are alive.
    pub(super) alive: WaitGroup,
    failures: mpsc::Sender<String>,
}

impl World {
    /// Creates the state; the receiver gets the failures.
    pub(super) fn new(target: usize, without: Vec<Kind>) -> (Arc<World>, mpsc::Receiver<String>) {
        let (stop, done) = bounded(0);
        let (failures, failed) = mpsc::channel();
        let world = World {
            target,
            without,
            counts: Counts::default(),
            lobby: Lobby::new(),
            board: std::array::from_fn(|i| match i {
                0..3 => bounded(0),
                3..7 => bounded(i),
                // Not unbounded: the number of messages in the channel would vary by chance, and
                // with it the memory.
                _ => bounded(64),
            }),
            stop,
            done,
            over: AtomicBool::new(false),
            alive: WaitGroup::new(),
            failures,
        };
        (Arc::new(world), failed)
    }

    pub(super) fn fail(&self, what: String) {
        // If the receiver is gone, the run has failed already.
        let _ = self.failures.send(what);
    }

    /// Returns whether it is time to end.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.stop.close();
        self.lobby.close();
    }

    /// Starts a counted goroutine. If there is no memory for it, returns `None`, and the run fails.
    pub(super) fn start<T: Send + 'static>(
        self: &Arc<World>,
        builder: Builder,
        f: impl FnOnce(&Arc<World>) -> T + Send + 'static,
    ) -> Option<JoinHandle<T>> {
        let life = Life::begin(self);
        self.started(builder.spawn(move || f(&life.0)))
    }

    /// Starts a counted goroutine on the caller's worker.
    pub(super) fn start_local<T: 'static>(
        self: &Arc<World>,
        f: impl FnOnce(&Arc<World>) -> T + 'static,
    ) -> Option<JoinHandle<T>> {
        let life = Life::begin(self);
        self.started(Builder::new().spawn_local(move || f(&life.0)))
    }

    fn started<T>(&self, result: io::Result<JoinHandle<T>>) -> Option<JoinHandle<T>> {
        result
            .inspect_err(|error| self.fail(format!("a goroutine cannot start: {error}")))
            .ok()
    }
}

/// Counts a goroutine from its start to its end, however it ends.
struct Life(Arc<World>);

impl Life {
    fn begin(world: &Arc<World>) -> Life {
        world.counts.started.fetch_add(1, Ordering::Release);
        world.alive.add(1);
        Life(Arc::clone(world))
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.0.counts.ended.fetch_add(1, Ordering::Release);
        self.0.alive.done();
    }
}
