//! The edges of a descriptor: a reader misses no edge, before or during its wait, and sees a
//! changed limit.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

use crate::channel::{Receiver, bounded};
use crate::wait::edges::{Edges, Woken};
use crate::wait::{Observable, WaitReason};
use crate::{check, clock};

/// A descriptor that holds a number of bytes and reports them by edges.
struct Descriptor {
    edges: Edges,
    bytes: AtomicUsize,
    /// Whether the readers' deadline has passed.
    is_over: AtomicBool,
}

impl Descriptor {
    fn new() -> Arc<Descriptor> {
        Arc::new(Descriptor {
            edges: Edges::new(),
            bytes: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        })
    }

    /// Adds bytes as the system does, and reports an edge as the poller does.
    fn arrive(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.edges.add();
        self.edges.wake_one();
    }

    fn try_read(&self) -> bool {
        let fewer = |bytes: usize| bytes.checked_sub(1);
        self.bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer)
            .is_ok()
    }

    /// Reads a byte, and wakes the next reader. Returns `false` if the deadline has passed.
    fn read(&self) -> bool {
        self.read_until(None)
    }

    /// Reads a byte, like [`read`](Self::read). Also returns `false` if `done` is ready.
    fn read_until(&self, done: Option<&Receiver<()>>) -> bool {
        let done = done.map(|done| done as &dyn Observable);
        let read = loop {
            let at = self.edges.now();
            if self.try_read() {
                break true;
            }
            let limit = || self.is_over.load(Ordering::Relaxed).then(clock::now);
            let woken = self.edges.wait(WaitReason::IoWait, at, limit, done);
            if woken != Woken::ByEdge || self.is_over.load(Ordering::Relaxed) {
                break false;
            }
        };
        self.edges.wake_one();
        read
    }
}

#[test]
fn no_edge_is_missed() {
    check("edges, one waits for two", 4, || {
        let descriptor = Descriptor::new();
        let there = descriptor.clone();
        let reader = thread::spawn(move || assert!(there.read() && there.read()));
        descriptor.arrive(1);
        descriptor.arrive(1);
        reader.join().unwrap();
        assert!(!descriptor.try_read());
    });
}

#[test]
fn one_edge_is_for_all_waiters() {
    check("edges, two wait for one", 3, || {
        let descriptor = Descriptor::new();
        let readers = [(); 2].map(|()| {
            let there = descriptor.clone();
            thread::spawn(move || assert!(there.read()))
        });
        descriptor.arrive(2);
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

/// A byte arrives while the readers' deadline passes: at least one reader learns of the byte, and a
/// reader that gives up leaves it to the others.
#[test]
fn a_limit_that_is_set_ends_all_waits() {
    check("edges, a limit and a byte", 2, || {
        let descriptor = Descriptor::new();
        let readers = [(); 2].map(|()| {
            let there = descriptor.clone();
            thread::spawn(move || there.read())
        });
        descriptor.arrive(1);
        descriptor.is_over.store(true, Ordering::Relaxed);
        descriptor.edges.wake_all();
        let read = readers.map(|reader| reader.join().unwrap());
        let left = usize::from(descriptor.try_read());
        assert_eq!(read.iter().filter(|read| **read).count() + left, 1);
    });
}

/// A byte arrives while the done channel is closed: either one of the two readers reads the byte,
/// or the close ends both waits and the byte stays.
#[test]
fn a_done_channel_ends_all_waits() {
    check("edges, a done channel and a byte", 2, || {
        let descriptor = Descriptor::new();
        let (stop, done) = bounded(0);
        let readers = [done.clone(), done].map(|done| {
            let there = descriptor.clone();
            thread::spawn(move || there.read_until(Some(&done)))
        });
        descriptor.arrive(1);
        drop(stop);
        let read = readers.map(|reader| reader.join().unwrap());
        let left = usize::from(descriptor.try_read());
        assert_eq!(read.iter().filter(|read| **read).count() + left, 1);
    });
}

/// While the done channel is open, the byte is read however the wait for both begins.
#[test]
fn an_edge_is_not_missed_beside_a_done_channel() {
    check("edges, two bytes beside a done channel", 3, || {
        let descriptor = Descriptor::new();
        let (stop, done) = bounded(0);
        let there = descriptor.clone();
        let reader = thread::spawn(move || {
            assert!(there.read_until(Some(&done)) && there.read_until(Some(&done)));
        });
        descriptor.arrive(1);
        descriptor.arrive(1);
        reader.join().unwrap();
        drop(stop);
    });
}

/// A message in the done channel ends a wait, and stays in the channel. If another receiver takes
/// it, the wait goes on until the byte comes.
#[test]
fn a_message_ends_a_wait_beside_a_receiver_that_takes_it() {
    check("edges, a message for two", 3, || {
        let descriptor = Descriptor::new();
        let (stop, done) = bounded(1);
        let there = descriptor.clone();
        let its = done.clone();
        let reader = thread::spawn(move || there.read_until(Some(&its)));
        stop.send(()).unwrap();
        done.recv().unwrap();
        descriptor.arrive(1);
        let read = reader.join().unwrap();
        assert_eq!(usize::from(read) + usize::from(descriptor.try_read()), 1);
    });
}

/// A done channel that is closed ends the wait even if edges have come since the last attempt.
#[test]
fn a_channel_that_is_closed_already_goes_before_an_edge() {
    check("edges, a done channel that is closed", 2, || {
        let descriptor = Descriptor::new();
        let (stop, done) = bounded::<()>(0);
        drop(stop);
        let at = descriptor.edges.now();
        let there = descriptor.clone();
        let other = thread::spawn(move || there.arrive(1));
        let woken = descriptor
            .edges
            .wait(WaitReason::IoWait, at, || None, Some(&done));
        assert_eq!(woken, Woken::ByDone);
        other.join().unwrap();
    });
}
