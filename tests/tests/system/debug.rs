//! Goroutines and threads as `debug` lists them.
#![cfg(target_os = "linux")]

use std::io;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use go_runtime::channel::{self, Receiver, bounded};
use go_runtime::debug::{
    DumpOptions, Goroutine, GoroutineState, WaitReason, dump, goroutines, goroutines_with_frames,
};
use go_runtime::net::TcpListener;
use go_runtime::sync::{Barrier, Condvar, Mutex, Once, RwLock, Semaphore, WaitGroup};
use go_runtime::{Builder, JoinSet, block_on, blocking, go, scope, select, time, without_parking};

use go_tests::support::{child, eventually, in_goroutine};

/// Returns the goroutine, or the thread, of that name.
fn find(name: &str) -> Option<Goroutine> {
    let is_it = |one: &Goroutine| one.name().or(one.thread()) == Some(name);
    goroutines().into_iter().find(is_it)
}

/// Returns the goroutine, or the thread, of that name as soon as it is in that state.
#[track_caller]
fn find_in(name: &str, state: GoroutineState) -> Goroutine {
    let mut found = None;
    eventually(|| {
        found = find(name).filter(|one| one.state() == state);
        found.is_some()
    });
    found.unwrap()
}

/// Runs `wait`, which waits for `reason` until it is told by the channel to go on, in a goroutine,
/// in one with a thread of its own, in one that must not park, and on a thread.
#[track_caller]
fn waits_for(reason: WaitReason, wait: impl Fn(&Receiver<()>) + Clone + Send + Sync + 'static) {
    let name = |who: &str| format!("{who}, {reason}");
    let waiting = GoroutineState::Waiting(reason);

    let spawn = |who: &str, builder: Builder, in_place: bool| {
        let (stop, stopped) = bounded::<()>(1);
        let wait = wait.clone();
        let name = name(who);
        let handle = builder.name(&name).spawn(move || {
            if in_place {
                without_parking(|| wait(&stopped));
            } else {
                wait(&stopped);
            }
        });
        let handle = handle.unwrap();
        let found = find_in(&name, waiting);
        assert!(found.spawned_at().unwrap().file().ends_with("debug.rs"));
        stop.send(()).unwrap();
        handle.join().unwrap();
        assert_ne!(find(&name).map(|one| one.state()), Some(waiting));
        found
    };
    let found = spawn("goroutine", Builder::new(), false);
    assert!(found.worker().is_some() && found.thread().is_none());
    if reason == WaitReason::Blocking {
        // Elsewhere the call blocks its own thread.
        return;
    }
    let found = spawn("with a thread", Builder::new().thread(), false);
    assert!(found.worker().is_none() && found.thread().is_some());
    if go_runtime::gomaxprocs() > 1 {
        spawn("must not park", Builder::new(), true);
    }

    let (stop, stopped) = bounded::<()>(1);
    let name = name("thread");
    let thread = thread::Builder::new().name(name.clone());
    let thread = thread.spawn(move || wait(&stopped)).unwrap();
    let found = find_in(&name, waiting);
    assert_eq!((found.spawned_at(), found.worker()), (None, None));
    stop.send(()).unwrap();
    thread.join().unwrap();
    assert_eq!(find(&name), None);
}

/// Runs `release` in a goroutine of its own once the channel says so, and `wait` meanwhile.
fn released(stop: &Receiver<()>, release: impl FnOnce() + Send, wait: impl FnOnce()) {
    scope(|s| {
        s.spawn(|| {
            stop.recv().unwrap();
            release();
        });
        wait();
    });
}

/// Runs `hold` in a goroutine of its own, which calls its argument while it holds something: until
/// the channel says so. Runs `wait` meanwhile.
fn held(stop: &Receiver<()>, hold: impl FnOnce(&dyn Fn()) + Send, wait: impl FnOnce()) {
    let (begin, begun) = bounded(0);
    scope(|s| {
        s.spawn(|| {
            hold(&|| {
                begin.send(()).unwrap();
                stop.recv().unwrap();
            });
        });
        begun.recv().unwrap();
        wait();
    });
}

#[test]
fn channels() {
    waits_for(WaitReason::ChanReceive, |stop| stop.recv().unwrap());
    waits_for(WaitReason::ChanReceive, |stop| {
        stop.recv_timeout(Duration::from_secs(1000)).unwrap();
    });
    waits_for(WaitReason::ChanSend, |stop| {
        let (tx, rx) = bounded(0);
        released(stop, || rx.recv().unwrap(), || tx.send(()).unwrap());
    });
    waits_for(WaitReason::Select, |stop| {
        let (_tx, rx) = bounded::<()>(0);
        select! {
            recv(stop) -> _ => {}
            recv(rx) -> _ => {}
        }
    });
    let never_due = channel::after(Duration::from_secs(1000));
    waits_for(WaitReason::Select, move |stop| {
        select! {
            recv(never_due) -> _ => {}
            recv(stop) -> _ => {}
        }
    });
}

#[test]
fn locks() {
    waits_for(WaitReason::MutexLock, |stop| {
        let mutex = Mutex::new(());
        let hold = |hold: &dyn Fn()| {
            let _guard = mutex.lock().unwrap();
            hold();
        };
        held(stop, hold, || drop(mutex.lock().unwrap()));
    });
    waits_for(WaitReason::RwLockRead, |stop| {
        let lock = RwLock::new(());
        let hold = |hold: &dyn Fn()| {
            let _guard = lock.write().unwrap();
            hold();
        };
        held(stop, hold, || drop(lock.read().unwrap()));
    });
    waits_for(WaitReason::RwLockWrite, |stop| {
        let lock = RwLock::new(());
        let hold = |hold: &dyn Fn()| {
            let _guard = lock.read().unwrap();
            hold();
        };
        held(stop, hold, || drop(lock.write().unwrap()));
    });
    waits_for(WaitReason::CondvarWait, |stop| {
        let (mutex, condvar) = (Mutex::new(false), Condvar::new());
        let release = || {
            *mutex.lock().unwrap() = true;
            condvar.notify_one();
        };
        let wait = || drop(condvar.wait_while(mutex.lock().unwrap(), |told| !*told));
        released(stop, release, wait);
    });
    waits_for(WaitReason::Once, |stop| {
        let once = Once::new();
        let hold = |hold: &dyn Fn()| once.call_once(hold);
        held(stop, hold, || once.call_once(|| unreachable!()));
    });
    waits_for(WaitReason::Barrier, |stop| {
        let barrier = Barrier::new(2);
        let meet = || {
            barrier.wait();
        };
        released(stop, meet, meet);
    });
}

#[test]
fn groups() {
    waits_for(WaitReason::Semacquire, |stop| {
        let none = Semaphore::new(0);
        released(
            stop,
            || none.add_permits(1),
            || drop(none.acquire().unwrap()),
        );
    });
    waits_for(WaitReason::Semacquire, |stop| {
        let none = Semaphore::new(0);
        assert!(none.acquire_with(1, stop).is_err());
    });
    waits_for(WaitReason::WaitGroupWait, |stop| {
        let group = WaitGroup::new();
        group.add(1);
        released(stop, || group.done(), || group.wait());
    });
    waits_for(WaitReason::Join, |stop| {
        let stop = stop.clone();
        go! { stop.recv() }.join().unwrap().unwrap();
    });
    waits_for(WaitReason::Join, |stop| {
        let stop = stop.clone();
        let child = go! { stop.recv() };
        let ended = child.join_timeout(Duration::from_secs(1000)).unwrap();
        ended.unwrap().unwrap();
    });
    waits_for(WaitReason::Join, |stop| {
        let stop = stop.clone();
        let mut set = JoinSet::new();
        set.spawn(move || stop.recv().unwrap());
        set.join_next().unwrap().unwrap();
    });
    waits_for(WaitReason::Scope, |stop| {
        scope(|s| {
            s.spawn(|| stop.recv().unwrap());
        });
    });
}

#[test]
fn the_world_outside() {
    waits_for(WaitReason::IoWait, |stop| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let release = || drop(std::net::TcpStream::connect(address).unwrap());
        released(stop, release, || drop(listener.accept().unwrap()));
    });
    waits_for(WaitReason::Blocking, |stop| {
        blocking(|| stop.recv().unwrap())
    });
    waits_for(WaitReason::Future, |stop| {
        block_on(stop.recv_async()).unwrap();
    });
}

/// These waits have no end, so the goroutines stay.
#[test]
fn waits_without_an_end() {
    let sleeping = |name, sleep: fn()| drop(Builder::new().name(name).spawn(sleep).unwrap());
    sleeping("sleeper", || time::sleep(Duration::from_secs(100_000)));
    sleeping("for ever", || select! {});
    sleeping("never", || channel::never().recv().unwrap());
    find_in("sleeper", GoroutineState::Waiting(WaitReason::Sleep));
    find_in(
        "for ever",
        GoroutineState::Waiting(WaitReason::SelectNoCases),
    );
    find_in(
        "never",
        GoroutineState::Waiting(WaitReason::ChanReceiveNever),
    );
}

/// Who waits for the same thing has the same object.
#[test]
fn objects() {
    in_goroutine(|| {
        let (tx, rx) = bounded::<()>(0);
        let (_other_tx, other) = bounded::<()>(0);
        let spawn = |name, rx: &Receiver<()>| {
            let rx = rx.clone();
            Builder::new().name(name).spawn(move || rx.recv()).unwrap()
        };
        let _waiting = [
            spawn("object a1", &rx),
            spawn("object a2", &rx),
            spawn("object b", &other),
        ];
        let object = |name| {
            let found = find_in(name, GoroutineState::Waiting(WaitReason::ChanReceive));
            found.object().unwrap()
        };
        assert_eq!(object("object a1"), object("object a2"));
        assert_ne!(object("object a1"), object("object b"));
        drop(tx);
    });
}

#[test]
fn who_runs_is_running() {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let runs = Builder::new().name("runs").spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    });
    let found = find_in("runs", GoroutineState::Running);
    assert!(
        found
            .to_string()
            .contains("[running] {name: runs}:\ncreated at "),
        "{found}"
    );
    stop.store(true, Ordering::Relaxed);
    runs.unwrap().join().unwrap();
    eventually(|| find("runs").is_none());
}

/// A wait that ends while the goroutine still polls for its end leaves no reason behind.
#[test]
fn who_has_waited_without_parking_is_running() {
    in_goroutine(|| {
        let (there, come) = bounded::<()>(0);
        let (back, gone) = bounded::<()>(0);
        let partner = go! {
            for () in come {
                back.send(()).unwrap();
            }
        };
        let asks = Builder::new().name("asks").spawn(move || {
            for round in 0..20_000 {
                there.send(()).unwrap();
                gone.recv().unwrap();
                if round % 100 == 0 {
                    assert_eq!(find("asks").unwrap().state(), GoroutineState::Running);
                }
            }
        });
        asks.unwrap().join().unwrap();
        partner.join().unwrap();
    });
}

/// A goroutine that was ready, and whose worker is held, is runnable.
#[test]
fn who_waits_for_the_worker_is_runnable() {
    in_goroutine(|| {
        let spawn = || {
            let (tx, rx) = bounded::<()>(1);
            let handle = Builder::new()
                .name("is ready")
                .spawn_local(move || rx.recv().unwrap());
            (tx, handle.unwrap())
        };
        let (tx, handle) = spawn();
        find_in("is ready", GoroutineState::Waiting(WaitReason::ChanReceive));
        // This goroutine, on the same worker, wakes it and does not switch.
        tx.send(()).unwrap();
        assert_eq!(find("is ready").unwrap().state(), GoroutineState::Runnable);
        handle.join().unwrap();
    });
}

/// The time is the runtime's own clock, which also counts while all workers sleep.
#[test]
fn since() {
    let (stop, done) = bounded::<()>(0);
    let since = Instant::now();
    let waits = Builder::new().name("waits").spawn(move || done.recv());
    eventually(|| find("waits").is_some_and(|one| one.since() >= Duration::from_secs(1)));
    assert!(since.elapsed() >= Duration::from_millis(900));
    drop(stop);
    waits.unwrap().join().unwrap().unwrap_err();
}

#[test]
fn a_dump_of_few_lists_all_and_of_many_counts() {
    let (stop, done) = bounded::<()>(0);
    let text = |options| {
        let mut text = Vec::new();
        dump(&mut text, options).unwrap();
        String::from_utf8(text).unwrap()
    };
    let all: Vec<_> = (0..2000)
        .map(|_| {
            let done = done.clone();
            go! { done.recv() }
        })
        .collect();
    let line = line!() - 3;
    let created = format!("created at {}:{line}:", file!());
    eventually(|| text(DumpOptions::new()).contains("2000 goroutines [chan receive]:\n"));
    assert_eq!(text(DumpOptions::new()).matches(&created).count(), 1);
    let listed = text(DumpOptions::new().all(true));
    assert_eq!(listed.matches(&created).count(), 2000, "{listed}");
    drop(stop);
    for one in all {
        one.join().unwrap().unwrap_err();
    }
}

/// Listing is safe while stacks come and go.
#[test]
fn listing_while_goroutines_start_and_end() {
    let ended = Arc::new(AtomicBool::new(false));
    let spawning: Vec<_> = (0..4)
        .map(|who| {
            let ended = Arc::clone(&ended);
            go! {
                while !ended.load(Ordering::Relaxed) {
                    let many: Vec<_> = (0..200)
                        .map(|n| {
                            let size = if n % 3 == 0 { 64 << 10 } else { 256 << 10 };
                            let builder = Builder::new().name(format!("{who}.{n}"));
                            let builder = builder.stack_size(size);
                            builder.spawn(|| time::sleep(Duration::from_micros(100))).unwrap()
                        })
                        .collect();
                    many.into_iter().for_each(|one| one.join().unwrap());
                }
            }
        })
        .collect();
    for _ in 0..200 {
        for one in goroutines() {
            let text = one.to_string();
            assert!(
                text.starts_with("goroutine ") || text.starts_with("thread "),
                "{text}"
            );
        }
    }
    ended.store(true, Ordering::Relaxed);
    spawning.into_iter().for_each(|one| one.join().unwrap());
}

/// Returns the functions that the goroutine of that name is in.
fn functions(name: &str) -> Vec<String> {
    let all = goroutines_with_frames();
    let found = all.iter().find(|one| one.name() == Some(name));
    let frames = found.map_or(&[][..], Goroutine::frames);
    frames.iter().map(|one| one.function().to_owned()).collect()
}

#[inline(never)]
fn innermost(done: &Receiver<()>) {
    let _ = std::hint::black_box(done.recv());
}

#[inline(never)]
fn outer(done: &Receiver<()>) {
    innermost(done);
    std::hint::black_box(());
}

/// Also if a goroutine asks, of its own worker or of others.
#[test]
fn frames_are_the_programs() {
    let (stop, done) = bounded::<()>(0);
    let waits = Builder::new().name("with frames");
    let waits = waits.spawn(move || outer(&done)).unwrap();
    find_in(
        "with frames",
        GoroutineState::Waiting(WaitReason::ChanReceive),
    );
    let check = || {
        let mut functions = Vec::new();
        // A goroutine of another test may hold the worker for a while.
        eventually(|| {
            functions = self::functions("with frames");
            !functions.is_empty()
        });
        assert!(functions[0].ends_with("innermost"), "{functions:?}");
        assert!(functions[1].ends_with("outer"), "{functions:?}");
        assert!(
            functions[2].contains("frames_are_the_programs"),
            "{functions:?}"
        );
        assert_eq!(functions.len(), 3, "{functions:?}");
    };
    check();
    let asking: Vec<_> = (0..4).map(|_| go! { check() }).collect();
    asking.into_iter().for_each(|one| one.join().unwrap());
    drop(stop);
    waits.join().unwrap();
}

/// A goroutine that is resumed for its frames only goes on to wait, whatever wakes it meanwhile.
#[test]
fn frames_of_goroutines_that_are_woken_all_the_time() {
    let ended = Arc::new(AtomicBool::new(false));
    let mutex = Arc::new(Mutex::new(0_u64));
    let mut pairs = Vec::new();
    for n in 0..8 {
        let (there, come) = bounded::<u64>(n % 3);
        let (back, gone) = bounded::<u64>(0);
        pairs.push(go!(clone(mutex) {
            for (next, got) in (0..).zip(come) {
                assert_eq!(got, next);
                *mutex.lock().unwrap() += 1;
                if n % 2 == 0 {
                    time::sleep(Duration::from_micros(50));
                }
                back.send(got).unwrap();
            }
        }));
        pairs.push(go!(clone(ended) {
            let mut sent = 0;
            while !ended.load(Ordering::Relaxed) {
                there.send(sent).unwrap();
                select! {
                    recv(gone) -> got => assert_eq!(got.unwrap(), sent),
                    default(Duration::from_secs(1000)) => unreachable!(),
                }
                sent += 1;
            }
        }));
    }
    let asking: Vec<_> = (0..3)
        .map(|who| {
            let ask = || {
                let with_frames = || {
                    let all = goroutines_with_frames();
                    all.iter().filter(|one| !one.frames().is_empty()).count()
                };
                for _ in 0..30 {
                    with_frames();
                }
                // (None of them may have started until now.)
                eventually(|| with_frames() > 0);
            };
            match who {
                0 => Ok(go! { ask() }),
                _ => Err(thread::spawn(ask)),
            }
        })
        .collect();
    for one in asking {
        match one {
            Ok(goroutine) => goroutine.join().unwrap(),
            Err(thread) => thread.join().unwrap(),
        }
    }
    ended.store(true, Ordering::Relaxed);
    pairs.into_iter().for_each(|one| one.join().unwrap());
    assert!(*mutex.lock().unwrap() > 0);
}

/// A name can neither begin a line of its own nor control a terminal.
#[test]
fn names_with_control_characters() {
    let (stop, done) = bounded::<()>(0);
    let name = "two\nlines, \u{1b}[31m red\0, größer";
    let waits = Builder::new().name(name).spawn(move || done.recv());
    let found = find_in(name, GoroutineState::Waiting(WaitReason::ChanReceive));
    let head = found.to_string();
    let escaped = r"{name: two\nlines, \u{1b}[31m red\0, größer}:";
    assert!(head.lines().next().unwrap().ends_with(escaped), "{head}");
    drop(stop);
    assert!(waits.unwrap().join().unwrap().is_err());
}

/// A goroutine that panics keeps its worker, whatever it calls: the others would seem to panic.
#[test]
#[ignore = "run by a_goroutine_that_panics_may_look"]
fn looks_while_it_panics() {
    struct Looks;
    impl Drop for Looks {
        fn drop(&mut self) {
            assert!(thread::panicking());
            let seen = goroutines_with_frames();
            assert!(seen.iter().any(|one| one.name() == Some("waits")));
            dump(&mut io::sink(), DumpOptions::new()).unwrap();
        }
    }
    let (stop, done) = bounded::<()>(0);
    let waits = Builder::new().name("waits");
    let waits = waits.spawn(move || innermost(&done)).unwrap();
    find_in("waits", GoroutineState::Waiting(WaitReason::ChanReceive));
    let ended = Arc::new(AtomicBool::new(false));
    let others: Vec<_> = (0..32)
        .map(|_| {
            go!(clone(ended) {
                while !ended.load(Ordering::Relaxed) {
                    assert!(!thread::panicking());
                    time::sleep(Duration::from_micros(10));
                }
            })
        })
        .collect();
    panic::set_hook(Box::new(|_| drop(goroutines_with_frames())));
    let panics = go! {
        let _looks = Looks;
        panic!("on purpose");
    };
    assert!(panics.join().is_err());
    let panics = go!(without_parking(|| drop(goroutines_with_frames())));
    panics.join().unwrap();
    drop(panic::take_hook());
    ended.store(true, Ordering::Relaxed);
    others.into_iter().for_each(|one| one.join().unwrap());
    drop(stop);
    waits.join().unwrap();
}

#[test]
fn a_goroutine_that_panics_may_look() {
    child::succeed_with(&["1", "2", "4", "8", "16"], &["looks_while_it_panics"]);
}

/// Goroutines have no frames whose worker is held, or whose stack has too little room.
#[test]
#[ignore = "run by some_goroutines_have_no_frames"]
fn without_frames() {
    let (stop, done) = bounded::<()>(0);
    let small = Builder::new().name("small").stack_size(32 << 10);
    let other = done.clone();
    let small = small.spawn(move || {
        let room = [0_u8; 14 << 10];
        innermost(&other);
        std::hint::black_box(&room);
    });
    find_in("small", GoroutineState::Waiting(WaitReason::ChanReceive));
    assert_eq!(functions("small"), [""; 0]);

    let waits = Builder::new().name("beside a hog");
    let waits = waits.spawn(move || innermost(&done)).unwrap();
    find_in(
        "beside a hog",
        GoroutineState::Waiting(WaitReason::ChanReceive),
    );
    eventually(|| !functions("beside a hog").is_empty());
    let ended = Arc::new(AtomicBool::new(false));
    let hog = go!(clone(ended) {
        while !ended.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    });
    eventually(|| functions("beside a hog").is_empty());
    assert_eq!(functions("beside a hog"), [""; 0]);
    ended.store(true, Ordering::Relaxed);
    hog.join().unwrap();
    drop(stop);
    waits.join().unwrap();
    small.unwrap().join().unwrap();
}

#[test]
fn some_goroutines_have_no_frames() {
    child::succeed("without_frames", &[("GOMAXPROCS", "1")]);
}

/// Recording takes a worker longer than a goroutine may hold it.
#[test]
fn frames_of_many() {
    let (stop, done) = bounded::<()>(0);
    let waiting: Vec<_> = (0..900)
        .map(|_| go!(clone(done) { innermost(&done) }))
        .collect();
    let innermost = |one: &&Goroutine| {
        let frame = one.frames().first();
        frame.is_some_and(|frame| frame.function().ends_with("innermost"))
    };
    eventually(|| goroutines_with_frames().iter().filter(innermost).count() >= 900);
    drop(stop);
    waiting.into_iter().for_each(|one| one.join().unwrap());
}
