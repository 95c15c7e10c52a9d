//! Bugs of gRPC.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use go_runtime::channel::{after, bounded};
use go_runtime::context::{self, Cancel, Context};
use go_runtime::debug::WaitReason::*;
use go_runtime::sync::Mutex;
use go_runtime::time::after_func;
use go_runtime::{go, select};

use crate::{Event, Kernel, chan, parked};

pub(crate) const KERNELS: [Kernel; 8] = [
    Kernel::new("grpc#660", k660, &[]),
    Kernel::new(
        "grpc#795",
        k795,
        &[("graceful stop", MutexLock), ("serve", MutexLock)],
    ),
    Kernel::new("grpc#862", k862, &[("reset", ChanReceive)]),
    Kernel::new("grpc#1275", k1275, &[("read", ChanReceive)]),
    Kernel::new("grpc#1424", k1424, &[]),
    Kernel::new(
        "grpc#1460",
        k1460,
        &[("keepalive", ChanReceive), ("new stream", MutexLock)],
    ),
    Kernel::new(
        "grpc#3017",
        k3017,
        &[("churn", MutexLock), ("test", ChanReceive)],
    ),
    Kernel::new("grpc#862, the caller", k862_caller, &[]),
];

/// grpc#660: a benchmark that is stopped leaves a goroutine behind that sends its result.
///
/// The benchmark owns the receiver here: its drop ends the send.
fn k660(_: bool) {
    let (stop, stopped) = bounded::<()>(0);
    go!(name = "benchmark"; {
        loop {
            let (done, is_done) = bounded(0);
            go!(name = "call"; { done.send(true).is_ok() });
            select! {
                recv(stopped) -> _ => return,
                recv(is_done) -> _ => {}
            }
        }
    });
    drop(stop);
}

/// grpc#795: a server that is stopped a second time locks its mutex twice.
fn k795(fixed: bool) {
    let drains = Arc::new(Mutex::new(false));
    let stopper = go!(name = "graceful stop"; clone(drains) {
        for _ in 0..3 {
            let mut guard = drains.lock().unwrap();
            if *guard && !fixed {
                drop(drains.lock().unwrap());
            }
            *guard = true;
        }
    });
    go!(name = "serve"; {
        if fixed {
            stopper.join().unwrap();
        } else {
            parked("graceful stop", MutexLock);
        }
        drop(drains.lock().unwrap());
    });
}

/// A connection, and how to close it.
struct Connection {
    ctx: Context,
    cancel: Cancel,
    inner: Mutex<Vec<Cancel>>,
}

/// grpc#862: a dial whose context has ended returns no connection, and so does not close the one
/// that it has made, for which a goroutine waits.
fn k862(fixed: bool) {
    let (ctx, cancel) = context::background().with_cancel();
    cancel.cancel();
    let (own, cancel) = context::background().with_cancel();
    let connection = Arc::new(Connection {
        ctx: own,
        cancel,
        inner: Mutex::default(),
    });
    go!(name = "reset"; clone(connection) {
        let (ctx, cancel) = connection.ctx.with_cancel();
        connection.inner.lock().unwrap().push(cancel);
        let _attempt = ctx.with_timeout(Duration::ZERO);
        ctx.done().recv()
    });
    let returned = fixed.then(|| Arc::clone(&connection));
    if let (Some(connection), Some(_)) = (returned, ctx.err()) {
        connection.cancel.cancel();
        connection.inner.lock().unwrap().clear();
    }
}

/// grpc#862, where the caller drops its connection: no goroutine has the handle that cancels, so
/// its drop ends the wait.
fn k862_caller(_: bool) {
    let (ctx, _cancel) = context::background().with_cancel();
    go!(name = "reset"; { ctx.done().recv() });
}

/// grpc#1275: a client closes a stream, and does not tell the goroutine that reads it.
fn k1275(fixed: bool) {
    let stream = Arc::new(chan::<bool>(0));
    let (done, is_done) = bounded::<()>(0);
    go!(name = "read"; clone(stream) {
        let read = stream.recv();
        drop(done);
        read
    });
    if fixed {
        stream.close();
    }
    select! {
        recv(is_done) -> _ => {}
        recv(after(Duration::from_micros(1))) -> _ => {}
    }
}

/// grpc#1424: a watcher returns without closing the channel by which it was to tell its caller.
///
/// The watcher owns the sender here: its drop tells the caller.
fn k1424(_: bool) {
    let (addresses, notified) = bounded::<bool>(0);
    go!(name = "dial"; {
        let (done, is_done) = bounded::<()>(0);
        go!(name = "watcher"; {
            let _done = done;
            while notified.recv().is_ok() {}
        });
        is_done.recv()
    });
    drop(addresses);
}

/// grpc#1460: a goroutine waits for the first stream with the mutex locked that a new stream needs.
fn k1460(fixed: bool) {
    let streams = Arc::new(Mutex::new(0));
    let awaken = chan(usize::from(fixed));
    let locked = Event::default();
    go!(name = "keepalive"; clone(streams, awaken, locked) {
        let guard = streams.lock().unwrap();
        locked.set();
        if *guard == 0 {
            if fixed {
                drop(guard);
                awaken.recv();
            } else {
                awaken.recv();
                drop(guard);
            }
        }
    });
    go!(name = "new stream"; {
        locked.wait();
        let mut guard = streams.lock().unwrap();
        *guard += 1;
        select! {
            send(awaken.tx, ()) -> _ => {}
            default => {}
        }
    });
}

/// grpc#3017: a timer's function that was to be canceled, but had started, returns with the cache
/// locked.
fn k3017(fixed: bool) {
    let cache = Arc::new(Mutex::new(0));
    let (done, is_done) = bounded::<()>(0);
    go!(name = "churn"; {
        for _ in 0..3 {
            // The connection is removed,
            let aborted = Arc::new(AtomicBool::new(false));
            let (started, decided, ended) = (Event::default(), Event::default(), Event::default());
            let guard = cache.lock().unwrap();
            let remove = {
                let (cache, aborted) = (Arc::clone(&cache), Arc::clone(&aborted));
                let (started, decided) = (started.clone(), decided.clone());
                let ended = ended.clone();
                move || {
                    started.set();
                    decided.wait();
                    let mut guard = cache.lock().unwrap();
                    if !aborted.load(Ordering::Acquire) {
                        *guard += 1;
                    } else if !fixed {
                        mem::forget(guard);
                    }
                    ended.set();
                }
            };
            let timer = after_func(Duration::ZERO, remove);
            drop(guard);
            // and made again.
            started.wait();
            let guard = cache.lock().unwrap();
            if !timer.stop() {
                aborted.store(true, Ordering::Release);
            }
            decided.set();
            drop(guard);
            ended.wait();
        }
        drop(done);
    });
    go!(name = "test"; { is_done.recv() });
}
