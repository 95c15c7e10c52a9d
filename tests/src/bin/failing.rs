//! Programs that end by a panic or a stack overflow, or whose standard error is full: `failing
//! NAME`. The tests of `GOTRACEBACK` and of reports run them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::env;
use std::io::{ErrorKind, Write, pipe};
use std::mem;
use std::os::fd::AsRawFd;
use std::panic;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use go_runtime::channel::{Receiver, bounded};
use go_runtime::debug::{GoroutineState, goroutines};
use go_runtime::{Builder, go, yield_now};

#[rustfmt::skip]
const PROGRAMS: [(&str, fn()); 8] = [
    ("panics", panics), ("panics_with_a_hook", panics_with_a_hook), ("throws", throws),
    ("joins_a_panic", joins_a_panic), ("goes_on", goes_on),
    ("overflows", overflows), ("overflows_with_memory_locked", overflows_with_memory_locked),
    ("has_a_full_stderr", has_a_full_stderr),
];

#[go_runtime::main]
fn as_main() {
    start_waiter();
    program()();
}

fn main() -> ExitCode {
    match env::args().nth(2).as_deref() {
        Some("plain") => {
            program()();
            ExitCode::SUCCESS
        }
        _ => as_main(),
    }
}

fn program() -> fn() {
    let name = env::args().nth(1).unwrap_or_default();
    let found = PROGRAMS.iter().find(|program| program.0 == name);
    found.expect("the name of a program").1
}

#[inline(never)]
fn waits_here(done: &Receiver<()>) {
    let _ = std::hint::black_box(done.recv());
}

/// Starts a goroutine that waits for ever, and returns when it does.
fn start_waiter() {
    let (stop, done) = bounded::<()>(0);
    let waiter = Builder::new().name("waiter");
    let waiter = waiter.spawn(move || waits_here(&done)).unwrap();
    let waits = || {
        let all = goroutines();
        let found = all.iter().find(|one| one.name() == Some("waiter"));
        found.is_some_and(|one| matches!(one.state(), GoroutineState::Waiting(_)))
    };
    while !waits() {
        yield_now();
    }
    mem::forget((stop, waiter));
}

fn panics() {
    panic!("no luck");
}

fn panics_with_a_hook() {
    panic::set_hook(Box::new(|_| eprintln!("the program's own words")));
    panics();
}

/// A panic without a message.
fn throws() {
    panic::resume_unwind(Box::new("thrown"));
}

fn joins_a_panic() {
    go! { panics() }.join().unwrap();
}

/// A panic that ends its goroutine only.
fn goes_on() {
    go! { panics() }.join().unwrap_err();
}

fn overflow(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 32]);
    if std::hint::black_box(false) {
        return depth;
    }
    overflow(depth + 1) + frame[0]
}

fn overflows() {
    let deep = Builder::new().name("deep").spawn(|| overflow(0));
    let _ = deep.unwrap().join();
}

/// The memory allocator, as a lock guards it.
struct Allocator;

/// Whether the lock is held.
static LOCKED: AtomicBool = AtomicBool::new(false);

// SAFETY: the system's allocator does all the work.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        while LOCKED.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        // SAFETY: the caller upholds the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract, which is the same.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// The goroutine overflows its stack while it holds a lock that a dump needs.
fn overflows_with_memory_locked() {
    let deep = Builder::new().name("deep").spawn(|| {
        LOCKED.store(true, Ordering::SeqCst);
        overflow(0)
    });
    let _ = deep.unwrap().join();
}

/// Makes standard error a pipe that has no room left and that no process reads.
fn fill_stderr() {
    let (reader, mut writer) = pipe().unwrap();
    let set = |flags: libc::c_int| {
        // SAFETY: the descriptor is open, and the call touches no memory.
        let result = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, flags) };
        assert_eq!(result, 0);
    };
    set(libc::O_NONBLOCK);
    let full = loop {
        if let Err(error) = (&writer).write(b"x") {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    set(0);
    writer.flush().unwrap();
    // SAFETY: both descriptors are open.
    let result = unsafe { libc::dup2(writer.as_raw_fd(), libc::STDERR_FILENO) };
    assert_ne!(result, -1);
    // While the reader exists, writers wait.
    mem::forget(reader);
}

/// A goroutine holds the only worker until its report has been made; after that another one holds
/// it until a third, for which the monitor has to add a worker, lets it go.
fn has_a_full_stderr() {
    fill_stderr();
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(500) {
        std::hint::spin_loop();
    }
    let released = Arc::new(AtomicBool::new(false));
    go!(clone(released) { released.store(true, Ordering::SeqCst) });
    while !released.load(Ordering::SeqCst) {
        std::hint::spin_loop();
    }
}
