//! Programs whose goroutines all sleep, some of them for ever: `asleep NAME [plain]`. The tests of
//! deadlocks and of SIGQUIT run them. What ends well ends with status 0.

use std::env;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use go_runtime::channel::{bounded, unbounded};
use go_runtime::net::Fd;
use go_runtime::process::Command;
use go_runtime::signal::{SIGQUIT, SIGUSR1, notify};
use go_runtime::sync::{Condvar, Mutex, RwLock, WaitGroup};
use go_runtime::{Builder, blocking, debug, go, scope, select, time};

/// Long enough for the monitor to fall asleep, and to look.
const A_WHILE: Duration = Duration::from_millis(700);

#[rustfmt::skip]
const PROGRAMS: [(&str, fn()); 34] = [
    // Deadlocks.
    ("own_channel", own_channel), ("two_locks", two_locks), ("own_lock", own_lock),
    ("wait_group", wait_group), ("condvar", condvar), ("no_arms", || select! {}),
    ("in_a_scope", in_a_scope), ("a_thread_goroutine", a_thread_goroutine), ("late", late),
    ("after_blocking", after_blocking), ("many", many),
    ("after_a_thread_goroutine", after_a_thread_goroutine),
    ("after_a_deadline", after_a_deadline), ("holds_stderr", holds_stderr),
    // Of some goroutines.
    ("pairs", pairs),
    // None.
    ("a_timer", a_timer), ("after_func", after_func), ("a_pipe", a_pipe), ("a_process", a_process),
    ("a_blocking_call", a_blocking_call), ("a_thread", a_thread),
    ("a_thread_with_a_deadline", a_thread_with_a_deadline), ("a_listener", a_listener),
    ("an_alarm", an_alarm),
    // A thread that does not do anything.
    ("a_thread_that_sleeps", a_thread_that_sleeps),
    // For signals.
    ("sleeper", sleeper), ("hog", hog), ("own_listener", own_listener),
    ("own_handler", own_handler), ("own_then_notify", own_then_notify),
    ("forks", forks), ("sleeper_holds_stderr", sleeper_holds_stderr),
    ("ignores", ignores), ("on_usr1", on_usr1),
];

#[go_runtime::main]
fn as_main() {
    program()();
}

fn main() -> ExitCode {
    if env::args().nth(2).as_deref() == Some("plain") {
        program()();
        return ExitCode::SUCCESS;
    }
    as_main()
}

fn program() -> fn() {
    let name = env::args().nth(1).unwrap_or_default();
    let found = PROGRAMS.iter().find(|program| program.0 == name);
    found.expect("the name of a program").1
}

fn own_channel() {
    let (tx, rx) = bounded::<()>(0);
    let _other = go!(clone(rx) { rx.recv() });
    // The mistake: `tx` lives on.
    let _ = rx.recv();
    drop(tx);
}

fn two_locks() {
    let locks = Arc::new([Mutex::new(()), Mutex::new(())]);
    let both = Arc::new(go_runtime::sync::Barrier::new(2));
    let lock = |first: usize| {
        go!(clone(locks, both) {
            let _first = locks[first].lock().unwrap();
            both.wait();
            let _second = locks[1 - first].lock().unwrap();
        })
    };
    for one in [lock(0), lock(1)] {
        one.join().unwrap();
    }
}

/// Two goroutines wait for each other, and some time later another two, while this one goes on. The
/// goroutines of a scope wait for a third, which waits for all of them.
fn pairs() {
    let crowd = || {
        let lock = Mutex::new(());
        let _first = lock.lock().unwrap();
        scope(|s| {
            for _ in 0..50 {
                s.spawn(|| drop(lock.lock()));
            }
        });
    };
    drop(Builder::new().name("crowd").spawn(crowd).unwrap());
    for pair in ["first", "second"] {
        let locks = Arc::new([Mutex::new(()), Mutex::new(())]);
        let both = Arc::new(go_runtime::sync::Barrier::new(2));
        for first in [0, 1] {
            let (locks, both) = (Arc::clone(&locks), Arc::clone(&both));
            let lock = move || {
                let _first = locks[first].lock().unwrap();
                both.wait();
                let _second = locks[1 - first].lock().unwrap();
            };
            drop(Builder::new().name(pair).spawn(lock).unwrap());
        }
        // The runtime looks a few times.
        for _ in 0..300 {
            time::sleep(Duration::from_millis(10));
        }
    }
    select! {}
}

fn own_lock() {
    go! {
        let lock = RwLock::new(());
        let _first = lock.read().unwrap();
        drop(lock.write().unwrap());
    }
    .join()
    .unwrap();
}

fn wait_group() {
    let group = WaitGroup::new();
    group.add(1);
    go!(clone(group) { group.wait() }).join().unwrap();
}

fn condvar() {
    let (lock, told) = (Mutex::new(false), Condvar::new());
    scope(|s| {
        s.spawn(|| {
            let _told = told.wait_while(lock.lock().unwrap(), |told| !*told);
        });
    });
}

fn in_a_scope() {
    let (_tx, rx) = unbounded::<()>();
    scope(|s| {
        s.spawn(|| rx.recv());
    });
}

fn a_thread_goroutine() {
    let (_tx, rx) = unbounded::<()>();
    go!(thread; { rx.recv() }).join().unwrap().unwrap();
}

/// The goroutine has slept for long when the thread begins to wait.
fn late() {
    let (tx, rx) = unbounded::<()>();
    let waits = go! { rx.recv() };
    thread::sleep(A_WHILE);
    waits.join().unwrap().unwrap();
    drop(tx);
}

/// There are threads for blocking calls, which have nothing to do.
fn after_blocking() {
    blocking(|| thread::sleep(Duration::from_millis(1)));
    own_channel();
}

fn many() {
    let (_tx, rx) = bounded::<()>(0);
    let all: Vec<_> = (0..20_000).map(|_| go!(clone(rx) { rx.recv() })).collect();
    for one in all {
        one.join().unwrap().unwrap();
    }
}

/// A goroutine with a thread of its own ends while all others sleep.
fn after_a_thread_goroutine() {
    let _ends = go!(thread; { thread::sleep(A_WHILE) });
    own_channel();
}

/// A thread that has waited with a deadline ends while all goroutines sleep.
fn after_a_deadline() {
    thread::spawn(|| {
        let (_tx, rx) = bounded::<()>(0);
        rx.recv_timeout(A_WHILE)
    });
    own_channel();
}

fn holds_stderr() {
    let _held = std::io::stderr().lock();
    own_channel();
}

fn a_timer() {
    let (_tx, rx) = bounded::<()>(0);
    go!(clone(rx) { rx.recv_timeout(A_WHILE) })
        .join()
        .unwrap()
        .unwrap_err();
    go! { time::sleep(A_WHILE) }.join().unwrap();
}

fn after_func() {
    let (tx, rx) = bounded::<()>(1);
    let _timer = time::after_func(A_WHILE, move || tx.send(()).unwrap());
    go! { rx.recv() }.join().unwrap().unwrap();
}

/// Another process closes the pipe.
fn a_pipe() {
    let seconds = A_WHILE.as_secs_f64().to_string();
    let mut sleep = std::process::Command::new("sleep");
    let sleep = sleep.arg(seconds).stdout(Stdio::piped()).spawn();
    let pipe = OwnedFd::from(sleep.unwrap().stdout.unwrap());
    let pipe = Fd::new(File::from(pipe)).unwrap();
    let read = go! { pipe.read_with(|mut pipe| pipe.read(&mut [0])) };
    assert_eq!(read.join().unwrap().unwrap(), 0);
}

fn a_process() {
    let seconds = A_WHILE.as_secs_f64().to_string();
    let sleep = go!({ Command::new("sleep").arg(seconds).status() });
    assert!(sleep.join().unwrap().unwrap().success());
}

fn a_blocking_call() {
    let (tx, rx) = bounded::<()>(1);
    let waits = go! { rx.recv() };
    go! { blocking(|| thread::sleep(A_WHILE)); tx.send(()).unwrap() }
        .join()
        .unwrap();
    waits.join().unwrap().unwrap();
}

fn a_thread() {
    let (tx, rx) = bounded::<()>(1);
    thread::spawn(move || {
        thread::sleep(A_WHILE);
        tx.send(()).unwrap();
    });
    go! { rx.recv() }.join().unwrap().unwrap();
}

fn a_thread_with_a_deadline() {
    let (tx, rx) = bounded::<()>(1);
    thread::spawn(move || {
        let (_tx, never) = bounded::<()>(0);
        never.recv_timeout(A_WHILE).unwrap_err();
        tx.send(()).unwrap();
    });
    go! { rx.recv() }.join().unwrap().unwrap();
}

/// The program's own handler may do anything.
fn an_alarm() {
    extern "C" fn end(_: i32) {
        // SAFETY: `_exit` is async-signal-safe.
        unsafe { libc::_exit(0) }
    }
    let end: extern "C" fn(i32) = end;
    // SAFETY: the handler does only what is async-signal-safe.
    unsafe {
        libc::signal(libc::SIGALRM, end as libc::sighandler_t);
        libc::alarm(1);
    }
    own_channel();
}

/// A signal ends it.
fn a_listener() {
    let signals = notify(&[SIGUSR1]).unwrap();
    eprintln!("ready");
    go! { signals.recv() }.join().unwrap().unwrap();
}

fn a_thread_that_sleeps() {
    let (tx, rx) = mpsc::channel::<()>();
    thread::spawn(move || rx.recv());
    own_channel();
    drop(tx);
}

fn sleeper() {
    let sleeps = Builder::new().name("dreamer").spawn(|| {
        eprintln!("ready");
        time::sleep(Duration::from_secs(1000));
    });
    sleeps.unwrap().join().unwrap();
}

/// All workers are held.
fn hog() {
    let running: Vec<_> = (0..go_runtime::gomaxprocs())
        .map(|_| {
            go! {
                eprintln!("ready");
                loop {
                    std::hint::spin_loop();
                }
            }
        })
        .collect();
    running.into_iter().for_each(|one| one.join().unwrap());
}

fn own_listener() {
    let signals = notify(&[SIGQUIT]).unwrap();
    eprintln!("ready");
    signals.recv().unwrap();
    // One signal is one message.
    signals
        .recv_timeout(Duration::from_millis(100))
        .unwrap_err();
}

fn own_handler() {
    static QUIT: AtomicBool = AtomicBool::new(false);
    let handler = || QUIT.store(true, Ordering::SeqCst);
    // SAFETY: a store to an atomic is async-signal-safe.
    unsafe { signal_hook::low_level::register(libc::SIGQUIT, handler) }.unwrap();
    eprintln!("ready");
    while !QUIT.load(Ordering::SeqCst) {
        time::sleep(Duration::from_millis(1));
    }
    // Another handler would have ended the process meanwhile.
    time::sleep(Duration::from_millis(100));
}

/// The program's own handler was there before it listened.
fn own_then_notify() {
    static QUIT: AtomicBool = AtomicBool::new(false);
    extern "C" fn note(_: i32) {
        QUIT.store(true, Ordering::SeqCst);
    }
    let note: extern "C" fn(i32) = note;
    // SAFETY: the handler does only what is async-signal-safe.
    unsafe { libc::signal(libc::SIGQUIT, note as libc::sighandler_t) };
    drop(notify(&[SIGQUIT]).unwrap());
    eprintln!("ready");
    while !QUIT.load(Ordering::SeqCst) {
        time::sleep(Duration::from_millis(1));
    }
    time::sleep(Duration::from_millis(100));
}

/// SIGQUIT ends a forked child as it ends any process.
fn forks() {
    // SAFETY: the child calls only what is async-signal-safe.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let none = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: all of these are async-signal-safe; `none` is valid.
        unsafe {
            libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
            libc::raise(libc::SIGQUIT);
            libc::_exit(3);
        }
    }
    let mut status = 0;
    // SAFETY: `status` is valid for the write.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child);
    assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGQUIT);
}

fn sleeper_holds_stderr() {
    let mut held = std::io::stderr().lock();
    writeln!(held, "ready").unwrap();
    time::sleep(Duration::from_secs(1000));
}

fn ignores() {
    // SAFETY: no code runs when an ignored signal arrives.
    unsafe { libc::signal(libc::SIGQUIT, libc::SIG_IGN) };
    let signals = notify(&[SIGUSR1]).unwrap();
    eprintln!("ready");
    signals.recv().unwrap();
}

fn on_usr1() {
    debug::dump_on(SIGUSR1).unwrap();
    debug::dump_on(SIGUSR1).unwrap();
    sleeper();
}
