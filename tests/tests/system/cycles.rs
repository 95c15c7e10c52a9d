//! Goroutines that wait for each other, while others go on: `debug::deadlocks`, and what the
//! runtime writes by itself.
#![cfg(target_os = "linux")]

use std::fs;
use std::mem;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use go_runtime::debug::{Deadlock, GoroutineState, WaitReason, deadlocks};
use go_runtime::sync::{LazyLock, Mutex, Once, RwLock, WaitGroup};
use go_runtime::{Builder, JoinHandle, channel, go, scope, time, without_parking};

use go_tests::support::{child, eventually, in_goroutine};

const WORKERS: [&str; 5] = ["1", "2", "4", "8", "16"];

type Wait = Box<dyn FnOnce(&dyn Fn()) + Send>;

/// A group of goroutines that go on to their second step only when all have done the first.
struct Meeting(WaitGroup);

impl Meeting {
    fn of(count: usize) -> Meeting {
        let all = WaitGroup::new();
        all.add(count);
        Meeting(all)
    }

    fn meet(&self) {
        self.0.done();
        self.0.wait();
    }
}

/// Starts a goroutine for each of `waits`, which is called with the function that lets the others
/// do their first step as well.
fn start(builders: Vec<(Builder, Wait)>) {
    let all = Arc::new(Meeting::of(builders.len()));
    for (builder, wait) in builders {
        let all = Arc::clone(&all);
        drop(builder.spawn(move || wait(&|| all.meet())).unwrap());
    }
}

fn named(name: &str) -> Builder {
    Builder::new().name(name)
}

/// Looks until there is a deadlock.
fn found() -> Deadlock {
    loop {
        let mut all = deadlocks();
        if let Some(found) = all.pop() {
            assert!(all.is_empty(), "{all:?}");
            return found;
        }
        time::sleep(Duration::from_millis(10));
    }
}

/// Checks the names and reasons in the cycle, from the goroutine with the first name on.
#[track_caller]
fn is(found: &Deadlock, expected: &[(&str, WaitReason)]) {
    let all: Vec<_> = found
        .goroutines()
        .iter()
        .map(|one| {
            let GoroutineState::Waiting(reason) = one.state() else {
                panic!("{one}");
            };
            (one.name().or(one.thread()).unwrap_or_default(), reason)
        })
        .collect();
    let first = all.iter().position(|one| one.0 == expected[0].0);
    let mut all = all.clone();
    all.rotate_left(first.unwrap_or_else(|| panic!("{found}")));
    assert_eq!(all, expected, "{found}");
}

fn lock_two(mutexes: &[Mutex<()>; 2], first: usize, meet: &dyn Fn()) {
    let _first = mutexes[first].lock();
    meet();
    let _second = mutexes[1 - first].lock();
}

#[test]
#[ignore = "run by mutexes"]
fn two_mutexes() {
    let mutexes = Arc::new([Mutex::new(()), Mutex::new(())]);
    let one = Arc::clone(&mutexes);
    let other = Arc::clone(&mutexes);
    start(vec![
        (named("one"), Box::new(move |meet| lock_two(&one, 0, meet))),
        (
            named("other"),
            Box::new(move |meet| lock_two(&other, 1, meet)),
        ),
    ]);
    // Others go on meanwhile.
    go!(loop {
        time::sleep(Duration::from_millis(1));
    });
    let found = found();
    is(
        &found,
        &[
            ("one", WaitReason::MutexLock),
            ("other", WaitReason::MutexLock),
        ],
    );
    let text = found.to_string();
    for goroutine in found.goroutines() {
        let object = goroutine.object().unwrap();
        let of_this = mutexes.iter().any(|one| (&raw const *one).addr() == object);
        assert!(of_this, "{object:x}");
        let frames = goroutine.frames();
        let locks = |frame: &&str| frame.ends_with("cycles::lock_two");
        let mut names = frames.iter().map(|frame| frame.function());
        assert!(names.next().as_ref().is_some_and(locks), "{text}");
        let said = format!(
            "a mutex, which goroutine {} has locked.",
            goroutine.number()
        );
        assert!(text.contains(&said), "{text}");
    }
}

#[test]
fn mutexes() {
    child::succeed_with(&WORKERS, &["two_mutexes", "three_mutexes"]);
}

#[test]
#[ignore = "run by mutexes"]
fn three_mutexes() {
    let mutexes: Arc<[Mutex<()>; 3]> = Arc::default();
    let wait = |index: usize| -> Wait {
        let mutexes = Arc::clone(&mutexes);
        Box::new(move |meet| {
            let _first = mutexes[index].lock();
            meet();
            let _second = mutexes[(index + 1) % 3].lock();
        })
    };
    start(vec![
        (named("a"), wait(0)),
        (named("b").thread(), wait(1)),
        (named("c"), wait(2)),
    ]);
    let lock = WaitReason::MutexLock;
    // Another goroutine that waits for one of them is no part of the cycle.
    let waits = Arc::clone(&mutexes);
    let aside = go!(move || drop(waits[0].lock()));
    is(&found(), &[("a", lock), ("b", lock), ("c", lock)]);
    mem::forget(aside);
}

#[test]
#[ignore = "run by what_is_known"]
fn write_locks() {
    let locks: Arc<[RwLock<()>; 2]> = Arc::default();
    let (one, other) = (Arc::clone(&locks), Arc::clone(&locks));
    start(vec![
        (
            named("reads"),
            Box::new(move |meet| {
                let _first = one[0].write();
                meet();
                let _second = one[1].read();
            }),
        ),
        (
            named("writes"),
            Box::new(move |meet| {
                let _first = other[1].write();
                meet();
                let _second = other[0].write();
            }),
        ),
    ]);
    let found = found();
    is(
        &found,
        &[
            ("reads", WaitReason::RwLockRead),
            ("writes", WaitReason::RwLockWrite),
        ],
    );
}

#[test]
#[ignore = "run by what_is_known"]
fn onces() {
    static MEETING: OnceLock<Meeting> = OnceLock::new();
    static ONE: LazyLock<u8> = LazyLock::new(|| {
        MEETING.get().unwrap().meet();
        *OTHER
    });
    static OTHER: LazyLock<u8> = LazyLock::new(|| {
        MEETING.get().unwrap().meet();
        *ONE
    });
    assert!(MEETING.set(Meeting::of(2)).is_ok());
    drop(named("one").spawn(|| *ONE).unwrap());
    drop(named("other").thread().spawn(|| *OTHER).unwrap());
    let once = WaitReason::Once;
    is(&found(), &[("one", once), ("other", once)]);
}

#[test]
#[ignore = "run by what_is_known"]
fn joins() {
    let (tx, rx) = channel::bounded::<JoinHandle<()>>(1);
    let mutex = Arc::new(Mutex::new(()));
    let (one, other) = (Arc::clone(&mutex), mutex);
    let (locked, is_locked) = channel::bounded::<()>(0);
    drop(
        named("joins")
            .spawn(move || {
                let _locked = one.lock();
                locked.send(()).unwrap();
                rx.recv().unwrap().join().unwrap();
            })
            .unwrap(),
    );
    is_locked.recv().unwrap();
    let joined = named("joined").spawn(move || drop(other.lock())).unwrap();
    tx.send(joined).unwrap();
    let found = found();
    is(
        &found,
        &[
            ("joins", WaitReason::Join),
            ("joined", WaitReason::MutexLock),
        ],
    );
    let joined = &found
        .goroutines()
        .iter()
        .find(|one| one.name() == Some("joined"));
    let said = format!("the end of goroutine {}.", joined.unwrap().number());
    assert!(found.to_string().contains(&said), "{found}");
}

#[test]
#[ignore = "run by what_is_known"]
fn scopes() {
    let mutex = Arc::new(Mutex::new(()));
    drop(
        named("outer")
            .spawn(move || {
                let _locked = mutex.lock();
                scope(|s| {
                    for _ in 0..3 {
                        s.spawn(|| ());
                    }
                    let inner = named("inner").spawn_scoped(s, || drop(mutex.lock()));
                    drop(inner.unwrap());
                });
            })
            .unwrap(),
    );
    is(
        &found(),
        &[
            ("outer", WaitReason::Scope),
            ("inner", WaitReason::MutexLock),
        ],
    );
}

#[test]
#[ignore = "run by what_is_known"]
fn groups() {
    let mutex = Arc::new(Mutex::new(()));
    drop(
        named("waits")
            .spawn(move || {
                let locked = mutex.lock();
                let group = WaitGroup::new();
                let same = Arc::clone(&mutex);
                let counted = named("counted").thread();
                drop(
                    group
                        .spawn_with(counted, move || drop(same.lock()))
                        .unwrap(),
                );
                group.wait();
                drop(locked);
            })
            .unwrap(),
    );
    is(
        &found(),
        &[
            ("waits", WaitReason::WaitGroupWait),
            ("counted", WaitReason::MutexLock),
        ],
    );
}

#[test]
#[ignore = "run by what_is_known"]
fn threads_and_goroutines() {
    let mutexes: Arc<[Mutex<()>; 2]> = Arc::default();
    let meeting = Arc::new(Meeting::of(2));
    let (theirs, meets) = (Arc::clone(&mutexes), Arc::clone(&meeting));
    let thread = thread::Builder::new().name("thread".into());
    let thread = thread.spawn(move || lock_two(&theirs, 0, &|| meets.meet()));
    let in_place = move || without_parking(|| lock_two(&mutexes, 1, &|| meeting.meet()));
    drop(named("in place").spawn(in_place).unwrap());
    // With one worker, that is held now, the caller is no goroutine but the test's own thread.
    let lock = WaitReason::MutexLock;
    is(&found(), &[("thread", lock), ("in place", lock)]);
    mem::forget(thread);
}

#[test]
fn what_is_known() {
    let tests = [
        "write_locks",
        "onces",
        "joins",
        "scopes",
        "groups",
        "threads_and_goroutines",
    ];
    child::succeed_with(&["1", "2", "8"], &tests);
}

#[test]
fn nothing_is_written_if_switched_off() {
    let off = [("GOMAXPROCS", "2"), ("GODEBUG", "deadlock=0")];
    let ended = child::succeed("two_mutexes", &off);
    ended.does_not_say(&["deadlock"]);
}

/// Goroutines that wait for each other as in a deadlock, and yet go on.
#[test]
#[ignore = "run by none_where_all_go_on"]
fn no_deadlocks() {
    // One holds both locks that the others want, which hold others.
    let mutexes: Arc<[Mutex<()>; 4]> = Arc::default();
    let (release, released) = channel::bounded::<()>(0);
    let (theirs, locked) = (Arc::clone(&mutexes), WaitGroup::new());
    locked.add(1);
    let all = locked.clone();
    let holder = go!(move || {
        let _both = (theirs[0].lock(), theirs[1].lock());
        all.done();
        let _ = released.recv();
    });
    locked.wait();
    let waiters: Vec<_> = (0..2)
        .map(|index| {
            let mutexes = Arc::clone(&mutexes);
            go!(move || {
                let _own = mutexes[2 + index].lock();
                drop(mutexes[index].lock());
            })
        })
        .collect();

    // A wait with a deadline, in a cycle: it ends by itself.
    let patience = Duration::from_millis(900);
    let mutex = Arc::new(Mutex::new(()));
    let timed = go!(move || {
        let locked = mutex.lock();
        let group = WaitGroup::new();
        let same = Arc::clone(&mutex);
        drop(group.go(move || drop(same.lock())));
        let waited = group.wait_timeout(patience);
        drop(locked);
        group.wait();
        waited
    });

    // A writer that waits for a reader, which waits for the writer's other lock, with a done
    // channel in between.
    let lock = Arc::new(RwLock::new(()));
    let reader = lock.read().unwrap();
    let same = Arc::clone(&lock);
    let writer = go!(move || drop(same.write()));

    let begun = Instant::now();
    while begun.elapsed() < patience {
        assert_eq!(deadlocks(), []);
    }
    drop(reader);
    drop(release);
    assert!(timed.join().unwrap().is_err());
    for one in waiters.into_iter().chain([holder, writer]) {
        one.join().unwrap();
    }
    assert_eq!(deadlocks(), []);
}

/// Many goroutines that lock in turn, while others look.
#[test]
#[ignore = "run by none_where_all_go_on"]
fn no_deadlocks_among_many() {
    let mutexes: Arc<[Mutex<u64>; 3]> = Arc::default();
    let end = Instant::now() + Duration::from_secs(1);
    let lockers: Vec<_> = (0..32)
        .map(|_| {
            let mutexes = Arc::clone(&mutexes);
            go!(move || {
                while Instant::now() < end {
                    // Always in the same order.
                    let mut all = mutexes.iter().map(|one| one.lock().unwrap());
                    let mut held: Vec<_> = all.by_ref().collect();
                    held.iter_mut().for_each(|count| **count += 1);
                }
            })
        })
        .collect();
    let onces: Vec<_> = (0..8)
        .map(|_| {
            go!(move || {
                while Instant::now() < end {
                    let once = Once::new();
                    scope(|s| {
                        (0..4).for_each(|_| drop(s.spawn(|| once.call_once(|| ()))));
                        once.call_once(|| time::sleep(Duration::from_micros(100)));
                    });
                }
            })
        })
        .collect();
    while Instant::now() < end {
        assert_eq!(deadlocks(), []);
    }
    for one in lockers.into_iter().chain(onces) {
        one.join().unwrap();
    }
}

#[test]
fn none_where_all_go_on() {
    for workers in WORKERS {
        for test in ["no_deadlocks", "no_deadlocks_among_many"] {
            let ended = child::succeed(test, &[("GOMAXPROCS", workers)]);
            ended.does_not_say(&["deadlock:"]);
        }
    }
}

/// Checks what is said of the goroutine that waits for itself, and that it is found.
#[track_caller]
fn waits_for_itself(builder: Builder, reason: WaitReason, wait: fn()) {
    drop(builder.name("itself").spawn(wait).unwrap());
    let found = found();
    is(&found, &[("itself", reason)]);
    let number = found.goroutines()[0].number();
    assert!(
        found
            .to_string()
            .contains(&format!("goroutine {number} has")),
        "{found}"
    );
    eventually(|| !is_report_being_written());
}

/// Returns whether the thread is there that was started for a report before the wait began.
fn is_report_being_written() -> bool {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    threads.filter_map(Result::ok).any(|thread| {
        fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name.trim() == "go-report")
    })
}

fn lock_twice() {
    let mutex = Mutex::new(());
    let _first = mutex.lock();
    let _second = mutex.lock();
}

fn write_twice() {
    let lock = RwLock::new(());
    let _first = lock.write();
    let _second = lock.write();
}

fn read_what_is_written() {
    let lock = RwLock::new(());
    let _first = lock.write();
    let _second = lock.read();
}

#[test]
#[ignore = "run by a_lock_of_ones_own"]
fn own_mutex() {
    waits_for_itself(Builder::new(), WaitReason::MutexLock, lock_twice);
}

#[test]
#[ignore = "run by a_lock_of_ones_own"]
fn own_mutex_on_a_thread() {
    waits_for_itself(Builder::new().thread(), WaitReason::MutexLock, lock_twice);
}

#[test]
#[ignore = "run by a_lock_of_ones_own"]
fn own_mutex_in_place() {
    let wait = || without_parking(lock_twice);
    waits_for_itself(Builder::new(), WaitReason::MutexLock, wait);
}

#[test]
#[ignore = "run by a_lock_of_ones_own"]
fn own_write_lock() {
    waits_for_itself(Builder::new(), WaitReason::RwLockWrite, write_twice);
}

#[test]
#[ignore = "run by a_lock_of_ones_own"]
fn own_write_lock_to_read() {
    waits_for_itself(Builder::new(), WaitReason::RwLockRead, read_what_is_written);
}

#[test]
fn a_lock_of_ones_own() {
    let tests = [
        ("own_mutex", "waits for a mutex that it has locked already"),
        (
            "own_mutex_on_a_thread",
            "waits for a mutex that it has locked already",
        ),
        (
            "own_mutex_in_place",
            "waits for a mutex that it has locked already",
        ),
        (
            "own_write_lock",
            "waits for a lock that it has for writing already",
        ),
        (
            "own_write_lock_to_read",
            "waits for a lock that it has for writing already",
        ),
    ];
    for (test, said) in tests {
        let ended = child::succeed(test, &[("GOMAXPROCS", "2")]);
        ended.says(&[
            "go-runtime: deadlock: the goroutine 'itself', spawned at tests/tests/system/cycles",
            &format!("{said}, at tests/tests/system/cycles.rs:"),
        ]);
        assert_eq!(ended.err.matches("deadlock:").count(), 1, "{}", ended.all());
    }
}

/// A guard may be passed to another goroutine of the same worker, for which the first one then
/// waits. That is no deadlock.
#[test]
fn a_guard_that_is_passed_on() {
    static MUTEX: Mutex<u8> = Mutex::new(0);
    in_goroutine(|| {
        let mut guard = MUTEX.lock().unwrap();
        let other = go!(local; move || {
            go_runtime::yield_now();
            *guard += 1;
        });
        assert_eq!(*MUTEX.lock().unwrap(), 1);
        other.join().unwrap();
    });
}
