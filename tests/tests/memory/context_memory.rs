//! Contexts and groups that come and go do not make memory grow: an allocator counts the bytes in
//! use. A parent that lives on keeps no entries of dropped children, and the clock keeps none of
//! their alarms.

use std::ops::Range;
use std::time::Duration;

use go_runtime::channel;
use go_runtime::context::{self, Context};
use go_runtime::errgroup::Group;

use go_tests::support::memory::in_use;
use go_tests::support::{in_goroutine, on_thread};

const TIMES: usize = if cfg!(debug_assertions) {
    20_000
} else {
    200_000
};
/// Bytes by which the runtime, the test harness and other threads may change the count.
const BOUND: isize = 32 << 10;
const LONG: Duration = Duration::from_secs(3_600);

/// Compares the bytes in use after a tenth of the rounds, halfway from there, and at the end: a
/// leak grows in both halves.
fn grows_not(name: &str, times: usize, mut round: impl FnMut(usize)) {
    let warm_up = times / 10;
    let middle = warm_up.midpoint(times);
    let mut used_after = |rounds: Range<usize>| {
        rounds.for_each(&mut round);
        in_use()
    };
    let before = used_after(0..warm_up);
    let between = used_after(warm_up..middle);
    let after = used_after(middle..times);
    let grown = (between - before).min(after - between);
    assert!(
        grown < BOUND,
        "{name}: {grown} bytes in {} rounds",
        times / 2
    );
}

fn all_of(parent: &Context) {
    grows_not("children, dropped", TIMES, |i| {
        let (ctx, cancel) = parent.with_cancel();
        if i % 2 == 0 {
            cancel.detach();
        }
        let (_below, cancel) = ctx.with_value(i).with_cancel_cause();
        if i % 3 == 0 {
            cancel.cancel("a cause");
        }
    });
    grows_not("deadlines, called off", TIMES, |i| {
        // Each deadline is before the parent's, so each context has an alarm.
        let (ctx, cancel) = parent.with_timeout_cause(LONG / 2, "slow");
        let (_below, _cancel) = ctx.with_timeout(LONG / 3);
        match i % 3 {
            0 => cancel.cancel(),
            1 => drop(cancel),
            _ => cancel.detach(),
        }
    });
    grows_not("deadlines that have passed", TIMES, |i| {
        let (ctx, cancel) = parent.with_timeout(Duration::from_nanos(i as u64 % 2));
        cancel.detach();
        assert!(ctx.done().recv().is_err());
    });
    grows_not("functions, stopped", TIMES, |_| {
        assert!(parent.after_func(|| ()).stop());
    });
    grows_not("functions that run", TIMES / 4, |_| {
        let (told, tell) = channel::bounded(1);
        let (ctx, _) = parent.with_cancel();
        ctx.after_func(move || told.send(()).unwrap());
        assert_eq!(tell.recv(), Ok(()));
    });
    grows_not("groups", TIMES / 4, |i| {
        let (group, ctx) = Group::with_context(parent);
        group.set_limit(2);
        for j in 0..3 {
            group.go(move || if i % 3 == j { Err(i) } else { Ok(()) });
        }
        assert_eq!(group.wait(), Err(i));
        assert!(ctx.err().is_some());
    });
    // A large crowd does not leave its memory allocated.
    grows_not("crowds", 10, |_| {
        let crowd: Vec<_> = (0..TIMES / 4).map(|_| parent.with_cancel()).collect();
        drop(crowd);
    });
    let before = in_use();
    let crowd: Vec<_> = (0..2 * TIMES).map(|_| parent.with_cancel()).collect();
    drop(crowd);
    let kept = in_use() - before;
    assert!(kept < BOUND, "a crowd leaves {kept} bytes");
}

/// Runs the checks one after the other, because all are measured by the same number.
#[test]
fn what_comes_and_goes_leaves_nothing() {
    let _alone = crate::alone();
    let test = || {
        let (parent, _cancel) = context::background().with_timeout(LONG);
        all_of(&parent);
    };
    in_goroutine(test);
    on_thread(test);
}
