//! What all goroutines of the run share.

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

/// Both ends of a channel of the board.
pub(super) type Ends = (Sender<Message>, Receiver<Message>);

#[derive(Debug)]
pub(super) struct World {
    /// How many goroutines there are to be.
    pub(super) target: usize,
    /// What nobody does, in this run.
    pub(super) without: Vec<Kind>,
    pub(super) counts: Counts,
    pub(super) lobby: Lobby,
    /// Channels on which anybody sends and receives, as long as the run is.
    pub(super) board: [Ends; 8],
    stop: Sender<()>,
    /// Closed when the run is over.
    pub(super) done: Receiver<()>,
    over: AtomicBool,
    /// For those who still live.
    pub(super) alive: WaitGroup,
    failures: mpsc::Sender<String>,
}

impl World {
    /// The receiver is told what has gone wrong.
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
                // Not without a bound: what lies there would go up and down by chance.
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
        // Nobody listens any more: then it has failed already.
        let _ = self.failures.send(what);
    }

    /// It is time to end.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.stop.close();
        self.lobby.close();
    }

    /// Starts a goroutine that counts. `None`, and the run fails, if there is no memory for it.
    pub(super) fn start<T: Send + 'static>(
        self: &Arc<World>,
        builder: Builder,
        f: impl FnOnce(&Arc<World>) -> T + Send + 'static,
    ) -> Option<JoinHandle<T>> {
        let life = Life::begin(self);
        self.started(builder.spawn(move || f(&life.0)))
    }

    /// One on the caller's worker.
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

/// From a goroutine's start to its end, however it ends.
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
