//! Inbox, handshake, and the calling of sleeping workers.
//!
//! A thread that sleeps gives way here until the word it sleeps on has changed: should nobody ever change it, loom reports too
//! many branches. (loom's own `park` cannot be mixed with `join`.) That exactly one is told to wake the thread is asserted.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::check;
use crate::primitives::real_spin_lock::RawSpinLock;
use crate::sched::handshake::Handshake;
use crate::sched::idle::Idle;
use crate::sched::inbox::{Inbox, Node, Sleep};
use crate::sched::nap::Nap;
use crate::sched::rest::Rest;

/// Two threads push while the owner sleeps whenever it may: everything arrives, in order for each pusher, and each sleep is
/// ended by exactly one of them.
#[test]
fn inbox_loses_no_wake_up() {
    check("inbox, two pushers", 2, || {
        struct Shared {
            inbox: Inbox<usize>,
            nodes: [Node<usize>; 4],
            wake_ups: AtomicUsize,
        }
        let shared = Arc::new(Shared {
            inbox: Inbox::new(),
            nodes: [0, 1, 2, 3].map(Node::new),
            wake_ups: AtomicUsize::new(0),
        });
        let push = |which: &'static [[usize; 2]]| {
            let shared = shared.clone();
            thread::spawn(move || {
                for chain in which {
                    let [first, last] = chain.map(|i| &shared.nodes[i]);
                    if !std::ptr::eq(first, last) {
                        last.link(first);
                    }
                    if unsafe { shared.inbox.push(last, first) }.is_some() {
                        shared.wake_ups.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        };
        // One after the other, and a chain.
        let pushers = [push(&[[0, 0], [1, 1]]), push(&[[2, 3]])];
        let (mut got, mut sleeps) = (vec![], 0);
        while got.len() < 4 {
            shared.inbox.drain(|i| got.push(i));
            if got.len() < 4 && shared.inbox.fall_asleep(Sleep::Counted) {
                sleeps += 1;
                while shared.inbox.is_asleep() {
                    thread::yield_now();
                }
            }
        }
        for pusher in pushers {
            pusher.join().unwrap();
        }
        assert_eq!(sleeps, shared.wake_ups.load(Ordering::Relaxed));
        let position = |i| got.iter().position(|g| *g == i).unwrap();
        assert!(position(0) < position(1));
        assert!(position(2) < position(3));
    });
}

/// A sleeping owner is called and gets mail at the same time, and may get up by itself: whoever was told that it woke the
/// owner is the only one, and the owner learns whether that was the caller.
#[test]
fn inbox_says_who_woke_the_owner() {
    check("inbox, call, push and alarm", 4, || {
        let shared = Arc::new((Inbox::<usize>::new(), Node::new(7)));
        assert!(shared.0.fall_asleep(Sleep::Uncounted));
        let pusher = thread::spawn({
            let shared = shared.clone();
            move || unsafe { shared.0.push(&shared.1, &shared.1) }
        });
        let caller = thread::spawn({
            let shared = shared.clone();
            move || shared.0.call()
        });
        let by_itself = shared.0.wake_up();
        let mut got = 0;
        let mut called = shared.0.drain(|i| got += i).called;
        let (pushed_first, call_woke) = (pusher.join().unwrap(), caller.join().unwrap());
        called |= shared.0.drain(|i| got += i).called;
        assert_eq!(got, 7);
        assert_eq!(called, call_woke.is_some());
        assert_eq!(
            1,
            [by_itself, pushed_first, call_woke]
                .iter()
                .filter(|woke| **woke == Some(Sleep::Uncounted))
                .count()
        );
    });
}

/// One blocked goroutine, two that want to end its wait: one claims; the blocked one, spinning or parked, goes on once and
/// sees what that one wrote.
fn claim_and_wake(spinning: bool, quietly: bool) {
    struct Shared {
        handshake: Handshake,
        verdict: UnsafeCell<usize>,
        inbox: Inbox<usize>,
        node: Node<usize>,
    }
    let shared = Arc::new(Shared {
        handshake: Handshake::new(spinning),
        verdict: UnsafeCell::new(0),
        inbox: Inbox::new(),
        node: Node::new(1),
    });
    let wakers: Vec<_> = [1, 2]
        .into_iter()
        .map(|name| {
            let shared = shared.clone();
            thread::spawn(move || {
                let won = shared.handshake.claim();
                if won {
                    shared
                        .verdict
                        .with_mut(|verdict| unsafe { *verdict = name });
                    if shared.handshake.finish() {
                        let _ = unsafe { shared.inbox.push(&shared.node, &shared.node) };
                    }
                }
                won
            })
        })
        .collect();
    // The goroutine: it looks once, unless it waits quietly, or parks; then the worker drains until it finds it.
    let handshake = &shared.handshake;
    if quietly && handshake.may_spin() {
        let _ = handshake.stop_spinning();
    }
    let spun = handshake.may_spin() && (handshake.is_done() || !handshake.stop_spinning());
    if !spun {
        let mut woken = 0;
        while woken == 0 {
            shared.inbox.drain(|goroutine| woken += goroutine);
            if woken == 0 && shared.inbox.fall_asleep(Sleep::Counted) {
                while shared.inbox.is_asleep() {
                    thread::yield_now();
                }
            }
        }
    }
    let verdict = shared.verdict.with(|verdict| unsafe { *verdict });
    let won: Vec<bool> = wakers.into_iter().map(|w| w.join().unwrap()).collect();
    assert_eq!(won, [verdict == 1, verdict == 2]);
    // Woken once: nothing is left.
    shared.inbox.drain(|_| panic!("a second wake-up"));
}

#[test]
fn a_parked_goroutine_is_woken_once() {
    check("handshake, parked", 3, || claim_and_wake(false, false));
}

#[test]
fn a_spinning_goroutine_is_woken_once() {
    check("handshake, spinning", 3, || claim_and_wake(true, false));
}

/// It may spin, and does not want to: it parks, and is made runnable, or the wait is over, but never both. (It was both: one whose
/// spinning was given up in the middle of `finish` went on by itself, and its node was in the inbox all the same.)
#[test]
fn a_goroutine_that_does_not_spin_is_woken_once() {
    check("handshake, spinning given up", 3, || {
        claim_and_wake(true, true)
    });
}

/// What a worker, those who queue work, and the monitor share.
struct Roll {
    idle: Idle,
    rest: Rest<usize>,
    queue: AtomicUsize,
}

impl Roll {
    fn new() -> Arc<Roll> {
        Arc::new(Roll {
            idle: Idle::new(),
            rest: Rest::new(),
            queue: AtomicUsize::new(0),
        })
    }

    fn has_work(&self) -> bool {
        self.queue.load(Ordering::Relaxed) > 0
    }

    /// As in `Runtime::announce_work`.
    fn announce(&self) {
        if self.idle.should_call() {
            let callable = || self.rest.is_asleep() && self.rest.takes_on();
            self.idle.call(
                || callable() && self.rest.call(&self.idle),
                || self.has_work() && callable(),
            );
        }
    }

    /// As in `Runtime::call`, after the standing has been changed.
    fn call(&self) {
        self.idle.start_searching();
        if !self.rest.call(&self.idle) && self.idle.stop_searching() && self.has_work() {
            self.announce();
        }
    }

    /// The worker's loop, until it has had as much as was queued. A retired one takes nothing.
    fn work(&self, all: usize) {
        let (mut had, mut searching) = (0, false);
        while had < all {
            if !self.rest.is_retired() {
                let found = self.queue.swap(0, Ordering::Relaxed);
                if found > 0 {
                    had += found;
                    if std::mem::replace(&mut searching, false) {
                        self.idle.stop_searching();
                    }
                    continue;
                }
                if !searching {
                    self.idle.start_searching();
                    searching = true;
                }
            }
            if self.rest.fall_asleep(&self.idle) {
                self.idle
                    .last_look(std::mem::replace(&mut searching, false));
                if self.rest.is_retired() || !self.has_work() {
                    while self.rest.is_asleep() {
                        thread::yield_now();
                    }
                }
            }
            if !self.rest.wake_up(&self.idle)
                && self.rest.drain(|_| {}).called
                && std::mem::replace(&mut searching, true)
            {
                self.idle.stop_searching();
            }
        }
        if searching {
            self.idle.stop_searching();
        }
    }

    /// When all is done nobody is counted.
    fn assert_quiet(&self) {
        assert_eq!((self.idle.sleepers(), self.idle.searching()), (0, 0));
    }
}

/// A worker goes to sleep while work is queued: either it sees the work, or it is called.
#[test]
fn queued_work_finds_a_worker() {
    check("idle, one worker and two spawners", 2, || {
        let roll = Roll::new();
        let spawners: Vec<_> = (0..2)
            .map(|_| {
                let roll = roll.clone();
                thread::spawn(move || {
                    roll.queue.fetch_add(1, Ordering::Relaxed);
                    roll.announce();
                })
            })
            .collect();
        roll.work(2);
        for spawner in spawners {
            spawner.join().unwrap();
        }
        roll.assert_quiet();
    });
}

/// The monitor has a worker retire, and takes it back, while it goes to sleep and somebody queues work: afterwards it gets the work, and the counts are
/// what they were.
#[test]
fn queued_work_finds_a_worker_that_was_retired() {
    check("rest, a worker, the monitor and a spawner", 2, || {
        let roll = Roll::new();
        let monitor = thread::spawn({
            let roll = roll.clone();
            move || {
                roll.rest.set_retired(true);
                roll.call();
                roll.rest.set_retired(false);
                roll.call();
            }
        });
        let spawner = thread::spawn({
            let roll = roll.clone();
            move || {
                roll.queue.fetch_add(1, Ordering::Relaxed);
                roll.announce();
            }
        });
        roll.work(1);
        monitor.join().unwrap();
        spawner.join().unwrap();
        roll.assert_quiet();
    });
}

/// The same with a worker that one goroutine has held: it takes work, but nobody calls it for any; when it is let go it is called.
#[test]
fn queued_work_finds_a_worker_that_was_held() {
    check("rest, a held worker, the monitor and a spawner", 2, || {
        let roll = Roll::new();
        roll.rest.set_held(true);
        let monitor = thread::spawn({
            let roll = roll.clone();
            move || {
                roll.rest.set_held(false);
                roll.call();
            }
        });
        let spawner = thread::spawn({
            let roll = roll.clone();
            move || {
                roll.queue.fetch_add(1, Ordering::Relaxed);
                roll.announce();
            }
        });
        roll.work(1);
        monitor.join().unwrap();
        spawner.join().unwrap();
        roll.assert_quiet();
    });
}

/// The monitor begins a nap while the two workers, who sleep, get up: it does not nap on while one is awake and has looked.
#[test]
fn the_monitor_does_not_nap_while_a_worker_is_awake() {
    check("nap, two workers", 4, || {
        let shared = Arc::new((Nap::new(), [Inbox::<usize>::new(), Inbox::new()]));
        let workers: Vec<_> = (0..2)
            .map(|i| {
                assert!(shared.1[i].fall_asleep(Sleep::Counted));
                let shared = shared.clone();
                thread::spawn(move || {
                    assert_eq!(shared.1[i].wake_up(), Some(Sleep::Counted));
                    shared.0.end()
                })
            })
            .collect();
        shared.0.begin(|| shared.1.iter().all(Inbox::is_asleep));
        while shared.0.is_on() {
            thread::yield_now();
        }
        let wakers = workers.into_iter().map(|worker| worker.join().unwrap());
        // Who ends a nap has to wake the thread, and that is one at the most.
        assert!(wakers.filter(|woke| *woke).count() <= 1);
    });
}

#[test]
fn the_spin_lock_excludes() {
    check("spin lock, two threads, twice each", 5, || {
        struct Shared(RawSpinLock, loom::cell::UnsafeCell<usize>);
        // SAFETY: the cell is used under the lock, which is what loom checks here.
        unsafe impl Sync for Shared {}
        // SAFETY: as above.
        unsafe impl Send for Shared {}
        let shared = Arc::new(Shared(RawSpinLock::new(), loom::cell::UnsafeCell::new(0)));
        let add = |shared: &Shared| {
            for _ in 0..2 {
                shared.0.lock();
                shared.1.with_mut(|n| unsafe { *n += 1 });
                unsafe { shared.0.unlock() };
            }
        };
        let other = shared.clone();
        let thread = thread::spawn(move || add(&other));
        add(&shared);
        thread.join().unwrap();
        shared.0.lock();
        assert_eq!(shared.1.with(|n| unsafe { *n }), 4);
    });
}
