//! Properties of a case that hold on any machine, however busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use go_crates::cases::Case;
use go_crates::world::World;
use go_runtime::{blocking, channel, go};

/// Time after which a case counts as hanging. The failure then names the test, which the time limit
/// of CI would not.
const FOREVER: Duration = Duration::from_secs(60);

/// Checks the crate's results, and whether the worker's other goroutines run while it waits.
pub(crate) fn check(world: &'static World, case: Case) {
    let wait = world.shut(case.needs);
    let (started_tx, started) = channel::unbounded();
    let (sibling_tx, sibling) = channel::unbounded();
    let ended = Arc::new(AtomicBool::new(false));
    let before = {
        let (ended, holds_worker) = (Arc::clone(&ended), case.holds_worker());
        move || {
            if holds_worker {
                // If the worker is free during the call, this goroutine runs before its end.
                go!(local; { sibling_tx.send(ended.load(Ordering::Relaxed)).unwrap() });
            }
            started_tx.send(()).unwrap();
        }
    };
    let (after_tx, after) = channel::unbounded();
    let task = case.start(world, wait.clone(), before, move || {
        ended.store(true, Ordering::Relaxed);
        after_tx.send(()).unwrap();
    });
    let open = move || {
        started.recv().unwrap();
        blocking(|| world.open(&wait, case.needs));
    };
    if case.holds_worker() {
        thread::spawn(open);
    } else {
        // A goroutine opens the gate: with one worker, it never would if the crate held the worker.
        go!({ open() });
    }
    assert!(
        after.recv_timeout(FOREVER).is_ok() || task.is_finished(),
        "the call does not return"
    );
    task.join().unwrap();
    if case.holds_worker() {
        let waited = sibling.recv_timeout(FOREVER).unwrap();
        assert!(
            waited,
            "the call does not hold its worker: the page on crates is to say so"
        );
    }
}
