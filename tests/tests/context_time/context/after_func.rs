//! `after_func`: the function runs once, in a goroutine, unless it is stopped before.

use std::future::Future;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use go_runtime::channel::{self, TryRecvError};
use go_runtime::context::{self, Context};

use super::{LONG, goes_on, is_canceled};

use go_tests::support::{eventually, in_both, in_goroutine};

#[test]
fn it_runs_after_the_end_of_the_context() {
    in_both(|| {
        let (told, tell) = channel::unbounded();
        let (parent, cancel) = context::background().with_cancel();
        let (ctx, _cancel) = parent.with_value(1).with_cancel();
        let stop = ctx.after_func({
            let ctx = ctx.clone();
            move || told.send(ctx.err().is_some()).unwrap()
        });
        assert_eq!(tell.try_recv(), Err(TryRecvError::Empty));
        cancel.cancel();
        assert_eq!(tell.recv(), Ok(true));
        // The context has dropped the function, and with it the sender.
        assert!(tell.recv().is_err());
        assert!(!stop.stop());
    });
}

#[test]
fn it_runs_at_once_if_the_end_has_been() {
    in_both(|| {
        let (told, tell) = channel::unbounded();
        let (canceled, _) = context::background().with_cancel();
        let (late, _cancel) = context::background().with_timeout(Duration::ZERO);
        for ctx in [canceled, late] {
            let told = told.clone();
            let stop = ctx.after_func(move || told.send(()).unwrap());
            assert_eq!(tell.recv(), Ok(()));
            assert!(!stop.stop());
        }
    });
}

#[test]
fn it_runs_after_the_deadline() {
    in_both(|| {
        let (told, tell) = channel::unbounded();
        let (ctx, _cancel) = context::background().with_timeout(Duration::from_millis(1));
        ctx.after_func(move || told.send(()).unwrap());
        assert_eq!(tell.recv(), Ok(()));
    });
}

#[test]
fn all_of_them_run_once() {
    in_both(|| {
        let (told, tell) = channel::unbounded();
        let (ctx, cancel) = context::background().with_cancel();
        let stops: Vec<_> = (0..100)
            .map(|i| {
                let told = told.clone();
                ctx.after_func(move || told.send(i).unwrap())
            })
            .collect();
        for stop in stops.iter().step_by(2) {
            assert!(stop.stop());
        }
        cancel.cancel();
        drop(told);
        let mut numbers: Vec<usize> = tell.iter().collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq((1..100).step_by(2)));
        assert!(stops.iter().all(|stop| !stop.stop()));
    });
}

/// The place of a function is used again, so an old handle must not stop a new function.
#[test]
fn a_handle_stops_its_own_only() {
    in_both(|| {
        let (told, tell) = channel::unbounded();
        let (ctx, cancel) = context::background().with_cancel();
        let old = ctx.after_func(|| unreachable!("it was stopped"));
        assert!(old.stop());
        ctx.after_func(move || told.send(()).unwrap());
        assert!(!old.stop());
        let (child, cancel_child) = ctx.with_cancel();
        assert!(!old.stop());
        cancel_child.cancel();
        is_canceled(&child);
        goes_on(&ctx);
        cancel.cancel();
        assert_eq!(tell.recv(), Ok(()));
    });
}

#[test]
fn stopping_drops_it() {
    in_both(|| {
        let (kept, gone) = channel::bounded::<()>(0);
        let (ctx, _cancel) = context::background().with_timeout(LONG);
        let stop = ctx.after_func(move || drop(kept));
        assert_eq!(gone.try_recv(), Err(TryRecvError::Empty));
        assert!(stop.stop());
        assert_eq!(gone.try_recv(), Err(TryRecvError::Disconnected));
    });
}

#[test]
fn a_context_without_an_end_drops_it() {
    in_both(|| {
        let (kept, gone) = channel::bounded::<()>(0);
        let stop = context::background().after_func(move || drop(kept));
        assert_eq!(gone.try_recv(), Err(TryRecvError::Disconnected));
        assert!(stop.stop());
        assert!(!stop.stop());
    });
}

/// Dropping the last handle ends the context, so the function runs.
#[test]
fn it_runs_when_the_last_handle_goes() {
    in_both(|| {
        let (told, tell) = channel::unbounded();
        let (ctx, cancel) = context::background().with_cancel();
        cancel.detach();
        let stop = ctx.after_func(move || told.send(()).unwrap());
        assert_eq!(tell.try_recv(), Err(TryRecvError::Empty));
        drop(ctx);
        assert_eq!(tell.recv(), Ok(()));
        assert!(!stop.stop());
    });
}

/// A function may cancel during a cancel, add another function, and drop its own handle.
#[test]
fn a_function_may_do_everything() {
    in_both(|| {
        let (told, tell) = channel::unbounded();
        let (ctx, cancel) = context::background().with_cancel();
        ctx.after_func({
            let (ctx, cancel) = (ctx.clone(), cancel.clone());
            move || {
                cancel.cancel();
                let (child, _cancel) = ctx.with_cancel();
                is_canceled(&child);
                ctx.after_func(move || told.send(()).unwrap());
            }
        });
        cancel.cancel();
        assert_eq!(tell.recv(), Ok(()));
    });
}

/// A function's panic ends its own goroutine; the other functions run.
#[test]
fn a_panic_in_it_is_nobody_elses() {
    in_both(|| {
        let (told, tell) = channel::unbounded();
        let (ctx, cancel) = context::background().with_cancel();
        for i in 0..3 {
            let told = told.clone();
            ctx.after_func(move || {
                if i == 1 {
                    panic!("on purpose");
                }
                told.send(i).unwrap();
            });
        }
        drop(told);
        cancel.cancel();
        let mut numbers: Vec<i32> = tell.iter().collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 2]);
    });
}

/// A value that a function owns may panic when it is dropped: the caller gets the panic, and
/// nothing else is affected.
#[test]
fn a_drop_that_panics() {
    struct Bomb(Arc<AtomicUsize>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            panic!("on purpose");
        }
    }
    in_goroutine(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let bomb = Bomb(Arc::clone(&drops));
        let (ctx, cancel) = context::background().with_cancel();
        let stop = ctx.after_func(move || drop(bomb));
        assert!(catch_unwind(|| stop.stop()).is_err());
        assert!(!stop.stop());
        let bomb = Bomb(Arc::clone(&drops));
        let valued = ctx.with_value(1).with_value(bomb).with_value(2);
        assert!(catch_unwind(move || drop(valued)).is_err());
        assert_eq!(drops.load(Ordering::Relaxed), 2);
        goes_on(&ctx);
        cancel.cancel();
        is_canceled(&ctx);
    });
}

/// A cancel calls wakers and drops values without holding a lock, so these may use the context.
#[test]
fn others_code_may_ask() {
    struct Asks {
        ctx: Context,
        asked: Arc<AtomicUsize>,
    }
    impl Asks {
        fn ask(&self) {
            assert!(self.ctx.cause().is_some());
            is_canceled(&self.ctx.with_timeout(LONG).0);
            assert!(!self.ctx.after_func(|| ()).stop());
            self.asked.fetch_add(1, Ordering::Relaxed);
        }
    }
    impl Wake for Asks {
        fn wake(self: Arc<Self>) {
            self.ask();
        }
    }
    impl Drop for Asks {
        fn drop(&mut self) {
            self.ask();
        }
    }
    in_both(|| {
        let asked = Arc::new(AtomicUsize::new(0));
        let (ctx, cancel) = context::background().with_cancel();
        let asks = Asks {
            ctx: ctx.clone(),
            asked: Arc::clone(&asked),
        };
        let waker = Waker::from(Arc::new(asks));
        let done = ctx.done().clone();
        let mut waiting = Box::pin(done.recv_async());
        let mut task = std::task::Context::from_waker(&waker);
        assert!(waiting.as_mut().poll(&mut task).is_pending());
        let kept = waker.clone();
        ctx.after_func(move || drop(kept));
        drop(waker);
        cancel.cancel();
        drop(waiting);
        // The waker is woken once, and its data is dropped once, with the last clone.
        eventually(|| asked.load(Ordering::Relaxed) == 2);
    });
}
