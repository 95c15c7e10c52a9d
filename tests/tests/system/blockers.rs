//! What goroutines that wait for a lock, or for others, are blocked by.

use std::sync::Arc;
use std::time::Duration;

use go_runtime::channel::{Receiver, Sender, bounded};
use go_runtime::debug::{Blocker, DumpOptions, Goroutine, GoroutineState, WaitReason};
use go_runtime::debug::{dump, goroutines};
use go_runtime::sync::{LazyLock, Mutex, RwLock, WaitGroup};
use go_runtime::{Builder, JoinHandle, scope};

use go_tests::support::{child, eventually};

const WORKERS: [&str; 5] = ["1", "2", "4", "8", "16"];

fn spawn(name: &str, f: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    Builder::new().name(name).spawn(f).unwrap()
}

/// Tells the test that something is held, and waits until it is to be given back.
fn hold(begin: &Sender<()>, end: &Receiver<()>) {
    begin.send(()).unwrap();
    let _ = end.recv();
}

/// Returns the goroutine of that name as soon as it is blocked by one that waits for a message.
fn blocked(name: &str) -> (Goroutine, Blocker) {
    let mut found = None;
    eventually(|| {
        let mut all = goroutines().into_iter();
        let receives = GoroutineState::Waiting(WaitReason::ChanReceive);
        let is_blocked = |one: &Goroutine| one.blocked_by().map(Blocker::state) == Some(receives);
        let one = all.find(|one| one.name() == Some(name) && is_blocked(one));
        found = one.map(|one| {
            let blocker = one.blocked_by().cloned().unwrap();
            (one, blocker)
        });
        found.is_some()
    });
    found.unwrap()
}

/// Checks that the waiting goroutine is blocked by the other one, which waits for a message, and
/// that a dump says so.
#[track_caller]
fn is_blocked(waits: &str, by: &str, reason: WaitReason, words: &str) {
    let (one, blocker) = blocked(waits);
    assert_eq!(one.state(), GoroutineState::Waiting(reason));
    assert_eq!(blocker.name(), Some(by), "{one}");
    let holder = goroutines().into_iter().find(|one| one.name() == Some(by));
    let holder = holder.unwrap();
    assert_eq!(blocker.number(), holder.number());
    assert_eq!(blocker.spawned_at(), holder.spawned_at());
    assert_eq!(
        holder.state(),
        GoroutineState::Waiting(WaitReason::ChanReceive)
    );
    let mut text = Vec::new();
    dump(&mut text, DumpOptions::new().frames(false)).unwrap();
    let text = String::from_utf8(text).unwrap();
    let said = text.lines().any(|line| {
        line.starts_with("It waits for ")
            && line.contains(words)
            && line.contains(&format!("goroutine {} [", blocker.number()))
            && line.contains(&format!("{{name: {by}}}"))
    });
    assert!(said, "{text}");
}

#[test]
#[ignore = "run by what_is_known"]
fn locks() {
    static VALUE: std::sync::OnceLock<(Sender<()>, Receiver<()>)> = std::sync::OnceLock::new();
    static LAZY: LazyLock<()> = LazyLock::new(|| {
        let (begin, end) = VALUE.get().unwrap();
        hold(begin, end);
    });
    let (begin, begun) = bounded(0);
    let (release, end) = bounded::<()>(0);
    VALUE.set((begin.clone(), end.clone())).unwrap();
    let mutex = Arc::new(Mutex::new(()));
    let lock = Arc::new(RwLock::new(()));
    let mut all = Vec::new();

    let (held, begin_of, end_of) = (Arc::clone(&mutex), begin.clone(), end.clone());
    all.push(spawn("has the mutex", move || {
        let _guard = held.lock();
        hold(&begin_of, &end_of);
    }));
    let held = Arc::clone(&lock);
    all.push(spawn("has the lock", move || {
        let _guard = held.write();
        hold(&begin, &end);
    }));
    all.push(spawn("has the value", || *LAZY));
    (0..3).for_each(|_| begun.recv().unwrap());

    let wanted = Arc::clone(&mutex);
    all.push(spawn("locks", move || drop(wanted.lock())));
    let wanted = Arc::clone(&lock);
    all.push(spawn("reads", move || drop(wanted.read())));
    all.push(spawn("writes", move || drop(lock.write())));
    all.push(spawn("reads the value", || *LAZY));

    let by = "has the mutex";
    is_blocked("locks", by, WaitReason::MutexLock, "a mutex at 0x");
    let (one, _) = blocked("locks");
    assert_eq!(one.object(), Some((&raw const *mutex).addr()));
    let (by, words) = ("has the lock", "locked for writing by ");
    is_blocked("reads", by, WaitReason::RwLockRead, words);
    is_blocked("writes", by, WaitReason::RwLockWrite, words);
    let (by, words) = ("has the value", "initialized by ");
    is_blocked("reads the value", by, WaitReason::Once, words);

    drop(release);
    all.into_iter().for_each(|one| one.join().unwrap());
    assert!(goroutines().iter().all(|one| one.blocked_by().is_none()));
}

#[test]
#[ignore = "run by what_is_known"]
fn ends() {
    let (release, end) = bounded::<()>(0);
    let receives = |end: &Receiver<()>| {
        let end = end.clone();
        move || {
            let _ = end.recv();
        }
    };
    let joined = spawn("joined", receives(&end));
    let mut all = vec![spawn("joins", move || joined.join().unwrap())];
    is_blocked("joins", "joined", WaitReason::Join, "the end of ");

    let receive = receives(&end);
    all.push(spawn("scope", move || {
        scope(|s| drop(s.spawn_with(Builder::new().name("in scope"), receive)));
    }));
    is_blocked("scope", "in scope", WaitReason::Scope, "of a scope, ");

    let receive = receives(&end);
    all.push(spawn("group", move || {
        let group = WaitGroup::new();
        let builder = Builder::new().name("in group");
        group.spawn_with(builder, receive).unwrap();
        group.wait();
    }));
    is_blocked(
        "group",
        "in group",
        WaitReason::WaitGroupWait,
        "of a group, ",
    );

    drop(release);
    all.into_iter().for_each(|one| one.join().unwrap());
}

#[test]
#[ignore = "run by what_is_known"]
fn unknown() {
    let (begin, begun) = bounded(0);
    let (release, end) = bounded::<()>(0);
    let lock = Arc::new(RwLock::new(()));
    let read = Arc::clone(&lock);
    let reads = spawn("reads", move || {
        let _guard = read.read();
        hold(&begin, &end);
    });
    begun.recv().unwrap();
    let writes = spawn("writes", move || drop(lock.write()));
    let waits = GoroutineState::Waiting(WaitReason::RwLockWrite);
    eventually(|| goroutines().iter().any(|one| one.state() == waits));
    let all = goroutines();
    let one = all.iter().find(|one| one.name() == Some("writes")).unwrap();
    assert_eq!((one.state(), one.blocked_by()), (waits, None));
    drop(release);
    reads.join().unwrap();
    writes.join().unwrap();
}

/// What a deadline may end is not blocked for certain. It is part of no deadlock, either: see
/// `cycles`.
#[test]
#[ignore = "run by what_is_known"]
fn with_a_deadline() {
    let (release, end) = bounded::<()>(0);
    let joined = spawn("joined", move || {
        let _ = end.recv();
    });
    let joins = spawn("joins", move || {
        let ended = joined.join_timeout(Duration::from_secs(1000));
        ended.unwrap().unwrap();
    });
    let waits = GoroutineState::Waiting(WaitReason::Join);
    eventually(|| goroutines().iter().any(|one| one.state() == waits));
    assert!(goroutines().iter().all(|one| one.blocked_by().is_none()));
    drop(release);
    joins.join().unwrap();
}

/// A name can neither begin a line of its own nor control a terminal.
#[test]
#[ignore = "run by what_is_known"]
fn names_are_escaped() {
    let (release, end) = bounded::<()>(0);
    let joined = spawn("two\nlines, \u{1b}[31m red", move || {
        let _ = end.recv();
    });
    let joins = spawn("joins", move || joined.join().unwrap());
    let (one, blocker) = blocked("joins");
    let escaped = r"{name: two\nlines, \u{1b}[31m red}";
    assert!(blocker.to_string().contains(escaped), "{blocker}");
    assert!(one.to_string().contains(escaped), "{one}");
    drop(release);
    joins.join().unwrap();
}

#[test]
fn what_is_known() {
    let all = [
        "locks",
        "ends",
        "unknown",
        "with_a_deadline",
        "names_are_escaped",
    ];
    child::succeed_with(&WORKERS, &all);
}
