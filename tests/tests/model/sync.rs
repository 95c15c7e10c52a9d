//! What is built on the wait queue besides channels.

#[path = "../../../go-runtime/src/sync/wait_group/counter.rs"]
mod counter;

use std::panic::{AssertUnwindSafe, catch_unwind};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use self::counter::Counter;
use crate::check;

/// Who waits for the next round is not released by the last `done` of the one before.
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
            group.wait();
            assert!(ended.load(Ordering::Relaxed), "wait returned early");
            // The second round may begin before the thread of the first has left `done`.
            drop(thread);
        }
    });
}

/// A `done` too many panics, and nobody notices otherwise: of two for one announced just one is refused.
#[test]
fn a_done_too_many_leaves_the_group_usable() {
    check("wait group, a done too many", 3, || {
        let group = Arc::new(Counter::new());
        let there = group.clone();
        let done = |group: &Counter| catch_unwind(AssertUnwindSafe(|| group.done())).is_ok();
        let thread = thread::spawn(move || {
            there.add(1);
            let accepted = done(&there);
            there.wait();
            accepted
        });
        let accepted = done(&group);
        assert!(thread.join().unwrap() != accepted);
        group.wait();
    });
}
