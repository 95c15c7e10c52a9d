//! Bugs of CockroachDB.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex};

use go_runtime::channel::bounded;
use go_runtime::context::{self, Cancel, Context};
use go_runtime::debug::WaitReason::*;
use go_runtime::sync::{Mutex, RwLock, WaitGroup};
use go_runtime::{go, select};

use crate::{Chan, Event, Kernel, Meeting, chan, parked};

pub(crate) const KERNELS: [Kernel; 18] = [
    Kernel::new("cockroach#584", k584, &[("gossip", MutexLock)]),
    Kernel::new(
        "cockroach#1055",
        k1055,
        &[
            ("worker", ChanReceive),
            ("worker", ChanReceive),
            ("stopping", WaitGroupWait),
            ("test", ChanReceive),
        ],
    ),
    Kernel::new(
        "cockroach#1462",
        k1462,
        &[("transport", ChanSend), ("stopping", WaitGroupWait)],
    ),
    Kernel::new(
        "cockroach#2448",
        k2448,
        &[("raft", Select), ("state", Select)],
    ),
    Kernel::new(
        "cockroach#3710",
        k3710,
        &[("scan", RwLockRead), ("raft", RwLockWrite)],
    ),
    Kernel::new(
        "cockroach#6181",
        k6181,
        &[
            ("first", RwLockRead),
            ("second", RwLockWrite),
            ("third", RwLockRead),
            ("test", WaitGroupWait),
        ],
    ),
    Kernel::new(
        "cockroach#7504",
        k7504,
        &[("acquire", MutexLock), ("release", MutexLock)],
    ),
    Kernel::new("cockroach#9935", k9935, &[("logging", MutexLock)]),
    Kernel::new(
        "cockroach#10214",
        k10214,
        &[("heartbeats", MutexLock), ("tick", MutexLock)],
    ),
    Kernel::new("cockroach#10790", k10790, &[("drain", ChanReceive)]),
    Kernel::new("cockroach#13197", k13197, &[("transaction", ChanReceive)]),
    Kernel::new("cockroach#13755", k13755, &[("rows", ChanReceive)]),
    Kernel::new(
        "cockroach#16167",
        k16167,
        &[("prepare", RwLockRead), ("update", RwLockWrite)],
    ),
    Kernel::new("cockroach#18101", k18101, &[]),
    Kernel::new("cockroach#24808", k24808, &[("compactor", ChanSend)]),
    Kernel::new("cockroach#25456", k25456, &[("consistency", ChanReceive)]),
    Kernel::new(
        "cockroach#35073",
        k35073,
        &[("pusher", ChanSend), ("consumer", ChanSend)],
    ),
    Kernel::new("cockroach#35931", k35931, &[("flow", ChanSend)]),
];

/// cockroach#584: a loop leaves with the mutex locked, and the next loop locks it again.
fn k584(fixed: bool) {
    go!(name = "gossip"; {
        let closed = Mutex::new(true);
        for _phase in ["bootstrap", "manage"] {
            loop {
                let guard = closed.lock().unwrap();
                if *guard {
                    if !fixed {
                        mem::forget(guard);
                    }
                    break;
                }
            }
        }
    });
}

/// cockroach#1055: the stopper waits for tasks to end before it tells the workers to stop, and the
/// workers end their tasks only after that.
fn k1055(fixed: bool) {
    struct Stopper {
        stop: Chan<()>,
        workers: WaitGroup,
        tasks: WaitGroup,
        mutex: Mutex<()>,
    }
    let new = |_| {
        Arc::new(Stopper {
            stop: chan(0),
            workers: WaitGroup::new(),
            tasks: WaitGroup::new(),
            mutex: Mutex::new(()),
        })
    };
    let stoppers = [(); 2].map(new);
    let (done, is_done) = bounded::<()>(0);
    let (both, started) = (Meeting::default(), Event::default());
    for stopper in stoppers.clone() {
        stopper.workers.add(1);
        go!(name = "worker"; clone(stopper, both, started) {
            let guard = stopper.mutex.lock().unwrap();
            stopper.tasks.add(1);
            drop(guard);
            both.wait();
            started.set();
            if fixed {
                stopper.tasks.done();
            }
            stopper.stop.recv();
            stopper.workers.done();
        });
    }
    go!(name = "stopping"; clone(started) {
        started.wait();
        for stopper in &stoppers {
            let _guard = stopper.mutex.lock().unwrap();
            stopper.tasks.wait();
        }
        for stopper in &stoppers {
            let _guard = stopper.mutex.lock().unwrap();
            stopper.stop.close();
            stopper.workers.wait();
        }
        drop(done);
    });
    go!(name = "test"; { is_done.recv() });
}

/// cockroach#1462: the consumer of events has left, for the stopper is closed, when the producer,
/// which had looked at the stopper before, sends one more event.
fn k1462(fixed: bool) {
    let (events, stop) = (chan::<u32>(0), chan::<()>(0));
    let workers = WaitGroup::new();
    let (looked, left) = (Event::default(), Event::default());
    workers.add(2);
    go!(name = "transport"; clone(events, stop, workers, looked, left) {
        while !stop.tx.is_closed() {
            looked.set();
            if fixed {
                select! {
                    send(events.tx, 0) -> _ => {}
                    recv(stop.rx) -> _ => {}
                }
            } else {
                left.wait();
                events.send(0);
            }
        }
        workers.done();
    });
    go!(name = "processor"; clone(stop, workers) {
        loop {
            select! {
                recv(events.rx) -> _ => {}
                recv(stop.rx) -> _ => break,
            }
        }
        left.set();
        workers.done();
    });
    go!(name = "stopping"; {
        looked.wait();
        stop.close();
        workers.wait();
    });
}

/// cockroach#2448: a goroutine sends an event to another, which sends a callback to the first.
fn k2448(fixed: bool) {
    type Callback = Box<dyn FnOnce() + Send>;
    let (events, callbacks) = (chan::<u32>(0), chan::<Callback>(0));
    let stop = chan::<()>(0);
    let committed = Event::default();
    go!(name = "raft"; clone(events, callbacks, stop, committed) {
        loop {
            select! {
                recv(events.rx) -> _ => {
                    committed.wait();
                    let end = stop.clone();
                    let callback: Callback = Box::new(move || end.close());
                    select! {
                        send(callbacks.tx, callback) -> _ => {}
                        recv(stop.rx) -> _ => {}
                    }
                }
                recv(stop.rx) -> _ => return,
            }
        }
    });
    go!(name = "state"; {
        for round in 0.. {
            if stop.tx.is_closed() {
                return;
            }
            if round == 1 {
                // From now on it takes no callback, unless it is repaired, before it has sent the
                // next event.
                committed.set();
            }
            if fixed {
                select! {
                    send(events.tx, round) -> _ => {}
                    recv(callbacks.rx) -> callback => callback.unwrap()(),
                    recv(stop.rx) -> _ => return,
                }
            } else {
                select! {
                    send(events.tx, round) -> _ => {}
                    recv(stop.rx) -> _ => return,
                }
            }
        }
    });
}

/// Reads, waits until a writer waits, and reads again unless `fixed`.
fn read_twice(lock: &RwLock<u32>, writer: &str, fixed: bool) -> u32 {
    let first = lock.read().unwrap();
    if fixed {
        return *first;
    }
    parked(writer, RwLockWrite);
    *first + *lock.read().unwrap()
}

/// cockroach#3710: a reader reads again, behind a writer that waits for it.
fn k3710(fixed: bool) {
    let store = Arc::new(RwLock::new(1));
    let queue = Arc::new(Mutex::new(()));
    let reads = Event::default();
    go!(name = "scan"; clone(store, reads) {
        let replicas = store.read().unwrap();
        reads.set();
        if !fixed {
            parked("raft", RwLockWrite);
            let _queue = queue.lock().unwrap();
            assert_eq!(*store.read().unwrap(), *replicas);
        }
    });
    go!(name = "raft"; {
        reads.wait();
        *store.write().unwrap() += 1;
    });
}

/// cockroach#6181: three lookups share a cache. Each logs it, which reads it a second time, and
/// then writes.
fn k6181(fixed: bool) {
    let cache = Arc::new(RwLock::new(0));
    let lookups = WaitGroup::new();
    lookups.add(3);
    let reads = Event::default();
    go!(name = "first"; clone(cache, lookups, reads) {
        let entry = cache.read().unwrap();
        reads.set();
        if !fixed {
            parked("second", RwLockWrite);
            assert_eq!(*entry, *cache.read().unwrap());
        }
        drop(entry);
        *cache.write().unwrap() += 1;
        lookups.done();
    });
    go!(name = "second"; clone(cache, lookups) {
        reads.wait();
        *cache.write().unwrap() += 1;
        lookups.done();
    });
    go!(name = "third"; clone(lookups) {
        if !fixed {
            parked("second", RwLockWrite);
        }
        drop(cache.read().unwrap());
        *cache.write().unwrap() += 1;
        lookups.done();
    });
    go!(name = "test"; { lookups.wait() });
}

/// cockroach#7504: one goroutine locks the cache and then the lease, another one the lease and then
/// the cache.
fn k7504(fixed: bool) {
    let cache = Arc::new(Mutex::new(vec![0]));
    let lease = Arc::new(Mutex::new(0));
    let both = Meeting::default();
    go!(name = "acquire"; clone(cache, lease, both) {
        let tables = cache.lock().unwrap();
        both.wait();
        if fixed {
            drop(tables);
        }
        *lease.lock().unwrap() += 1;
    });
    go!(name = "release"; {
        let active = Mutex::new(());
        let _active = active.lock().unwrap();
        let lease = lease.lock().unwrap();
        both.wait();
        cache.lock().unwrap().retain(|one| one != &*lease);
    });
}

/// cockroach#9935: a logger whose file cannot be made calls its own exit, which locks the logger
/// again.
fn k9935(fixed: bool) {
    go!(name = "logging"; {
        let logger = Mutex::new(Err::<(), _>("no file"));
        let guard = logger.lock().unwrap();
        if guard.is_err() {
            if fixed {
                drop(guard);
            }
            *logger.lock().unwrap() = Ok(());
        }
    });
}

/// cockroach#10214: two goroutines lock two mutexes in opposite order.
fn k10214(fixed: bool) {
    let responses = Arc::new(Mutex::new(vec![1, 2]));
    let replica = Arc::new(Mutex::new(0));
    let both = Meeting::default();
    go!(name = "heartbeats"; clone(responses, replica, both) {
        let mut queued = responses.lock().unwrap();
        both.wait();
        let taken = mem::take(&mut *queued);
        if fixed {
            drop(queued);
        }
        for _ in taken {
            *replica.lock().unwrap() += 1;
        }
    });
    go!(name = "tick"; {
        let replica = replica.lock().unwrap();
        both.wait();
        responses.lock().unwrap().push(*replica);
    });
}

/// cockroach#10790: a command that has been canceled starts a goroutine that waits for its
/// predecessors, but one of these has been canceled as well and tells nothing.
fn k10790(fixed: bool) {
    let chans = Arc::new([chan::<bool>(0), chan(0)]);
    let (ctx, cancel) = context::background().with_cancel();
    let sender = go!(name = "sender"; clone(chans, ctx) {
        for one in chans.iter() {
            select! {
                send(one.tx, true) -> _ => {}
                recv(ctx.done()) -> _ => return,
            }
        }
    });
    go!(name = "command"; {
        chans[0].recv();
        cancel.cancel();
        sender.join().unwrap();
        select! {
            recv(chans[1].rx) -> _ => {}
            recv(ctx.done()) -> _ => {
                go!(name = "drain"; {
                    for one in chans.iter() {
                        if fixed {
                            select! {
                                recv(one.rx) -> _ => {}
                                recv(ctx.done()) -> _ => return,
                            }
                        }
                        one.recv();
                    }
                });
            }
        }
    });
}

/// What is done until a context ends, with the handle that can end it.
struct Canceled {
    ctx: Context,
    cancel: Cancel,
}

impl Canceled {
    fn new() -> Arc<Canceled> {
        let (ctx, cancel) = context::background().with_cancel();
        Arc::new(Canceled { ctx, cancel })
    }
}

/// cockroach#13197: a transaction has a goroutine that waits for the end of its context, and the
/// caller never rolls it back. The goroutine shares the transaction, so no drop ends the context.
fn k13197(fixed: bool) {
    let transaction = Canceled::new();
    go!(name = "transaction"; clone(transaction) { transaction.ctx.done().recv() });
    if fixed {
        transaction.cancel.cancel();
    }
}

/// cockroach#13755: as before, with rows that the caller does not close.
fn k13755(fixed: bool) {
    let rows = Canceled::new();
    go!(name = "rows"; clone(rows) {
        let ended = rows.ctx.done().recv();
        rows.cancel.cancel();
        ended
    });
    if fixed {
        rows.cancel.cancel();
    }
}

/// cockroach#16167: a statement holds the configuration for reading and prepares another one, which
/// reads it again, behind an update.
fn k16167(fixed: bool) {
    let config = Arc::new(RwLock::new(1));
    go!(name = "prepare"; clone(config) { read_twice(&config, "update", fixed); });
    go!(name = "update"; {
        // The statement reads first: the lock cannot be written meanwhile.
        if !fixed {
            crate::schedule::until("a reader", || config.try_write().is_err());
        }
        *config.write().unwrap() += 1;
    });
}

/// cockroach#18101: the reader of a channel leaves when its context ends, while the writer has more
/// messages than the buffer has room for.
///
/// The reader owns the receiver here: its drop ends the writer's send.
fn k18101(_: bool) {
    let (ctx, cancel) = context::background().with_cancel();
    go!(name = "restore"; {
        let (ready, is_ready) = bounded(6);
        go!(name = "scatter"; {
            for span in 0..8 {
                if ready.send(span).is_err() {
                    return;
                }
            }
        });
        if is_ready.recv().is_ok() {
            let _ended = ctx.done().recv();
        }
    });
    cancel.cancel();
}

/// cockroach#24808: a compactor wakes itself on a channel that is full already, before it starts
/// the worker that would receive.
fn k24808(fixed: bool) {
    go!(name = "compactor"; {
        let (wake, stop) = (chan::<()>(1), chan::<()>(0));
        wake.send(());
        if !fixed {
            wake.send(());
        }
        go!(name = "compaction"; clone(stop, wake) {
            loop {
                select! {
                    recv(stop.rx) -> _ => return,
                    recv(wake.rx) -> _ => {}
                }
            }
        });
        if fixed {
            wake.send(());
        }
        stop.close();
    });
}

/// cockroach#25456: a queue waits until its store is quiesced, and the store's owner never stops.
fn k25456(fixed: bool) {
    let quiesced = chan::<()>(0);
    go!(name = "consistency"; clone(quiesced) {
        for _attempt in 0..2 {
            quiesced.recv();
        }
    });
    if fixed {
        quiesced.close();
    }
}

/// cockroach#35073: a consumer of rows that could not start leaves the channel full, where
/// producers wait.
fn k35073(fixed: bool) {
    struct Rows {
        closed: AtomicBool,
        data: Chan<u32>,
    }
    impl Rows {
        fn push(&self) {
            if !self.closed.load(Ordering::Acquire) {
                self.data.send(0);
            }
        }
    }
    let rows = Arc::new(Rows {
        closed: AtomicBool::new(false),
        data: chan(16),
    });
    for _ in 0..16 {
        rows.push();
    }
    go!(name = "pusher"; clone(rows) { rows.push() });
    go!(name = "consumer"; {
        let outbox = WaitGroup::new();
        outbox.add(1);
        go!(name = "outbox"; clone(outbox, rows) {
            if fixed {
                rows.closed.store(true, Ordering::Release);
                while rows.data.rx.try_recv().is_ok() {}
            }
            outbox.done();
        });
        outbox.wait();
        rows.push();
    });
}

/// cockroach#35931: a flow that is canceled tells all its receivers, one of which is full.
fn k35931(fixed: bool) {
    let receivers = [chan::<()>(1), chan(1)];
    receivers[0].send(());
    let registry = Arc::new(StdMutex::new(receivers));
    go!(name = "flow"; {
        let pending = registry.lock().unwrap().clone();
        for receiver in pending {
            if fixed {
                let _full = receiver.tx.try_send(());
            } else {
                receiver.send(());
            }
        }
    });
}
