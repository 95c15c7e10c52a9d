//! The types that are built on the wait queue, apart from channels.

#[path = "../../../go-runtime/src/sync/barrier.rs"]
mod barrier;
#[path = "../../../go-runtime/src/sync/wait_group/counter.rs"]
mod counter;
#[path = "../../../go-runtime/src/sync/once.rs"]
mod once;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use self::barrier::Barrier;
use self::counter::Counter;
use self::once::Once;
use crate::channel::bounded;
use crate::check;
use crate::wait::{WaitReason, Woken};

/// The last `done` of one round does not release a waiter for the next round.
#[test]
fn a_wait_group_can_be_used_again() {
    check("wait group, two rounds", 3, || {
        let group = Arc::new(Counter::new());
        for _ in 0..2 {
            group.add(1);
            let ended = Arc::new(AtomicBool::new(false));
            let (there, flag) = (group.clone(), ended.clone());
            let thread = thread::spawn(move || {
                flag.store(true, Ordering::Relaxed);
                there.done();
            });
            group.wait(WaitReason::WaitGroupWait);
            assert!(ended.load(Ordering::Relaxed), "wait returned early");
            // The second round may begin before the thread of the first has left `done`.
            drop(thread);
        }
    });
}

/// A wait is ended by the group or by its done channel, whichever comes first, and leaves nothing
/// in either's queue.
#[test]
fn a_wait_beside_a_done_channel() {
    check("wait group, beside a done channel", 2, || {
        let group = Arc::new(Counter::new());
        group.add(1);
        let (stop, done) = bounded::<()>(0);
        let there = group.clone();
        let ending = thread::spawn(move || there.done());
        let stopping = thread::spawn(move || drop(stop));
        let woken = group.wait_until(None, Some(&done));
        assert!(matches!(woken, Woken::ByEvent | Woken::ByDone));
        ending.join().unwrap();
        stopping.join().unwrap();
        group.wait(WaitReason::WaitGroupWait);
        assert_eq!(group.wait_until(None, Some(&done)), Woken::ByDone);
    });
}

/// A `done` too many panics and has no other effect: if one task was announced and two threads call
/// `done`, exactly one call is refused.
#[test]
fn a_done_too_many_leaves_the_group_usable() {
    check("wait group, a done too many", 3, || {
        let group = Arc::new(Counter::new());
        let there = group.clone();
        let done = |group: &Counter| catch_unwind(AssertUnwindSafe(|| group.done())).is_ok();
        let thread = thread::spawn(move || {
            there.add(1);
            let accepted = done(&there);
            there.wait(WaitReason::WaitGroupWait);
            accepted
        });
        let accepted = done(&group);
        assert!(thread.join().unwrap() != accepted);
        group.wait(WaitReason::WaitGroupWait);
    });
}

/// A number that is made once. loom reports a read that is not ordered after the write.
struct Made {
    once: Once,
    number: UnsafeCell<usize>,
}

// SAFETY: the cell is written only by the call that `once` makes, and read only once that has
// ended. (loom reports accesses that are not ordered.)
unsafe impl Send for Made {}
// SAFETY: the cell is written only by the call that `once` makes, and read only once that has
// ended. (loom reports accesses that are not ordered.)
unsafe impl Sync for Made {}

impl Made {
    fn new() -> Arc<Made> {
        Arc::new(Made {
            once: Once::new(),
            number: UnsafeCell::new(0),
        })
    }

    fn make(&self) {
        // SAFETY: `once` makes one call at a time. (loom checks that.)
        self.number.with_mut(|number| unsafe { *number += 1 });
    }

    fn is_made_once(&self) -> bool {
        // SAFETY: the call that writes has ended. (loom checks that.)
        self.once.is_completed() && self.number.with(|number| unsafe { *number }) == 1
    }
}

#[test]
fn of_callers_at_the_same_time_one_runs_and_all_see_it() {
    check("once, two call and one waits", 2, || {
        let made = Made::new();
        let (there, waits) = (made.clone(), made.clone());
        let calls = thread::spawn(move || {
            there.once.call_once(|| there.make());
            assert!(there.is_made_once());
        });
        let waits = thread::spawn(move || {
            waits.once.wait();
            assert!(waits.is_made_once());
        });
        made.once.call_once(|| made.make());
        assert!(made.is_made_once());
        calls.join().unwrap();
        waits.join().unwrap();
    });
}

/// When an initializer panics, a waiting caller is told, and does not wait on. One of the callers
/// that ignore poisoning runs its own initializer, and the others wait for that one.
#[test]
fn a_panic_leaves_no_caller_waiting() {
    check(
        "once, a panic, one that minds and one that does not",
        1,
        || {
            let made = Made::new();
            let (force, minds) = (made.clone(), made.clone());
            let force = thread::spawn(move || {
                force.once.call_once_force(|_| force.make());
                assert!(force.is_made_once());
            });
            let minds = thread::spawn(move || {
                let refused = minds.once.run(false, |_| minds.make()).is_err();
                assert!(refused || minds.is_made_once());
            });
            // The result is ignored: the call panics only if no other initializer ran before.
            // (`resume_unwind` skips the panic hook, which would print a message in each run.)
            let _ = catch_unwind(AssertUnwindSafe(|| {
                made.once
                    .call_once(|| resume_unwind(Box::new("on purpose")));
            }));
            made.once.wait_force();
            assert!(made.is_made_once());
            force.join().unwrap();
            minds.join().unwrap();
        },
    );
}

/// In each round all threads have arrived before one goes on, and exactly one of them leads.
fn meet(name: &str, preemptions: usize, others: usize, rounds: usize) {
    use std::sync::atomic::AtomicUsize;
    check(name, preemptions, move || {
        // (std's atomics: these only count, so loom need not see them.)
        let leaders = Arc::new(AtomicUsize::new(0));
        let come = Arc::new(AtomicUsize::new(0));
        let barrier = Arc::new(Barrier::new(others + 1));
        let takes_part = move || {
            for round in 1..=rounds {
                come.fetch_add(1, Ordering::Relaxed);
                let is_leader = barrier.wait().is_leader();
                leaders.fetch_add(usize::from(is_leader), Ordering::Relaxed);
                assert!(come.load(Ordering::Relaxed) >= round * (others + 1));
            }
            leaders.load(Ordering::Relaxed)
        };
        let threads: Vec<_> = (0..others)
            .map(|_| thread::spawn(takes_part.clone()))
            .collect();
        let mut leaders = takes_part();
        for thread in threads {
            leaders = leaders.max(thread.join().unwrap());
        }
        assert_eq!(leaders, rounds);
    });
}

#[test]
fn all_meet_at_a_barrier() {
    meet("barrier, two, two rounds", 4, 1, 2);
    meet("barrier, three", 2, 2, 1);
}
