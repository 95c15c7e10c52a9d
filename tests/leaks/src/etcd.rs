//! Bugs of etcd.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use go_runtime::channel::{bounded, tick};
use go_runtime::debug::WaitReason::*;
use go_runtime::sync::{Mutex, RwLock, WaitGroup};
use go_runtime::{go, select};

use crate::{Chan, Event, Kernel, chan, parked};

pub(crate) const KERNELS: [Kernel; 7] = [
    Kernel::new("etcd#5509", k5509, &[("close", RwLockWrite)]),
    Kernel::new("etcd#6708", k6708, &[("cluster", RwLockRead)]),
    Kernel::new("etcd#6857", k6857, &[("status", ChanSend)]),
    Kernel::new(
        "etcd#6873",
        k6873,
        &[("coalesce", MutexLock), ("stop", ChanReceive)],
    ),
    Kernel::new(
        "etcd#7492",
        k7492,
        &[
            ("keeper", MutexLock),
            ("third", ChanSend),
            ("test", WaitGroupWait),
        ],
    ),
    Kernel::new(
        "etcd#7902",
        k7902,
        &[
            ("follower", ChanReceive),
            ("other", MutexLock),
            ("leader", MutexLock),
            ("test", WaitGroupWait),
        ],
    ),
    Kernel::new("etcd#10492", k10492, &[("lessor", RwLockWrite)]),
];

/// etcd#5509: a client that finds its connection closed returns without giving its read lock back.
fn k5509(fixed: bool) {
    let is_open = Arc::new(RwLock::new(false));
    let (done, is_done) = bounded::<()>(0);
    go!(name = "get"; clone(is_open) {
        let guard = is_open.read().unwrap();
        if !*guard && !fixed {
            mem::forget(guard);
        }
        drop(done);
    });
    go!(name = "close"; {
        let _closed = is_done.recv();
        *is_open.write().unwrap() = false;
    });
}

/// etcd#6708: a client that is locked for writing asks for the leader through itself, for which it
/// locks itself for reading.
fn k6708(fixed: bool) {
    go!(name = "cluster"; {
        let client = RwLock::new(vec!["an endpoint"]);
        let guard = client.write().unwrap();
        if fixed {
            drop(guard);
        }
        let leader = client.read().unwrap()[0];
        assert_eq!(leader, "an endpoint");
    });
}

/// etcd#6857: a request for the status comes after the node has stopped.
fn k6857(fixed: bool) {
    struct Node {
        status: Chan<Chan<u32>>,
        stop: Chan<()>,
        done: Chan<()>,
    }
    let node = Arc::new(Node {
        status: chan(0),
        stop: chan(0),
        done: chan(0),
    });
    go!(name = "run"; clone(node) {
        loop {
            select! {
                recv(node.status.rx) -> reply => reply.unwrap().send(1),
                recv(node.stop.rx) -> _ => break,
            }
        }
        node.done.close();
    });
    let stop = go!(name = "stop"; clone(node) {
        select! {
            send(node.stop.tx, ()) -> _ => {}
            recv(node.done.rx) -> _ => {}
        }
        node.done.recv();
    });
    go!(name = "status"; {
        stop.join().unwrap();
        let reply = chan(0);
        if fixed {
            select! {
                send(node.status.tx, reply.clone()) -> _ => {}
                recv(node.done.rx) -> _ => return,
            }
        } else {
            node.status.send(reply.clone());
        }
        reply.recv();
    });
}

/// etcd#6873: `stop` holds the mutex while it waits for the goroutine that coalesces, which needs
/// the mutex.
fn k6873(fixed: bool) {
    let mutex = Arc::new(Mutex::new(0));
    let (update, updates) = bounded(1);
    let (done, is_done) = bounded::<()>(0);
    let (received, stopping) = (Event::default(), Event::default());
    go!(name = "coalesce"; clone(mutex, received, stopping) {
        for one in updates.iter() {
            received.set();
            stopping.wait();
            *mutex.lock().unwrap() += one;
        }
        drop(done);
    });
    update.send(1).unwrap();
    go!(name = "stop"; {
        received.wait();
        let guard = mutex.lock().unwrap();
        stopping.set();
        drop(update);
        if fixed {
            drop(guard);
        }
        let _closed = is_done.recv();
    });
}

/// etcd#7492: the keeper of tokens locks the store to delete one, while a caller that has locked
/// the store waits for room in the keeper's channel.
fn k7492(fixed: bool) {
    let store = Arc::new(Mutex::new(0));
    let (add, stop) = (chan::<()>(1), chan::<()>(0));
    let added = Event::default();
    go!(name = "keeper"; clone(store, add, stop, added) {
        let due = tick(Duration::from_micros(50));
        let mut tokens = 0;
        loop {
            select! {
                recv(add.rx) -> _ => {
                    tokens += 1;
                    added.set();
                    if !fixed {
                        parked("third", ChanSend);
                        // The tick that comes next, before the next token.
                        *store.lock().unwrap() -= tokens;
                        tokens = 0;
                    }
                }
                recv(due) -> _ => {
                    if tokens > 0 {
                        *store.lock().unwrap() -= tokens;
                        tokens = 0;
                    }
                }
                recv(stop.rx) -> _ => return,
            }
        }
    });
    let authenticate = move |store: Arc<Mutex<i32>>, add: Chan<()>, group: WaitGroup| {
        let mut tokens = store.lock().unwrap();
        *tokens += 1;
        if fixed {
            drop(tokens);
            add.send(());
        } else {
            add.send(());
        }
        group.done();
    };
    go!(name = "test"; {
        let group = WaitGroup::new();
        group.add(3);
        go!(name = "first"; clone(store, add, group, authenticate) {
            authenticate(store, add, group);
        });
        added.wait();
        let second = go!(name = "second"; clone(store, add, group, authenticate) {
            authenticate(store, add, group);
        });
        second.join().unwrap();
        go!(name = "third"; clone(store, add, group) { authenticate(store, add, group) });
        group.wait();
        stop.close();
    });
}

/// etcd#7902: a follower waits for the leader's next round with the mutex locked that the leader
/// needs to begin it.
fn k7902(fixed: bool) {
    let next = Arc::new(Mutex::new(chan::<()>(0)));
    let group = WaitGroup::new();
    group.add(3);
    let locked = Event::default();
    let follow = move |next: Arc<Mutex<Chan<()>>>, locked: Event, group: WaitGroup| {
        let guard = next.lock().unwrap();
        let round = guard.clone();
        locked.set();
        if fixed {
            drop(guard);
            round.recv();
        } else {
            round.recv();
            drop(guard);
        }
        group.done();
    };
    go!(name = "follower"; clone(next, locked, group, follow) { follow(next, locked, group) });
    go!(name = "other"; clone(next, locked, group) {
        locked.wait();
        follow(next, locked, group);
    });
    go!(name = "leader"; clone(group) {
        locked.wait();
        next.lock().unwrap().close();
        group.done();
    });
    go!(name = "test"; { group.wait() });
}

/// etcd#10492: a lease is renewed with the lessor locked, and the checkpoint locks it again.
fn k10492(fixed: bool) {
    go!(name = "lessor"; {
        let lessor = RwLock::new(0);
        let mut guard = lessor.write().unwrap();
        *guard += 1;
        if fixed {
            drop(guard);
        }
        *lessor.write().unwrap() += 1;
    });
}
