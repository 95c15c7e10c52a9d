//! Bugs of Istio.

use std::sync::Arc;
use std::time::Duration;

use go_runtime::context;
use go_runtime::debug::WaitReason::*;
use go_runtime::sync::Mutex;
use go_runtime::time::Timer;
use go_runtime::{go, select};

use crate::{Event, Kernel, chan};

pub(crate) const KERNELS: [Kernel; 3] = [
    Kernel::new(
        "istio#16224",
        k16224,
        &[("controller", ChanSend), ("test", MutexLock)],
    ),
    Kernel::new("istio#17860", k17860, &[("run wait", ChanSend)]),
    Kernel::new(
        "istio#18454",
        k18454,
        &[("strategy", ChanReceive), ("processor", ChanSend)],
    ),
];

/// istio#16224: a handler tells the test that it is done with the mutex locked that the test locks
/// before it listens.
fn k16224(fixed: bool) {
    let (events, done, stop) = (chan::<u32>(0), chan::<()>(0), chan::<()>(0));
    let mutex = Arc::new(Mutex::new(0));
    let locked = Event::default();
    go!(name = "controller"; clone(events, done, stop, mutex, locked) {
        loop {
            select! {
                recv(stop.rx) -> _ => return,
                recv(events.rx) -> event => {
                    let mut seen = mutex.lock().unwrap();
                    locked.set();
                    *seen += event.unwrap();
                    if fixed {
                        drop(seen);
                        done.send(());
                    } else {
                        done.send(());
                        drop(seen);
                    }
                }
            }
        }
    });
    go!(name = "test"; {
        events.send(1);
        locked.wait();
        assert_eq!(*mutex.lock().unwrap(), 1);
        done.recv();
        stop.close();
    });
}

/// istio#17860: an agent stops to receive when no epoch is active, and then is restarted.
fn k17860(fixed: bool) {
    // One of them has its status received, the other one's stays in the buffer.
    let status = chan::<u32>(usize::from(fixed));
    let (ctx, cancel) = context::background().with_cancel();
    go!(name = "first"; clone(status) { status.send(1) });
    let run = go!(name = "run"; clone(status, ctx) {
        select! {
            recv(status.rx) -> epoch => assert_eq!(epoch, Ok(1)),
            recv(ctx.done()) -> _ => {}
        }
    });
    run.join().unwrap();
    go!(name = "run wait"; { status.send(2) });
    cancel.cancel();
}

/// istio#18454: a loop that has received its timer's message stops the timer and waits for the same
/// message again. Another goroutine waits for room in the loop's channel.
fn k18454(fixed: bool) {
    let (reset, events) = (chan::<()>(1), chan::<u32>(1024));
    let (ctx, cancel) = context::background().with_cancel();
    let expired = Event::default();
    for event in 0..4 {
        events.send(event);
    }
    go!(name = "strategy"; clone(reset, ctx, expired) {
        let timer = Timer::new(Duration::ZERO);
        loop {
            select! {
                recv(timer.channel()) -> _ => expired.set(),
                recv(reset.rx) -> _ => {
                    if !timer.stop() {
                        if fixed {
                            let _nothing = timer.channel().try_recv();
                        } else {
                            let _message = timer.channel().recv();
                        }
                    }
                    timer.reset(Duration::from_secs(3600));
                }
                recv(ctx.done()) -> _ => return,
            }
        }
    });
    go!(name = "processor"; {
        expired.wait();
        while let Ok(_event) = events.rx.try_recv() {
            reset.send(());
        }
        cancel.cancel();
    });
}
