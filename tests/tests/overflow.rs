//! Stack overflows: who ran into the end of its stack is named, and no other fault is taken for
//! one.
//!
//! Each case ends its process, so each is an ignored test that another one runs in a child.
#![cfg(target_os = "linux")]

use std::hint::black_box;
use std::io;
use std::mem;
use std::panic::Location;
use std::ptr;
use std::sync::mpsc;
use std::thread;

use go_runtime::channel::{bounded, unbounded};
use go_runtime::{blocking, go};

use go_tests::support::child::{Ended, run};

/// What our message has that no other one has.
const OURS: &str = "\ngoroutine '";
/// Rust's own message, for threads.
const RUSTS: &str = "has overflowed its stack\n";
/// The exit code of the handlers that the programs here install.
const HANDLED: i32 = 42;

// --- what the children do ---

/// Needs more stack than there is.
#[inline(never)]
fn overflow(depth: u64) -> u64 {
    let mut frame = [depth; 32];
    black_box(&mut frame);
    // Nobody knows that this never ends, so it is not an error, and not turned into a loop.
    if black_box(false) {
        return depth;
    }
    let below = overflow(depth + 1);
    below + black_box(&frame)[0]
}

/// Reads where nothing is.
fn fault() {
    // A C function, because Rust itself looks for null pointers in debug builds; and its result is
    // wanted, or it would not be called. SAFETY: it is not safe at all: the fault is what the test
    // is about.
    black_box(unsafe { libc::strlen(black_box(ptr::null())) });
}

/// Tells the parent where the goroutine is spawned: one line below the call.
#[track_caller]
fn site_is_next_line() {
    let here = Location::caller();
    println!("\nsite: {}:{}:", here.file(), here.line() + 1);
}

#[test]
#[ignore = "run by a_name_and_a_size"]
fn with_a_name_and_a_size() {
    site_is_next_line();
    let deep = go!(name = "deep thought", stack_size = 60_000; { overflow(0) });
    let _ = deep.join();
}

#[test]
#[ignore = "run by no_name, and others"]
fn without_a_name() {
    site_is_next_line();
    let deep = go!({ overflow(0) });
    let _ = deep.join();
}

#[test]
#[ignore = "run by local_goroutines"]
fn in_a_local_goroutine() {
    let parent = go! {
        site_is_next_line();
        let child = go!(local, name = "near"; { overflow(0) });
        child.join()
    };
    let _ = parent.join();
}

#[test]
#[ignore = "run by main_itself"]
fn in_main() {
    #[go_runtime::main]
    fn main() {
        overflow(0);
    }
    let _ = main();
}

#[test]
#[ignore = "run by while_others_print"]
fn while_a_thread_prints() {
    let (printed, first) = mpsc::channel();
    thread::spawn(move || {
        for line in 0_u64.. {
            eprintln!("line {line} of very many");
            let _ = printed.send(());
        }
    });
    first.recv().unwrap();
    without_a_name();
}

/// The message must not wait for a lock that its goroutine holds.
#[test]
#[ignore = "run by while_others_print"]
fn while_it_prints_itself() {
    site_is_next_line();
    let deep = go!({
        let _lock = io::stderr().lock();
        overflow(0)
    });
    let _ = deep.join();
}

#[test]
#[ignore = "run by among_parked_ones"]
fn among_a_thousand() {
    let (arrive, arrived) = unbounded();
    let (_stop, done) = bounded::<()>(0);
    for _ in 0..1000 {
        go!(clone(arrive, done) {
            arrive.send(()).unwrap();
            let _ = done.recv();
        });
    }
    assert_eq!(arrived.iter().take(1000).count(), 1000);
    without_a_name();
}

struct OverflowsWhenDropped;

impl Drop for OverflowsWhenDropped {
    fn drop(&mut self) {
        assert!(thread::panicking());
        overflow(0);
    }
}

#[test]
#[ignore = "run by during_unwinding"]
fn in_a_drop() {
    site_is_next_line();
    let deep = go!({
        let _late = OverflowsWhenDropped;
        panic!("the first trouble");
    });
    let _ = deep.join();
}

/// A goroutine that has been parked since it started, and goes on deep.
#[test]
#[ignore = "run by after_a_wait"]
fn after_it_was_parked() {
    let (tx, rx) = bounded::<u64>(0);
    site_is_next_line();
    let deep = go!({ overflow(rx.recv().unwrap()) });
    tx.send(1).unwrap();
    let _ = deep.join();
}

#[test]
#[ignore = "run by threads_are_left_to_rust"]
fn in_a_thread() {
    // The runtime runs, and with it its handler.
    go!({}).join().unwrap();
    let thread = thread::Builder::new().name("a thread".into());
    let _ = thread.spawn(|| overflow(0)).unwrap().join();
}

#[test]
#[ignore = "run by threads_are_left_to_rust"]
fn in_a_blocking_call() {
    let _ = go!({ blocking(|| overflow(0)) }).join();
}

#[test]
#[ignore = "run by other_faults_are_left_alone"]
fn by_a_fault() {
    let _ = go!({ fault() }).join();
}

// --- the programs' own handlers ---

extern "C" fn handler_with_info(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel's word, or the runtime's, which passes it on.
    let address = unsafe { (*info).si_addr() };
    if signal == libc::SIGSEGV && address.is_null() && !context.is_null() {
        end_with("handled, with info\n");
    }
}

extern "C" fn plain_handler(signal: libc::c_int) {
    if signal == libc::SIGSEGV {
        end_with("handled, plainly\n");
    }
}

/// As a signal handler may.
fn end_with(text: &str) {
    // SAFETY: writes bytes that are there, and ends the process.
    unsafe {
        libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len());
        libc::_exit(HANDLED);
    }
}

/// As a program does that has a handler of its own before it starts the first goroutine.
fn install(handler: libc::sighandler_t, flags: libc::c_int) {
    // SAFETY: all zeroes is an action without a handler; the handlers here fit their flags.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(libc::SIGSEGV, &action, ptr::null_mut()), 0);
    }
}

fn install_with_info() {
    let handler: extern "C" fn(_, _, _) = handler_with_info;
    let handler = handler as *const () as libc::sighandler_t;
    install(handler, libc::SA_SIGINFO | libc::SA_ONSTACK);
}

fn install_plain() {
    let handler: extern "C" fn(_) = plain_handler;
    // Without SA_ONSTACK too: it is the runtime that brings the signal stack.
    install(handler as *const () as libc::sighandler_t, 0);
}

fn install_default() {
    install(libc::SIG_DFL, 0);
}

#[test]
#[ignore = "run by handlers_get_other_faults"]
fn a_fault_with_info() {
    install_with_info();
    by_a_fault();
}

#[test]
#[ignore = "run by handlers_get_other_faults"]
fn a_plain_fault() {
    install_plain();
    by_a_fault();
}

#[test]
#[ignore = "run by handlers_get_other_faults"]
fn a_fault_by_default() {
    install_default();
    by_a_fault();
}

#[test]
#[ignore = "run by handlers_get_no_overflows"]
fn an_overflow_with_info() {
    install_with_info();
    without_a_name();
}

#[test]
#[ignore = "run by handlers_get_no_overflows"]
fn a_plain_overflow() {
    install_plain();
    without_a_name();
}

#[test]
#[ignore = "run by handlers_get_no_overflows"]
fn an_overflow_by_default() {
    install_default();
    without_a_name();
}

// --- what the parents see ---

/// The child aborted, and said of whom and what to do.
#[track_caller]
fn is_reported(ended: &Ended, name: &str, size: usize) {
    let who = format!("{OURS}{name}', spawned at ");
    let size = format!("has overflowed its stack of {size} bytes");
    ended
        .died_of(libc::SIGABRT)
        .says(&[&who, &size, "stack_size = ", "GOSTACK"]);
    assert_eq!(ended.err.matches(OURS).count(), 1, "{}", ended.all());
}

/// And where that one was spawned.
#[track_caller]
fn is_reported_with_site(ended: &Ended, name: &str, size: usize) {
    is_reported(ended, name, size);
    ended.says(&[&format!("'{name}', spawned at {}", ended.line("site: "))]);
}

const DEFAULT: usize = 256 << 10;

#[test]
fn a_name_and_a_size() {
    let ended = run("with_a_name_and_a_size", &[]);
    // The size that it really has: a power of two.
    is_reported_with_site(&ended, "deep thought", 64 << 10);
    ended.says(&["stack_size = 262144", "GOSTACK=262144"]);
}

#[test]
fn no_name() {
    for workers in ["1", "2"] {
        let ended = run("without_a_name", &[("GOMAXPROCS", workers)]);
        is_reported_with_site(&ended, "unnamed", DEFAULT);
    }
}

#[test]
fn guards_of_old_kernels() {
    let old = [("GODEBUG", "mprotect=1")];
    let ended = run("with_a_name_and_a_size", &old);
    is_reported_with_site(&ended, "deep thought", 64 << 10);
    is_reported_with_site(&run("without_a_name", &old), "unnamed", DEFAULT);
    is_reported_with_site(&run("among_a_thousand", &old), "unnamed", DEFAULT);
}

#[test]
fn stacks_without_colours() {
    let ended = run("without_a_name", &[("GODEBUG", "colour=0")]);
    is_reported_with_site(&ended, "unnamed", DEFAULT);
}

#[test]
fn the_default_size_of_the_environment() {
    let ended = run("without_a_name", &[("GOSTACK", "1048576")]);
    is_reported_with_site(&ended, "unnamed", 1 << 20);
}

#[test]
fn local_goroutines() {
    is_reported_with_site(&run("in_a_local_goroutine", &[]), "near", DEFAULT);
}

#[test]
fn main_itself() {
    let ended = run("in_main", &[]);
    is_reported(&ended, "main", 8 << 20);
    ended.says(&[file!()]);
}

#[test]
fn while_others_print() {
    let ended = run("while_a_thread_prints", &[]);
    is_reported_with_site(&ended, "unnamed", DEFAULT);
    ended.says(&["line 0 of very many"]);
    let ended = run("while_it_prints_itself", &[]);
    is_reported_with_site(&ended, "unnamed", DEFAULT);
}

#[test]
fn among_parked_ones() {
    is_reported_with_site(&run("among_a_thousand", &[]), "unnamed", DEFAULT);
}

#[test]
fn during_unwinding() {
    let ended = run("in_a_drop", &[]);
    // The panic is reported too, in the same words.
    let who = format!("goroutine 'unnamed', spawned at {}", ended.line("site: "));
    assert_eq!(ended.err.matches(&who).count(), 2, "{}", ended.all());
    ended.died_of(libc::SIGABRT).says(&[
        "the first trouble",
        "has overflowed its stack of 262144 bytes",
        "stack_size = ",
        "GOSTACK",
    ]);
}

#[test]
fn after_a_wait() {
    is_reported_with_site(&run("after_it_was_parked", &[]), "unnamed", DEFAULT);
}

#[test]
fn threads_are_left_to_rust() {
    let ended = run("in_a_thread", &[]);
    ended
        .died_of(libc::SIGABRT)
        .says(&["thread 'a thread'", RUSTS])
        .does_not_say(&[OURS, "GOSTACK"]);
    let ended = run("in_a_blocking_call", &[]);
    ended
        .died_of(libc::SIGABRT)
        .says(&[RUSTS])
        .does_not_say(&[OURS, "GOSTACK"]);
}

#[test]
fn other_faults_are_left_alone() {
    let ended = run("by_a_fault", &[]);
    ended
        .died_of(libc::SIGSEGV)
        .does_not_say(&[OURS, "GOSTACK", "overflow"]);
}

#[test]
fn handlers_get_other_faults() {
    for (test, said) in [
        ("a_fault_with_info", "handled, with info\n"),
        ("a_plain_fault", "handled, plainly\n"),
    ] {
        let ended = run(test, &[]);
        assert_eq!(ended.status.code(), Some(HANDLED), "{}", ended.all());
        ended.says(&[said]).does_not_say(&[OURS]);
    }
    run("a_fault_by_default", &[])
        .died_of(libc::SIGSEGV)
        .does_not_say(&[OURS]);
}

#[test]
fn handlers_get_no_overflows() {
    for test in [
        "an_overflow_with_info",
        "a_plain_overflow",
        "an_overflow_by_default",
    ] {
        let ended = run(test, &[]);
        is_reported_with_site(&ended, "unnamed", DEFAULT);
        ended.does_not_say(&["handled"]);
    }
}
