//! `signal`: which receiver gets which signals, and what a signal does without receivers.
//!
//! A signal goes to the whole process, so each case is an ignored test that another test runs in a
//! child process, which sends signals to itself.
#![cfg(target_os = "linux")]

use std::env;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use go_runtime::channel::{Receiver, TryRecvError};
use go_runtime::context::{self, Context, ContextError};
use go_runtime::signal::*;
use go_runtime::{go, scope, select, yield_now};

use go_tests::support::{
    self,
    child::{Ended, run, succeed_with_one_and_two},
};

/// Sends a signal to this thread; its handler has run on return.
fn send(signal: Signal) {
    // SAFETY: `raise` only sends a signal.
    assert_eq!(unsafe { libc::raise(signal.as_raw()) }, 0);
}

/// Sends a signal to this process, as another process would: any thread may handle it, at some
/// time.
fn send_from_outside(signal: Signal) {
    // SAFETY: `kill` only sends a signal.
    assert_eq!(unsafe { libc::kill(libc::getpid(), signal.as_raw()) }, 0);
}

/// Returns the flags and the handler of a signal.
fn action(signal: Signal) -> libc::sigaction {
    let mut action = MaybeUninit::uninit();
    // SAFETY: `sigaction` without a new action only writes the old one to `action`, which is
    // initialized if the call succeeds.
    unsafe {
        let asked = libc::sigaction(signal.as_raw(), ptr::null(), action.as_mut_ptr());
        assert_eq!(asked, 0);
        action.assume_init()
    }
}

/// Waits for ever: the signal that is on its way ends the process.
fn wait_for_the_end() -> ! {
    loop {
        thread::park();
    }
}

/// Waits until earlier signals have been handled, by sending another one: of several pending
/// signals the one with the lower number is handled first.
fn settled(marks: &Receiver<Signal>) {
    send(SIGWINCH);
    assert_eq!(marks.recv(), Ok(SIGWINCH));
}

// --- what the children do ---

#[test]
#[ignore = "run by the_channels_get_what_they_ask_for"]
fn signals_come_as_messages() {
    support::in_both(|| {
        let both = notify(&[SIGUSR1, SIGUSR2, SIGUSR1]).unwrap();
        let one = notify(&[SIGUSR2]).unwrap();
        send_from_outside(SIGUSR1);
        assert_eq!(both.recv(), Ok(SIGUSR1));
        assert_eq!(one.try_recv(), Err(TryRecvError::Empty));
        send(SIGUSR2);
        assert_eq!((both.recv(), one.recv()), (Ok(SIGUSR2), Ok(SIGUSR2)));
        let got = go!(clone(both) {
            select! {
                recv(both) -> signal => signal.unwrap(),
                recv(one) -> signal => panic!("{signal:?}"),
            }
        });
        send(SIGUSR1);
        assert_eq!(got.join().unwrap(), SIGUSR1);
        // The clone and the other channel go on receiving when one handle is dropped.
        let (other, another) = (both.clone(), notify(&[SIGUSR1]).unwrap());
        drop(both);
        send(SIGUSR1);
        assert_eq!((other.recv(), another.recv()), (Ok(SIGUSR1), Ok(SIGUSR1)));
        drop(other);
        send(SIGUSR1);
        assert_eq!(another.recv(), Ok(SIGUSR1));
    });
}

/// A full channel loses signals without holding up the others, which lose none.
#[test]
#[ignore = "run by the_channels_get_what_they_ask_for"]
fn a_full_channel_drops() {
    support::in_both(|| {
        let (full, read) = (notify(&[SIGUSR1]).unwrap(), notify(&[SIGUSR1]).unwrap());
        for _ in 0..100 {
            send(SIGUSR1);
            assert_eq!(read.recv(), Ok(SIGUSR1));
        }
        assert_eq!(full.try_iter().count(), 64);
        // The channel has room again.
        send(SIGUSR1);
        assert_eq!((full.recv(), read.recv()), (Ok(SIGUSR1), Ok(SIGUSR1)));
    });
}

/// Channels come and go while many signals arrive. One channel stays and gets some of them, and the
/// process survives.
#[test]
#[ignore = "run by the_channels_get_what_they_ask_for"]
fn channels_come_and_go() {
    support::in_both(|| {
        let (stays, marks) = (
            notify(&[SIGUSR1, SIGUSR2]).unwrap(),
            notify(&[SIGWINCH]).unwrap(),
        );
        let got = AtomicUsize::new(0);
        scope(|s| {
            for n in 0..4 {
                let got = &got;
                go!(s; move || {
                    for round in 0..200 {
                        let signal = [SIGUSR1, SIGUSR2][(n + round) % 2];
                        let own = notify(&[signal]).unwrap();
                        send(signal);
                        if round % 3 == 0 {
                            assert_eq!(own.recv(), Ok(signal));
                            got.fetch_add(1, Ordering::Relaxed);
                        }
                        yield_now();
                    }
                });
            }
            go!(s; {
                // The goroutines above receive this many signals.
                while got.load(Ordering::Relaxed) < 4 * 67 {
                    yield_now();
                    let _ = stays.try_recv();
                }
            });
        });
        settled(&marks);
        while stays.try_recv().is_ok() {}
        send(SIGUSR1);
        assert_eq!(stays.recv(), Ok(SIGUSR1));
    });
}

/// Thousands of dropped channels are no burden.
#[test]
#[ignore = "run by the_channels_get_what_they_ask_for"]
fn nothing_is_left_of_dropped_channels() {
    support::in_both(|| {
        for _ in 0..20_000 {
            drop(notify(&[SIGUSR1]).unwrap());
        }
        let last = notify(&[SIGUSR1]).unwrap();
        send(SIGUSR1);
        assert_eq!(last.recv(), Ok(SIGUSR1));
    });
}

/// The handler does not run on a goroutine's stack.
#[test]
#[ignore = "run by the_channels_get_what_they_ask_for"]
fn handlers_have_a_stack_of_their_own() {
    let signals = notify(&[SIGUSR1]).unwrap();
    assert!(action(SIGUSR1).sa_flags & libc::SA_ONSTACK != 0);
    assert!(action(SIGUSR1).sa_flags & libc::SA_RESTART != 0);
    // The signal comes while a goroutine uses the last bytes of its stack, on this very thread.
    fn deep(left: usize) -> usize {
        let here = std::hint::black_box([left as u8; 512]);
        match left {
            0 => {
                send(SIGUSR1);
                1
            }
            _ => deep(left - 1) + usize::from(here[0] == left as u8),
        }
    }
    support::in_goroutine(move || {
        for depth in 1..30 {
            let small = go!(stack_size = 64 << 10; move || deep(depth));
            assert_eq!(small.join().unwrap(), depth + 1);
            assert_eq!(signals.recv(), Ok(SIGUSR1));
        }
    });
}

/// Signals that come together are handled one after the other, because a thread's signal stack has
/// no room for all of them at once.
#[test]
#[ignore = "run by the_channels_get_what_they_ask_for"]
fn signals_that_come_together() {
    const ALL: [Signal; 8] = [
        SIGUSR1, SIGUSR2, SIGALRM, SIGCHLD, SIGWINCH, SIGURG, SIGHUP, SIGTERM,
    ];
    support::in_both(|| {
        let signals = notify(&ALL).unwrap();
        let mut set = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: the sets are locals that are written before they are read. The thread's mask is
        // restored before anything could switch goroutines.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in ALL {
                libc::sigaddset(set.as_mut_ptr(), signal.as_raw());
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr());
            ALL.into_iter().for_each(send);
            libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
        }
        let mut got: Vec<_> = ALL.map(|_| signals.recv().unwrap()).into();
        got.sort();
        let mut all = ALL.to_vec();
        all.sort();
        assert_eq!(got, all);
    });
}

#[test]
#[ignore = "run by the_channels_get_what_they_ask_for"]
fn what_is_ignored_by_default_harms_nobody() {
    support::in_both(|| {
        let marks = notify(&[SIGWINCH]).unwrap();
        let signals = notify(&[SIGCHLD, SIGURG]).unwrap();
        send(SIGURG);
        assert_eq!(signals.recv(), Ok(SIGURG));
        drop(signals);
        send(SIGURG);
        send(SIGCHLD);
        settled(&marks);
    });
}

/// A program that was started with a signal ignored (by `nohup`, say) ignores it again.
#[test]
#[ignore = "run by the_channels_get_what_they_ask_for"]
fn what_was_ignored_is_ignored_again() {
    // SAFETY: `SIG_IGN` is no function, so nothing is called.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
    let marks = notify(&[SIGWINCH]).unwrap();
    let signals = notify(&[SIGHUP]).unwrap();
    send(SIGHUP);
    assert_eq!(signals.recv(), Ok(SIGHUP));
    drop(signals);
    send(SIGHUP);
    settled(&marks);
}

/// A handler that was installed before is still called, with receivers and without.
#[test]
#[ignore = "run by the_channels_get_what_they_ask_for"]
fn a_handler_that_was_there_is_kept() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn count(_: libc::c_int) {
        CALLS.fetch_add(1, Ordering::SeqCst);
    }
    let handler: extern "C" fn(libc::c_int) = count;
    // SAFETY: the handler only makes an atomic addition, which is allowed in a handler.
    unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    let marks = notify(&[SIGWINCH]).unwrap();
    let signals = notify(&[SIGUSR1]).unwrap();
    send(SIGUSR1);
    assert_eq!(signals.recv(), Ok(SIGUSR1));
    assert_eq!(CALLS.load(Ordering::SeqCst), 1);
    drop(signals);
    send(SIGUSR1);
    settled(&marks);
    assert_eq!(CALLS.load(Ordering::SeqCst), 2);
}

#[test]
#[ignore = "run by nobody_asks_any_more"]
fn dropped_receivers_give_the_signal_back() {
    let signals = notify(&[SIGTERM]).unwrap();
    send(SIGTERM);
    assert_eq!(signals.recv(), Ok(SIGTERM));
    let other = signals.clone();
    drop(signals);
    send(SIGTERM);
    assert_eq!(other.recv(), Ok(SIGTERM));
    go!(drop(other)).join().unwrap();
    send_from_outside(SIGTERM);
    wait_for_the_end()
}

/// Dropping a receiver restores the default effect of its signals, except those that another
/// receiver still has.
#[test]
#[ignore = "run by nobody_asks_any_more"]
fn each_signal_is_given_back_by_itself() {
    let (first, second) = (
        notify(&[SIGINT, SIGUSR1]).unwrap(),
        notify(&[SIGUSR1]).unwrap(),
    );
    drop(first);
    send(SIGUSR1);
    assert_eq!(second.recv(), Ok(SIGUSR1));
    send(SIGINT);
    wait_for_the_end()
}

/// A signal ends a context. Afterwards the signal has its default effect again, although the only
/// worker computes.
#[test]
#[ignore = "run by nobody_asks_any_more"]
fn a_second_signal_ends_one_that_computes() {
    support::in_goroutine(|| {
        let (ctx, stop) = notify_context(&context::background(), &[SIGINT]).unwrap();
        // (If the restoration needs a goroutine, it starts here.)
        settled(&notify(&[SIGWINCH]).unwrap());
        send(SIGINT);
        let _ = ctx.done().recv();
        drop(stop);
        send(SIGINT);
        loop {
            std::hint::spin_loop();
        }
    })
}

/// Each signal that ends a process by default does so again. A variable selects the signal.
#[test]
#[ignore = "run by nobody_asks_any_more"]
fn what_ends_the_process_ends_it_again() {
    let number: i32 = env::var("SIGNAL").unwrap().parse().unwrap();
    let signal = Signal::from_raw(number);
    drop(notify(&[signal]).unwrap());
    send(signal);
    // (If the thread survives the signal it has handled it by now.)
    settled(&notify(&[SIGWINCH]).unwrap());
    settled(&notify(&[SIGWINCH]).unwrap());
}

#[test]
#[ignore = "run by nobody_asks_any_more"]
fn a_failed_call_leaves_nothing() {
    let before = action(SIGQUIT);
    notify(&[SIGQUIT, SIGKILL]).unwrap_err();
    assert_eq!(action(SIGQUIT).sa_sigaction, before.sa_sigaction);
    assert_eq!(before.sa_sigaction, libc::SIG_DFL);
    send(SIGQUIT);
    wait_for_the_end()
}

/// The call fails without file descriptors, and works when there are some.
#[test]
#[ignore = "run by the_channels_get_what_they_ask_for"]
fn a_call_that_the_system_refuses() {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: `getrlimit` writes a whole `rlimit` to the pointer, which is valid for that, and the
    // assertion checks that it succeeded.
    let limit = unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, limit.as_mut_ptr()), 0);
        limit.assume_init()
    };
    let set = |limit: &libc::rlimit| {
        // SAFETY: `setrlimit` only reads the limit, to which `limit` is a valid reference.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) }, 0);
    };
    set(&libc::rlimit {
        rlim_cur: 0,
        ..limit
    });
    let refused = notify(&[SIGUSR1]);
    set(&limit);
    assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EMFILE));
    assert_eq!(action(SIGUSR1).sa_sigaction, libc::SIG_DFL);
    let signals = notify(&[SIGUSR1]).unwrap();
    send(SIGUSR1);
    assert_eq!(signals.recv(), Ok(SIGUSR1));
}

/// Returns the signal that has ended the context.
fn ended_by(ctx: &Context) -> Option<Signal> {
    Some(ctx.cause()?.downcast_ref::<SignalError>()?.signal())
}

#[test]
#[ignore = "run by the_channels_get_what_they_ask_for"]
fn signals_end_contexts() {
    support::in_both(|| {
        let background = context::background().with_value(7);
        let (ctx, stop) = notify_context(&background, &[SIGUSR1, SIGUSR2]).unwrap();
        let (child, _cancel) = ctx.with_cancel();
        assert!(ctx.err().is_none() && ctx.value::<i32>() == Some(&7));
        let waiting = go!(clone(child) { child.done().recv() });
        send(SIGUSR2);
        waiting.join().unwrap().unwrap_err();
        assert_eq!(ctx.err(), Some(ContextError::Canceled));
        assert_eq!(
            (ended_by(&ctx), ended_by(&child)),
            (Some(SIGUSR2), Some(SIGUSR2))
        );
        let cause = ctx.cause().unwrap().to_string();
        assert_eq!(cause, "user defined signal 2 signal received");
        // The signal is still caught, and changes nothing.
        let marks = notify(&[SIGWINCH]).unwrap();
        send(SIGUSR1);
        settled(&marks);
        assert_eq!(ended_by(&ctx), Some(SIGUSR2));
        drop(stop);

        // A context that ends for another reason reports that reason.
        let (parent, cancel_parent) = background.with_cancel_cause();
        let (ctx, _stop) = notify_context(&parent, &[SIGUSR1]).unwrap();
        cancel_parent.cancel("dinner");
        assert_eq!(ctx.cause().unwrap().to_string(), "dinner");
        let (ctx, stop) = notify_context(&background, &[SIGUSR1]).unwrap();
        stop.cancel();
        assert_eq!(
            (ctx.err(), ended_by(&ctx)),
            (Some(ContextError::Canceled), None)
        );
        // A context whose parent has already ended.
        let (ctx, _stop) = notify_context(&ctx, &[SIGUSR1]).unwrap();
        assert!(ctx.err().is_some());
        assert!(notify_context(&background, &[SIGKILL]).is_err());
    });
}

/// The waiting goroutine ends with its context, whether the handle is used, detached or dropped.
#[test]
#[ignore = "run by the_channels_get_what_they_ask_for"]
fn contexts_leave_no_goroutine() {
    let stays = notify(&[SIGUSR1]).unwrap();
    support::on_thread(|| {
        for n in 0..400 {
            let (ctx, stop) = notify_context(&context::background(), &[SIGUSR1]).unwrap();
            if n % 2 == 0 {
                send(SIGUSR1);
                let _ = ctx.done().recv();
            }
            match n % 6 {
                0 | 1 => stop.cancel(),
                2 | 3 => stop.detach(),
                _ => drop(stop),
            }
        }
        support::eventually(|| go_runtime::num_goroutines() == 0);
    });
    assert_eq!(stays.recv(), Ok(SIGUSR1));
}

/// The first signal ends the context, and after `stop` the second one ends the process.
#[test]
#[ignore = "run by nobody_asks_any_more"]
fn a_second_signal_ends_the_process() {
    support::in_goroutine(|| {
        let (ctx, stop) = notify_context(&context::background(), &[SIGINT]).unwrap();
        send(SIGINT);
        let _ = ctx.done().recv();
        drop(stop);
        support::eventually(|| go_runtime::num_goroutines() == 1);
        send(SIGINT);
        wait_for_the_end()
    })
}

// --- what is tested ---

#[test]
fn the_channels_get_what_they_ask_for() {
    succeed_with_one_and_two(&[
        "signals_come_as_messages",
        "a_full_channel_drops",
        "channels_come_and_go",
        "nothing_is_left_of_dropped_channels",
        "handlers_have_a_stack_of_their_own",
        "signals_that_come_together",
        "what_is_ignored_by_default_harms_nobody",
        "what_was_ignored_is_ignored_again",
        "a_handler_that_was_there_is_kept",
        "a_call_that_the_system_refuses",
        "signals_end_contexts",
        "contexts_leave_no_goroutine",
    ]);
}

#[test]
fn nobody_asks_any_more() {
    let ended = |test: &str| -> Ended { run(test, &[]) };
    ended("dropped_receivers_give_the_signal_back").died_of(libc::SIGTERM);
    ended("each_signal_is_given_back_by_itself").died_of(libc::SIGINT);
    ended("a_second_signal_ends_the_process").died_of(libc::SIGINT);
    run(
        "a_second_signal_ends_one_that_computes",
        &[("GOMAXPROCS", "1")],
    )
    .died_of(libc::SIGINT);
    ended("a_failed_call_leaves_nothing").died_of(libc::SIGQUIT);
    for signal in [
        SIGHUP, SIGINT, SIGQUIT, SIGTRAP, SIGABRT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM, SIGXCPU,
        SIGXFSZ, SIGVTALRM, SIGPROF, SIGIO, SIGSYS,
    ] {
        let number = signal.as_raw();
        let variable = ("SIGNAL", &*number.to_string());
        run("what_ends_the_process_ends_it_again", &[variable]).died_of(number);
    }
}

#[test]
fn what_cannot_be_caught() {
    #[track_caller]
    fn refused(signals: &[Signal], parts: &[&str]) {
        let error = notify(signals).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        for part in parts {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
    support::in_both(|| {
        refused(
            &[],
            &["the list of signals is empty", "notify(&[SIGINT, SIGTERM])"],
        );
        for signal in [SIGKILL, SIGSTOP] {
            refused(
                &[SIGUSR1, signal],
                &["no program can catch it", &format!("{signal:?}")],
            );
        }
        for signal in [SIGSEGV, SIGBUS, SIGILL, SIGFPE] {
            refused(
                &[signal],
                &["a fault of the program", &format!("({signal})")],
            );
        }
        for number in [0, -1, 32, 64, 1000, i32::MIN, i32::MAX] {
            let signal = Signal::from_raw(number);
            refused(
                &[signal, SIGUSR1],
                &["no such signal", &format!("Signal({number})")],
            );
        }
    });
}

#[test]
fn names() {
    let named = [
        (SIGHUP, 1, "SIGHUP", "hangup"),
        (SIGINT, 2, "SIGINT", "interrupt"),
        (SIGKILL, 9, "SIGKILL", "killed"),
        (SIGTERM, 15, "SIGTERM", "terminated"),
        (SIGURG, 23, "SIGURG", "urgent I/O condition"),
    ];
    for (signal, number, name, description) in named {
        assert_eq!(signal, Signal::from_raw(number));
        assert_eq!(signal.as_raw(), number);
        assert_eq!(
            (format!("{signal:?}"), signal.to_string()),
            (name.into(), description.into())
        );
    }
    let unknown = Signal::from_raw(99);
    assert_eq!(format!("{unknown:?} {unknown}"), "Signal(99) signal 99");
    assert_eq!(format!("[{SIGINT:>10}]"), "[ interrupt]");
}
