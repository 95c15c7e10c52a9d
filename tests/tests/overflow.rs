//! Stack overflows: the report names the goroutine whose stack has overflowed, and no other fault
//! is reported as an overflow.
//!
//! Each case ends its process, so each is an ignored test that another test runs in a child
//! process.
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

/// A part of the runtime's report that no other message contains.
const OURS: &str = "\ngoroutine '";
/// A part of Rust's own message, for threads.
const RUSTS: &str = "has overflowed its stack\n";
/// The exit code of the handlers that these programs install.
const HANDLED: i32 = 42;

// --- what the children do ---

/// Needs more stack than there is.
#[inline(never)]
fn overflow(depth: u64) -> u64 {
    let mut frame = [depth; 32];
    black_box(&mut frame);
    // Hides the endless recursion from the compiler, which would warn about it, or turn it into a
    // loop.
    if black_box(false) {
        return depth;
    }
    let below = overflow(depth + 1);
    below + black_box(&frame)[0]
}

/// Reads from a null pointer.
fn fault() {
    // SAFETY: none: the fault is the subject of the test. (Rust checks for null pointers in debug
    // builds, but a C function does not. The result is used, because the call would be removed
    // otherwise.)
    black_box(unsafe { libc::strlen(black_box(ptr::null())) });
}

/// Tells the parent where the goroutine is spawned: one line below this call.
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

/// The report must not wait for a lock that its goroutine holds.
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

/// A goroutine overflows its stack after it was parked.
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
    // Starts the runtime, which installs its handler.
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
    // SAFETY: the kernel passes a valid `info` to the handler, and so does the runtime, which
    // passes the kernel's on.
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

/// Writes `text` and ends the process, by functions that a signal handler may call.
fn end_with(text: &str) {
    // SAFETY: `write` reads `text`, which is valid for its length; `_exit` has no conditions.
    unsafe {
        libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len());
        libc::_exit(HANDLED);
    }
}

/// Installs a handler as a program may do before it starts its first goroutine.
fn install(handler: libc::sighandler_t, flags: libc::c_int) {
    // SAFETY: all zeroes is a valid `sigaction`; the handlers here have the signatures that their
    // flags ask for.
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
    // The handler has no SA_ONSTACK: it runs on a signal stack all the same, because the runtime
    // provides one.
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

/// Asserts that the child aborted, and that its report names the goroutine and says what to do.
#[track_caller]
fn is_reported(ended: &Ended, name: &str, size: usize) {
    let who = format!("{OURS}{name}', spawned at ");
    let size = format!("has overflowed its stack of {size} bytes");
    ended
        .died_of(libc::SIGABRT)
        .says(&[&who, &size, "stack_size = ", "GOSTACK"]);
    assert_eq!(ended.err.matches(OURS).count(), 1, "{}", ended.all());
}

/// Also asserts that the report names the place of the `go!`.
#[track_caller]
fn is_reported_with_site(ended: &Ended, name: &str, size: usize) {
    is_reported(ended, name, size);
    ended.says(&[&format!("'{name}', spawned at {}", ended.line("site: "))]);
}

const DEFAULT: usize = 256 << 10;

#[test]
fn a_name_and_a_size() {
    let ended = run("with_a_name_and_a_size", &[]);
    // The stack's real size: a power of two.
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
fn stacks_without_colors() {
    let ended = run("without_a_name", &[("GODEBUG", "color=0")]);
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
    // The panic's message names the goroutine in the same words.
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
