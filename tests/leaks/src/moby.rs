//! Bugs of Moby (Docker).

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use go_runtime::channel::{Sender, after, bounded};
use go_runtime::context;
use go_runtime::debug::WaitReason::*;
use go_runtime::sync::{Condvar, Mutex, WaitGroup};
use go_runtime::{go, select};

use crate::{Event, Kernel, chan, parked};

pub(crate) const KERNELS: [Kernel; 10] = [
    Kernel::new(
        "moby#4951",
        k4951,
        &[("first", MutexLock), ("second", MutexLock)],
    ),
    Kernel::new("moby#7559", k7559, &[("proxy", MutexLock)]),
    Kernel::new("moby#17176", k17176, &[("deletion", MutexLock)]),
    Kernel::new("moby#21233", k21233, &[]),
    Kernel::new("moby#25384", k25384, &[("init", WaitGroupWait)]),
    Kernel::new(
        "moby#27782",
        k27782,
        &[("read logs", CondvarWait), ("read events", Select)],
    ),
    Kernel::new(
        "moby#28462",
        k28462,
        &[("monitor", MutexLock), ("state changed", ChanSend)],
    ),
    Kernel::new(
        "moby#30408",
        k30408,
        &[("active", CondvarWait), ("test", ChanReceive)],
    ),
    Kernel::new("moby#33781", k33781, &[]),
    Kernel::new("moby#36114", k36114, &[("vm", MutexLock)]),
];

/// moby#4951: a goroutine that deletes a device unlocks the set for a moment, with the device
/// locked. Another one locks the set then, and waits for the device.
fn k4951(fixed: bool) {
    let set = Arc::new(Mutex::new(vec!["a device"]));
    let device = Arc::new(Mutex::new(()));
    let removes = Event::default();
    go!(name = "first"; clone(set, device, removes) {
        let devices = set.lock().unwrap();
        let _device = device.lock().unwrap();
        drop(devices);
        removes.set();
        if !fixed {
            parked("second", MutexLock);
        }
        set.lock().unwrap().clear();
    });
    go!(name = "second"; {
        removes.wait();
        let devices = set.lock().unwrap();
        if fixed {
            drop(devices);
        }
        let _device = device.lock().unwrap();
        set.lock().unwrap().clear();
    });
}

/// moby#7559: a loop that could not connect goes on without unlocking, and locks again.
fn k7559(fixed: bool) {
    go!(name = "proxy"; {
        let connections = Mutex::new(0);
        for _attempt in 0..2 {
            let mut guard = connections.lock().unwrap();
            let connected = *guard > 0;
            *guard += 1;
            if !connected && !fixed {
                mem::forget(guard);
            }
        }
    });
}

/// moby#17176: a cleanup that finds nothing to do returns with the devices locked.
fn k17176(fixed: bool) {
    let deleted = Arc::new(Mutex::new(0));
    let guard = deleted.lock().unwrap();
    if *guard == 0 && !fixed {
        mem::forget(guard);
    } else {
        drop(guard);
    }
    let (done, is_done) = bounded(0);
    go!(name = "deletion"; {
        let _deleted = deleted.lock().unwrap();
        done.send(true).is_ok()
    });
    select! {
        recv(is_done) -> _ => {}
        recv(after(Duration::from_millis(1))) -> _ => {}
    }
}

/// moby#21233: the reader of the progress of some transfers leaves, and they go on to report it.
///
/// The reader owns the receiver here: its drop ends the sends.
fn k21233(_: bool) {
    struct Watcher {
        release: Sender<()>,
        running: go_runtime::JoinHandle<()>,
    }
    let (progress, reports) = bounded::<u32>(0);
    let (done, is_done) = bounded::<()>(0);
    go!(name = "reader"; {
        let _done = done;
        reports.recv().unwrap();
    });
    go!(name = "test"; {
        let watch = |id: u32| {
            let (release, released) = bounded::<()>(0);
            let running = go!(name = "watcher"; clone(progress) {
                let _left = progress.send(id);
                let _released = released.recv();
                let _left = progress.send(id);
            });
            Watcher { release, running }
        };
        for watcher in [0, 1, 2].map(watch) {
            drop(watcher.release);
            watcher.running.join().unwrap();
        }
        is_done.recv()
    });
}

/// moby#25384: a loop that starts goroutines waits for all of them after having started the first.
fn k25384(fixed: bool) {
    go!(name = "init"; {
        let group = WaitGroup::new();
        group.add(2);
        for _plugin in 0..2 {
            go!(name = "plugin"; clone(group) { group.done() });
            if !fixed {
                group.wait();
            }
        }
        group.wait();
    });
}

/// moby#27782: a reader of logs that has been closed waits until its file is no longer watched, and
/// the watcher waits until the reader has taken an event.
fn k27782(fixed: bool) {
    let (events, done) = (chan::<u32>(0), chan::<()>(0));
    let (close, closed) = bounded::<()>(0);
    let watched = Arc::new((Mutex::new(true), Condvar::new()));
    go!(name = "read events"; clone(events, done, watched) {
        loop {
            select! {
                send(events.tx, 1) -> _ => {}
                recv(done.rx) -> _ => break,
            }
        }
        *watched.0.lock().unwrap() = false;
        watched.1.notify_all();
    });
    go!(name = "read logs"; {
        events.recv();
        let _closed = closed.recv();
        // The repair waits only when the watcher has been told.
        if fixed {
            done.close();
        }
        let guard = watched.0.lock().unwrap();
        drop(watched.1.wait_while(guard, |is_watched| *is_watched));
        done.close();
    });
    drop(close);
}

/// moby#28462: a monitor is told to stop with the container locked, which it locks for each probe.
fn k28462(fixed: bool) {
    let container = Arc::new(Mutex::new(0));
    let stop = chan::<()>(0);
    let locked = Event::default();
    go!(name = "monitor"; clone(container, stop, locked) {
        loop {
            select! {
                recv(stop.rx) -> _ => return,
                default => {
                    locked.wait();
                    *container.lock().unwrap() += 1;
                }
            }
        }
    });
    go!(name = "state changed"; {
        let _container = container.lock().unwrap();
        locked.set();
        if fixed {
            stop.close();
        } else {
            parked("monitor", MutexLock);
            stop.send(());
        }
    });
}

/// moby#30408: a plugin whose activation has failed is waited for until it is active.
fn k30408(fixed: bool) {
    let outcome = Arc::new((Mutex::new(None), Condvar::new()));
    let (done, is_done) = bounded::<()>(0);
    go!(name = "active"; clone(outcome) {
        let guard = outcome.0.lock().unwrap();
        drop(outcome.1.wait_while(guard, |outcome| match outcome {
            None => true,
            Some(Ok(())) => false,
            Some(Err(_)) => !fixed,
        }));
        drop(done);
    });
    go!(name = "test"; { is_done.recv() });
    *outcome.0.lock().unwrap() = Some(Err::<(), _>("a failure"));
    outcome.1.notify_all();
}

/// moby#33781: a monitor that is stopped while a probe runs does not take the probe's result.
///
/// The monitor owns the receiver here: its drop ends the send.
fn k33781(_: bool) {
    let (stop, stopped) = bounded::<()>(0);
    go!(name = "monitor"; {
        loop {
            select! {
                recv(stopped) -> _ => return,
                recv(after(Duration::from_micros(10))) -> _ => {}
            }
            let (result, results) = bounded(0);
            let (ctx, _cancel) = context::background().with_timeout(Duration::from_millis(1));
            go!(name = "probe"; { result.send(true).is_ok() });
            select! {
                recv(stopped) -> _ => return,
                recv(results) -> _ => {}
                recv(ctx.done()) -> _ => {
                    let _result = results.recv();
                }
            }
        }
    });
    drop(stop);
}

/// moby#36114: a virtual machine adds its disks with itself locked, and on failure removes them,
/// which locks it again.
fn k36114(fixed: bool) {
    go!(name = "vm"; {
        let disks = Mutex::new(vec!["a disk"]);
        let guard = disks.lock().unwrap();
        if fixed {
            drop(guard);
        }
        disks.lock().unwrap().clear();
    });
}
