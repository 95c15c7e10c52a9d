//! `signal`: who gets which signals, and what they do when nobody asks for them.
//!
//! Signals are the whole process's, so each case is an ignored test that another one runs in a
//! child, which sends signals to itself.
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

/// Sends a signal to this thread: the handler has run when it returns.
fn send(signal: Signal) {
    // SAFETY: sends a signal only.
    assert_eq!(unsafe { libc::raise(signal.as_raw()) }, 0);
}

/// Sends a signal to this process, as another one would: any thread may handle it, at some time.
fn send_from_outside(signal: Signal) {
    // SAFETY: sends a signal only.
    assert_eq!(unsafe { libc::kill(libc::getpid(), signal.as_raw()) }, 0);
}

/// The flags and the handler of a signal.
fn action(signal: Signal) -> libc::sigaction {
    let mut action = MaybeUninit::uninit();
    // SAFETY: asks only, and writes the answer.
    unsafe {
        let asked = libc::sigaction(signal.as_raw(), ptr::null(), action.as_mut_ptr());
        assert_eq!(asked, 0);
        action.assume_init()
    }
}

/// Nothing that the process does will end it; the signal that is on its way will.
fn wait_for_the_end() -> ! {
    loop {
        thread::park();
    }
}

/// What was sent before has been dealt with when a later one comes: of those that wait the lower
/// number is first.
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
        // One that is left of two clones, or of two channels, gets them all the same.
        let (other, another) = (both.clone(), notify(&[SIGUSR1]).unwrap());
        drop(both);
        send(SIGUSR1);
        assert_eq!((other.recv(), another.recv()), (Ok(SIGUSR1), Ok(SIGUSR1)));
        drop(other);
        send(SIGUSR1);
        assert_eq!(another.recv(), Ok(SIGUSR1));
    });
}

/// Nobody waits for a channel that is full, and no other channel loses anything by it.
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
        // And there is room again.
        send(SIGUSR1);
        assert_eq!((full.recv(), read.recv()), (Ok(SIGUSR1), Ok(SIGUSR1)));
    });
}

/// Channels come and go while signals rain; one that stays gets some, and the process lives.
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
                // Enough for all of these.
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

/// Thousands of channels that nobody has any more are no burden.
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
    // The signal comes while a goroutine is on its last bytes, and on this very thread.
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

/// Signals that come together are handled one after the other: the signal stack of a thread has no
/// room for all of them at once.
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
        // SAFETY: the set is written before it is read, and nobody else sees it. This thread's mask
        // is put back (in between nothing is done that a goroutine might switch in).
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

/// A program that was told to ignore a signal (by `nohup`, say) ignores it again.
#[test]
#[ignore = "run by the_channels_get_what_they_ask_for"]
fn what_was_ignored_is_ignored_again() {
    // SAFETY: nothing is called.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
    let marks = notify(&[SIGWINCH]).unwrap();
    let signals = notify(&[SIGHUP]).unwrap();
    send(SIGHUP);
    assert_eq!(signals.recv(), Ok(SIGHUP));
    drop(signals);
    send(SIGHUP);
    settled(&marks);
}

/// A handler that was there goes on being called, with receivers and without.
#[test]
#[ignore = "run by the_channels_get_what_they_ask_for"]
fn a_handler_that_was_there_is_kept() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn count(_: libc::c_int) {
        CALLS.fetch_add(1, Ordering::SeqCst);
    }
    let handler: extern "C" fn(libc::c_int) = count;
    // SAFETY: an atomic addition is allowed in a handler.
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

/// One receiver's signal is given back, another's is not.
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

/// Signals reach a context, and are given back by it, whatever its only worker does.
#[test]
#[ignore = "run by nobody_asks_any_more"]
fn a_second_signal_ends_one_that_computes() {
    support::in_goroutine(|| {
        let (ctx, stop) = notify_context(&context::background(), &[SIGINT]).unwrap();
        // (If this takes a goroutine, it starts here.)
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

/// Every signal that ends a process does so again. Which one is in a variable.
#[test]
#[ignore = "run by nobody_asks_any_more"]
fn what_ends_the_process_ends_it_again() {
    let number: i32 = env::var("SIGNAL").unwrap().parse().unwrap();
    let signal = Signal::from_raw(number);
    drop(notify(&[signal]).unwrap());
    send(signal);
    // (By this time the thread has dealt with it, if it is to live.)
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

/// No file descriptor is to be had, and then there is one.
#[test]
#[ignore = "run by the_channels_get_what_they_ask_for"]
fn a_call_that_the_system_refuses() {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: asks only, and writes the answer.
    let limit = unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, limit.as_mut_ptr()), 0);
        limit.assume_init()
    };
    let set = |limit: &libc::rlimit| {
        // SAFETY: reads the limit only.
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

/// The signal that the context has ended for.
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
        // It is caught still, and changes nothing.
        let marks = notify(&[SIGWINCH]).unwrap();
        send(SIGUSR1);
        settled(&marks);
        assert_eq!(ended_by(&ctx), Some(SIGUSR2));
        drop(stop);

        // What ends by other means says so.
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
        // One that has ended already.
        let (ctx, _stop) = notify_context(&ctx, &[SIGUSR1]).unwrap();
        assert!(ctx.err().is_some());
        assert!(notify_context(&background, &[SIGKILL]).is_err());
    });
}

/// The goroutine that waits ends with the contexts, whoever keeps what.
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

/// The first signal ends the context, and after `stop` the second one the process.
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
