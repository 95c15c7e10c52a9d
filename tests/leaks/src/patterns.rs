//! Patterns of leaks that are common in large Go programs, and one goroutine for each operation
//! that can wait.

use std::sync::Arc;

use go_runtime::channel::{Receiver, Sender, bounded, never};
use go_runtime::debug::WaitReason::*;
use go_runtime::sync::{Condvar, Mutex, RwLock, WaitGroup};
use go_runtime::{go, select};

use crate::{Chan, Kernel, chan};

pub(crate) const KERNELS: [Kernel; 19] = [
    Kernel::new("no close", no_close, &[("range", ChanReceive)]),
    Kernel::new("contract", contract, &[("worker", Select)]),
    Kernel::new("double send", double_send, &[("sender", ChanSend)]),
    Kernel::new("early return", early_return, &[]),
    Kernel::new("n-cast", n_cast, &[("item", ChanSend), ("item", ChanSend)]),
    Kernel::new("n-cast, dropped", n_cast_dropped, &[]),
    Kernel::new(
        "receive of nothing",
        receive_of_nothing,
        &[("waits", ChanReceiveNever)],
    ),
    Kernel::new("send to nothing", send_to_nothing, &[("waits", ChanSend)]),
    Kernel::new("no cases", no_cases, &[("waits", SelectNoCases)]),
    Kernel::new("receive", receive, &[("waits", ChanReceive)]),
    Kernel::new("send", send, &[("waits", ChanSend)]),
    Kernel::new("select", a_select, &[("waits", Select)]),
    Kernel::new("wait group", wait_group, &[("waits", WaitGroupWait)]),
    Kernel::new(
        "mutex on a stack",
        mutex_on_a_stack,
        &[("waits", MutexLock)],
    ),
    Kernel::new(
        "mutex on the heap",
        mutex_on_the_heap,
        &[("waits", MutexLock)],
    ),
    Kernel::new("condition", condition, &[("waits", CondvarWait)]),
    Kernel::new("read lock", read_lock, &[("waits", RwLockRead)]),
    Kernel::new("write lock", write_lock, &[("waits", RwLockWrite)]),
    Kernel::new(
        "mixed",
        mixed,
        &[("group", WaitGroupWait), ("sends", ChanSend)],
    ),
];

/// A consumer iterates over a channel of which it has both ends, and which the producer does not
/// close.
fn no_close(fixed: bool) {
    let items = chan(0);
    go!(name = "range"; clone(items) { while items.recv().is_some() {} });
    items.send(1);
    if fixed {
        items.close();
    }
}

/// A worker is started, and its user never calls `stop`, as its contract demands.
fn contract(fixed: bool) {
    struct Worker {
        work: Chan<u32>,
        done: Chan<()>,
    }
    let worker = Arc::new(Worker {
        work: chan(0),
        done: chan(0),
    });
    go!(name = "worker"; clone(worker) {
        loop {
            select! {
                recv(worker.work.rx) -> _ => {}
                recv(worker.done.rx) -> _ => return,
            }
        }
    });
    worker.work.send(1);
    if fixed {
        worker.done.close();
    }
}

/// A goroutine sends an error and goes on to send a result, of which only one is received.
fn double_send(fixed: bool) {
    let results = chan(0);
    go!(name = "sender"; clone(results) {
        results.send(Err("a failure"));
        if !fixed {
            results.send(Ok(1));
        }
    });
    assert_eq!(results.recv(), Some(Err("a failure")));
}

/// A caller returns before it receives the result.
///
/// It owns the receiver here: its drop ends the send.
fn early_return(_: bool) {
    let (result, _results) = bounded(0);
    go!(name = "sender"; { result.send(1).is_ok() });
}

/// Several goroutines send, and only the first message is received.
fn n_cast(fixed: bool) {
    let room = if fixed { 2 } else { 0 };
    let items = chan(room);
    for item in 0..3 {
        go!(name = "item"; clone(items) { items.send(item) });
    }
    items.recv();
}

/// The same with a receiver that is dropped after the first message.
fn n_cast_dropped(_: bool) {
    let (sender, items) = bounded(0);
    for item in 0..3 {
        go!(name = "item"; clone(sender) { sender.send(item).is_ok() });
    }
    items.recv().unwrap();
}

/// A receive on a channel that never has a message: Go's nil channel.
fn receive_of_nothing(fixed: bool) {
    let nothing: Receiver<()> = if fixed { bounded(0).1 } else { never() };
    go!(name = "waits"; { nothing.recv().is_ok() });
}

/// A send on a channel that never takes a message.
fn send_to_nothing(fixed: bool) {
    let nothing = if fixed { bounded(0).0 } else { Sender::never() };
    go!(name = "waits"; { nothing.send(()).is_ok() });
}

/// A select without arms.
fn no_cases(fixed: bool) {
    go!(name = "waits"; {
        if !fixed {
            select! {}
        }
    });
}

/// A receive on a channel without messages.
fn receive(fixed: bool) {
    let channel = chan::<u32>(0);
    go!(name = "waits"; clone(channel) { channel.recv() });
    if fixed {
        channel.send(1);
    }
}

/// A send on a channel without a receiver that waits.
fn send(fixed: bool) {
    let channel = chan::<u32>(0);
    go!(name = "waits"; clone(channel) { channel.send(1) });
    if fixed {
        channel.recv();
    }
}

/// A select of a send and a receive.
fn a_select(fixed: bool) {
    let (sent, received) = (chan::<u32>(0), chan::<u32>(0));
    go!(name = "waits"; clone(sent, received) {
        // Else the closure would capture one end of each, and the drop of the others end the wait.
        let (sent, received) = (sent, received);
        select! {
            send(sent.tx, 1) -> _ => {}
            recv(received.rx) -> _ => {}
        }
    });
    if fixed {
        sent.recv();
    }
}

/// A group that counts more than there is.
fn wait_group(fixed: bool) {
    let group = WaitGroup::new();
    group.add(1);
    go!(name = "waits"; clone(group) { group.wait() });
    if fixed {
        group.done();
    }
}

/// A mutex on the stack of the goroutine that locks it twice.
fn mutex_on_a_stack(fixed: bool) {
    go!(name = "waits"; {
        let mutex = Mutex::new(0);
        let guard = mutex.lock().unwrap();
        if fixed {
            drop(guard);
        }
        *mutex.lock().unwrap() += 1;
    });
}

/// A mutex on the heap that its last holder has not unlocked.
fn mutex_on_the_heap(fixed: bool) {
    let mutex = Arc::new(Mutex::new(0));
    let guard = mutex.lock().unwrap();
    if fixed {
        drop(guard);
    } else {
        std::mem::forget(guard);
    }
    go!(name = "waits"; { *mutex.lock().unwrap() += 1 });
}

/// A condition that does not come true.
fn condition(fixed: bool) {
    let state = Arc::new((Mutex::new(false), Condvar::new()));
    go!(name = "waits"; clone(state) {
        let guard = state.0.lock().unwrap();
        drop(state.1.wait_while(guard, |is_true| !*is_true));
    });
    if fixed {
        *state.0.lock().unwrap() = true;
        state.1.notify_one();
    }
}

/// A reader of what the same goroutine writes.
fn read_lock(fixed: bool) {
    go!(name = "waits"; {
        let lock = RwLock::new(0);
        let guard = lock.write().unwrap();
        if fixed {
            drop(guard);
        }
        let _value = *lock.read().unwrap();
    });
}

/// A writer of what the same goroutine reads.
fn write_lock(fixed: bool) {
    go!(name = "waits"; {
        let lock = RwLock::new(0);
        let guard = lock.read().unwrap();
        if fixed {
            drop(guard);
        }
        *lock.write().unwrap() += 1;
    });
}

/// A goroutine waits for a group, one of which waits for a receiver.
fn mixed(fixed: bool) {
    let channel = chan::<u32>(0);
    go!(name = "group"; clone(channel) {
        let group = WaitGroup::new();
        group.add(1);
        go!(name = "sends"; clone(group) {
            channel.send(1);
            group.done();
        });
        group.wait();
    });
    if fixed {
        channel.recv();
    }
}
