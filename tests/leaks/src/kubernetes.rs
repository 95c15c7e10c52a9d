//! Bugs of Kubernetes.

use std::sync::Arc;
use std::time::Duration;

use go_runtime::channel::{Receiver, after, bounded, tick};
use go_runtime::context;
use go_runtime::debug::WaitReason::*;
use go_runtime::sync::{Condvar, Mutex, MutexGuard, RwLock};
use go_runtime::{go, select};

use crate::{Chan, Event, Kernel, Meeting, chan, parked};

pub(crate) const KERNELS: [Kernel; 14] = [
    Kernel::new(
        "kubernetes#1321",
        k1321,
        &[("loop", ChanSend), ("test", MutexLock)],
    ),
    Kernel::new("kubernetes#5316", k5316, &[]),
    Kernel::new(
        "kubernetes#6632",
        k6632,
        &[("monitor", MutexLock), ("write frame", ChanSend)],
    ),
    Kernel::new(
        "kubernetes#10182",
        k10182,
        &[("sync", MutexLock), ("second", ChanSend)],
    ),
    Kernel::new(
        "kubernetes#11298",
        k11298,
        &[
            ("waiter", CondvarWait),
            ("service", ChanReceive),
            ("test", ChanReceive),
        ],
    ),
    Kernel::new(
        "kubernetes#13135",
        k13135,
        &[("util", MutexLock), ("add", MutexLock)],
    ),
    Kernel::new("kubernetes#25331", k25331, &[("run", ChanSend)]),
    Kernel::new(
        "kubernetes#26980",
        k26980,
        &[
            ("pop", ChanReceive),
            ("locker", MutexLock),
            ("test", ChanReceive),
        ],
    ),
    Kernel::new(
        "kubernetes#30872",
        k30872,
        &[
            ("controller", MutexLock),
            ("handler", MutexLock),
            ("stop", MutexLock),
        ],
    ),
    Kernel::new("kubernetes#38669", k38669, &[("process", ChanSend)]),
    Kernel::new(
        "kubernetes#58107",
        k58107,
        &[
            ("worker", CondvarWait),
            ("sync", RwLockWrite),
            ("other worker", RwLockRead),
        ],
    ),
    Kernel::new(
        "kubernetes#62464",
        k62464,
        &[("reconcile", RwLockRead), ("remove", RwLockWrite)],
    ),
    Kernel::new("kubernetes#70277", k70277, &[("test", ChanReceive)]),
    Kernel::new("kubernetes#70277, its poller", k70277_poller, &[]),
];

/// kubernetes#1321: a mux sends to a watcher with its mutex locked, which the watcher needs to be
/// taken off the list.
fn k1321(fixed: bool) {
    let watchers = Arc::new(Mutex::new(vec![chan::<u32>(0)]));
    let locked = Event::default();
    go!(name = "loop"; clone(watchers, locked) {
        for event in 0..3 {
            let watchers = watchers.lock().unwrap();
            locked.set();
            for one in watchers.iter() {
                one.send(event);
            }
        }
    });
    let watcher = watchers.lock().unwrap()[0].clone();
    go!(name = "test"; {
        locked.wait();
        if fixed {
            go!(name = "drain"; clone(watcher) { while watcher.recv().is_some() {} });
        }
        watchers.lock().unwrap().clear();
        watcher.close();
    });
}

/// kubernetes#5316: a request that takes too long is given up, and sends its result later.
///
/// The caller owns the receivers here: their drop ends the send.
fn k5316(_: bool) {
    let gave_up = Event::default();
    go!(name = "finish"; {
        let (result, results) = bounded::<bool>(0);
        let (error, errors) = bounded::<String>(0);
        go!(name = "request"; clone(gave_up) {
            gave_up.wait();
            match result.send(true) {
                Ok(()) => {}
                Err(_) => assert!(error.send(String::new()).is_err()),
            }
        });
        select! {
            recv(results) -> _ => {}
            recv(errors) -> _ => {}
            recv(after(Duration::from_micros(1))) -> _ => {}
        }
        drop((results, errors));
        gave_up.set();
    });
}

/// kubernetes#6632: a frame is written with the lock held, and waits for the monitor to be told;
/// the monitor wants the lock.
fn k6632(fixed: bool) {
    let (reset, close) = (chan::<bool>(0), chan::<bool>(0));
    let open = Arc::new(Mutex::new(true));
    let locked = Event::default();
    go!(name = "helper"; clone(close) { close.send(true) });
    go!(name = "monitor"; clone(reset, open, locked) {
        close.recv();
        locked.wait();
        if fixed {
            go!(name = "drain"; clone(reset) { while reset.recv().is_some() {} });
        }
        *open.lock().unwrap() = false;
        reset.close();
    });
    go!(name = "write frame"; {
        let open = open.lock().unwrap();
        locked.set();
        if *open {
            reset.send(true);
        }
    });
}

/// kubernetes#10182: a status is sent with the lock held that the receiver of the last one needs.
fn k10182(fixed: bool) {
    let statuses = Arc::new(Mutex::new(0));
    let channel = chan::<bool>(0);
    let received = Event::default();
    let set = move |statuses: Arc<Mutex<i32>>, channel: Chan<bool>| {
        let mut guard = statuses.lock().unwrap();
        *guard += 1;
        if fixed {
            drop(guard);
            channel.send(true);
        } else {
            channel.send(true);
        }
    };
    go!(name = "sync"; clone(statuses, channel, received) {
        for _batch in 0..2 {
            channel.recv();
            received.set();
            if !fixed {
                parked("second", ChanSend);
            }
            *statuses.lock().unwrap() -= 1;
        }
    });
    go!(name = "first"; clone(statuses, channel, set) { set(statuses, channel) });
    go!(name = "second"; {
        received.wait();
        set(statuses, channel);
    });
}

/// kubernetes#11298: a service starts a goroutine that waits for a signal, and when it is aborted
/// gives the signal before that goroutine waits.
///
/// Go's kernel lets that goroutine unlock the service's mutex; here it locks the mutex itself.
fn k11298(fixed: bool) {
    let notifier = Arc::new((Mutex::new(false), Condvar::new()));
    let (abort, aborted) = bounded::<()>(0);
    let (done, is_done) = bounded::<()>(0);
    let signaled = Event::default();
    go!(name = "service"; {
        let _done = done;
        let (ended, has_ended) = bounded::<()>(0);
        go!(name = "waiter"; clone(notifier, signaled) {
            let _ended = ended;
            signaled.wait();
            let (is_aborted, signal) = &*notifier;
            let guard = is_aborted.lock().unwrap();
            // Without the repair the flag says nothing.
            drop(signal.wait_while(guard, |is_aborted| !(fixed && *is_aborted)));
        });
        let _aborted = aborted.recv();
        let (is_aborted, signal) = &*notifier;
        *is_aborted.lock().unwrap() = true;
        signal.notify_one();
        signaled.set();
        let _ended = has_ended.recv();
    });
    go!(name = "test"; { is_done.recv() });
    drop(abort);
}

/// kubernetes#13135: the cacher locks itself and then its cache, of which an event locks the cache
/// and then the cacher.
fn k13135(fixed: bool) {
    struct Cacher {
        ready: Mutex<bool>,
        cache: Mutex<u32>,
    }
    impl Cacher {
        fn replace(&self, guard: Option<MutexGuard<'_, bool>>) {
            *self.cache.lock().unwrap() = 0;
            let mut ready = guard.unwrap_or_else(|| self.ready.lock().unwrap());
            *ready = true;
        }
    }
    let cacher = Arc::new(Cacher {
        ready: Mutex::new(false),
        cache: Mutex::new(0),
    });
    let both = Meeting::default();
    go!(name = "util"; clone(cacher, both) {
        let guard = cacher.ready.lock().unwrap();
        both.wait();
        cacher.replace((!fixed).then_some(guard));
    });
    go!(name = "add"; {
        let mut cache = cacher.cache.lock().unwrap();
        *cache += 1;
        both.wait();
        if fixed {
            drop(cache);
        }
        drop(cacher.ready.lock().unwrap());
    });
}

/// kubernetes#25331: a watch that has failed cancels itself and then sends the failure, for which
/// no goroutine waits.
fn k25331(fixed: bool) {
    let (errors, results) = (chan::<u32>(0), chan::<u32>(0));
    let (ctx, cancel) = context::background().with_cancel();
    go!(name = "run"; clone(errors, ctx, cancel) {
        select! {
            recv(errors.rx) -> error => {
                let error = error.unwrap();
                if fixed {
                    select! {
                        send(results.tx, error) -> _ => {}
                        recv(ctx.done()) -> _ => {}
                    }
                } else {
                    cancel.cancel();
                    results.send(error);
                }
            }
            recv(ctx.done()) -> _ => {}
        }
    });
    go!(name = "stop"; {
        errors.send(1);
        cancel.cancel();
    });
}

/// kubernetes#26980: a listener waits to be stopped with its lock held, and who stops it wants the
/// lock before.
fn k26980(fixed: bool) {
    let pending = Arc::new(Mutex::new(vec![1]));
    go!(name = "test"; {
        let (stop, stopped) = bounded::<()>(0);
        let (result, results) = bounded::<()>(0);
        let locked = Event::default();
        go!(name = "pop"; clone(pending, locked) {
            let guard = pending.lock().unwrap();
            locked.set();
            assert_eq!(guard.len(), 1);
            if fixed {
                drop(guard);
            }
            stopped.recv().is_err()
        });
        go!(name = "locker"; {
            locked.wait();
            let _guard = pending.lock().unwrap();
            drop(result);
        });
        let _result = results.recv();
        drop(stop);
    });
}

/// kubernetes#30872: one goroutine locks the queue and then the informer, another one the informer
/// and then the queue, and a third one wants the informer.
fn k30872(fixed: bool) {
    let (informer, queue) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
    let both = Meeting::default();
    let has_both = Event::default();
    go!(name = "controller"; clone(informer, queue, both) {
        let mut queue = queue.lock().unwrap();
        both.wait();
        *queue += 1;
        *informer.lock().unwrap() += *queue;
    });
    go!(name = "handler"; clone(informer, has_both) {
        let informer = informer.lock().unwrap();
        both.wait();
        has_both.set();
        if fixed {
            drop(informer);
        }
        *queue.lock().unwrap() += 1;
    });
    go!(name = "stop"; {
        has_both.wait();
        *informer.lock().unwrap() = 0;
    });
}

/// kubernetes#38669: a watcher is stopped before any goroutine has received its first events.
fn k38669(fixed: bool) {
    let room = if fixed { 2 } else { 0 };
    let (input, result) = (chan::<u32>(0), chan::<u32>(room));
    go!(name = "process"; clone(input, result) {
        for event in [1, 2] {
            result.send(event);
        }
        while input.recv().is_some() {}
        result.close();
    });
    input.close();
}

/// A queue of work.
#[derive(Default)]
struct Queue {
    items: Mutex<u32>,
    filled: Condvar,
}

impl Queue {
    fn get(&self) {
        let items = self.items.lock().unwrap();
        let mut items = self.filled.wait_while(items, |items| *items == 0).unwrap();
        *items -= 1;
    }

    fn put(&self) {
        *self.items.lock().unwrap() += 1;
        self.filled.notify_one();
    }
}

/// kubernetes#58107: a worker waits for work with the lock held for reading; a writer waits for
/// that, and a second worker for the writer. The work of the first one comes when the second one
/// has done its own.
fn k58107(fixed: bool) {
    let lock = Arc::new(RwLock::new(()));
    let queues = Arc::new([Queue::default(), Queue::default()]);
    let reads = Event::default();
    go!(name = "worker"; clone(lock, queues, reads) {
        if fixed {
            reads.set();
            queues[0].get();
            let _lock = lock.read().unwrap();
        } else {
            let _lock = lock.read().unwrap();
            reads.set();
            queues[0].get();
        }
    });
    go!(name = "sync"; clone(lock) {
        reads.wait();
        let _lock = lock.write().unwrap();
    });
    go!(name = "other worker"; {
        if !fixed {
            parked("sync", RwLockWrite);
        }
        queues[1].put();
        let _lock = lock.read().unwrap();
        queues[1].get();
        queues[0].put();
    });
}

/// kubernetes#62464: the state is read by a function that has the state locked for reading, behind
/// a writer.
fn k62464(fixed: bool) {
    let state = Arc::new(RwLock::new(1));
    let reads = Event::default();
    go!(name = "reconcile"; clone(state, reads) {
        let cpus = state.read().unwrap();
        reads.set();
        if !fixed {
            parked("remove", RwLockWrite);
            assert_eq!(*cpus, *state.read().unwrap());
        }
    });
    go!(name = "remove"; {
        reads.wait();
        drop(state.read().unwrap());
        *state.write().unwrap() += 1;
    });
}

/// Starts a goroutine that sends every period until the timeout, or until `done` is closed.
fn poll(done: Receiver<()>, timeout: Duration) -> Receiver<()> {
    let (tick_sender, ticks) = bounded(0);
    go!(name = "poller"; {
        let (every, end) = (tick(Duration::from_micros(100)), after(timeout));
        loop {
            select! {
                recv(every) -> _ => select! {
                    send(tick_sender, ()) -> _ => {}
                    default => {}
                },
                recv(end) -> _ => return,
                recv(done) -> _ => return,
            }
        }
    });
    ticks
}

/// kubernetes#70277: a function that waits for a condition passes the caller's channel on, and does
/// not close a channel of its own when it returns. The caller waits for that.
fn k70277(fixed: bool) {
    go!(name = "test"; {
        let (stop, stopped) = bounded::<()>(0);
        let (own, own_done) = bounded::<()>(0);
        let done = if fixed { own_done } else { stopped };
        let ticks = poll(done.clone(), Duration::from_millis(5));
        let _tick_or_end = ticks.recv();
        drop(own);
        let _closed = done.recv();
        drop(stop);
    });
}

/// kubernetes#70277, the goroutine that polls: it ends by its timeout.
fn k70277_poller(_: bool) {
    let (_stop, stopped) = bounded::<()>(0);
    let ticks = poll(stopped, Duration::from_millis(1));
    while ticks.recv().is_ok() {}
}
