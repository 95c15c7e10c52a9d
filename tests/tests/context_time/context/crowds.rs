//! Very many children, and very long chains: each context is processed once, and without recursion.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use go_runtime::channel;
use go_runtime::context::{self, Cancel, Context};

use super::{LONG, goes_on, is_canceled};

use go_tests::support::{in_both, in_goroutine};

const MANY: usize = if cfg!(debug_assertions) {
    30_000
} else {
    100_000
};
/// Deep enough to overflow any stack by recursion, however small a frame is.
const DEEP: usize = 100_000;

#[test]
fn many_children_end_with_their_parent() {
    in_both(|| {
        let (parent, cancel) = context::background().with_cancel();
        let children: Vec<(Context, Cancel)> = (0..MANY).map(|_| parent.with_cancel()).collect();
        cancel.cancel();
        let ended = children.iter().filter(|(ctx, _)| ctx.err().is_some());
        assert_eq!(ended.count(), MANY);
        is_canceled(&children[MANY / 2].0);
    });
}

#[test]
fn many_children_go_one_by_one() {
    in_both(|| {
        let (parent, _cancel) = context::background().with_cancel();
        let mut children: Vec<_> = (0..MANY).map(|_| parent.with_timeout(LONG)).collect();
        fastrand::shuffle(&mut children);
        let mut detached = Vec::new();
        for (i, (ctx, cancel)) in children.into_iter().enumerate() {
            match i % 4 {
                0 => cancel.cancel(),
                1 => drop(cancel),
                2 => cancel.detach(),
                _ => {
                    cancel.detach();
                    detached.push(ctx);
                }
            }
        }
        detached.iter().for_each(|ctx| assert!(ctx.err().is_none()));
        goes_on(&parent);
    });
}

#[test]
fn many_functions_of_one_context() {
    in_both(|| {
        let (ran, count) = channel::unbounded();
        let (ctx, cancel) = context::background().with_cancel();
        for _ in 0..MANY / 10 {
            let ran = ran.clone();
            ctx.after_func(move || ran.send(()).unwrap());
        }
        drop(ran);
        cancel.cancel();
        assert_eq!(count.iter().count(), MANY / 10);
    });
}

fn chain() -> Vec<(Context, Cancel)> {
    let mut chain = vec![context::background().with_cancel()];
    for i in 1..DEEP {
        chain.push(chain[i - 1].0.with_cancel());
    }
    chain
}

#[test]
fn a_long_chain_ends_from_its_head() {
    in_goroutine(|| {
        let chain = chain();
        chain[0].1.cancel();
        assert!(chain.iter().all(|(ctx, _)| ctx.err().is_some()));
        is_canceled(&chain[DEEP - 1].0);
    });
}

#[test]
fn a_long_chain_ends_at_its_deadline() {
    in_goroutine(|| {
        let (mut ctx, cancel) = context::background().with_timeout(Duration::from_millis(300));
        cancel.detach();
        for _ in 1..DEEP {
            let (below, cancel) = ctx.with_timeout(LONG);
            cancel.detach();
            ctx = below;
        }
        // Either this call or the timer ends the context.
        while ctx.err().is_none() {}
        super::is_late(&ctx);
    });
}

/// Only the last context of the chain has a handle; when it is dropped all of them are.
#[test]
fn a_long_chain_goes_at_once() {
    in_both(|| {
        let (told, tell) = channel::unbounded();
        let (first, cancel) = context::background().with_cancel();
        cancel.detach();
        let done = first.done().clone();
        first.after_func(move || told.send(()).unwrap());
        let mut ctx = first;
        for _ in 1..DEEP {
            let (below, cancel) = ctx.with_cancel();
            cancel.detach();
            ctx = below;
        }
        goes_on(&ctx);
        drop(ctx);
        assert!(done.recv().is_err());
        assert_eq!(tell.recv(), Ok(()));
    });
}

#[test]
fn a_long_list_of_values_goes_at_once() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    in_both(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let mut ctx = context::background().with_value("at the bottom");
        for _ in 0..DEEP {
            ctx = ctx.with_value(Counted(Arc::clone(&drops)));
        }
        let clone = ctx.clone();
        drop(ctx);
        assert_eq!(drops.load(Ordering::Relaxed), 0);
        assert_eq!(clone.value(), Some(&"at the bottom"));
        drop(clone);
        assert_eq!(drops.load(Ordering::Relaxed), DEEP);
    });
}
