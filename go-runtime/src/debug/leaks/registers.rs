//! The registers of threads that run.
//!
//! A loop may keep a pointer in a register for as long as it runs, and nowhere else. The system
//! tells no registers of a running thread but to that thread itself: a signal's handler gets them.
//! So threads that run are sent SIGURG, which programs ignore unless they ask for it, and which
//! debuggers do not stop at; Go's runtime interrupts its threads with it as well.
//!
//! ```text
//!   search: FREE --> number of a thread ---------------------> FREE, if no answer has come in time
//!                            |
//!   handler, on that thread: `--> WRITING --> WRITTEN --> FREE, when the search has read it
//! ```
//!
//! Threads that wait in system calls are left alone, since a signal would end some calls. Those
//! that block the signal are not asked either, and none is if the program handles SIGURG itself.
//! One search at a time uses the slots: the caller holds the lock of `KNOWN`.

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::roots;
use crate::clock;

const SIGNAL: libc::c_int = libc::SIGURG;
/// Maximum number of threads that are asked at the same time.
const SLOTS: usize = 64;
/// Number of words that a slot has room for.
const WORDS: usize = 64;
/// How long the answers may take, on a machine that is busy.
const LONGEST: Duration = Duration::from_secs(2);
/// The time between two looks for answers.
const LOOK_EVERY: Duration = Duration::from_micros(50);

const FREE: i32 = 0;
const WRITING: i32 = -1;
const WRITTEN: i32 = -2;

/// What one thread is asked for.
struct Slot {
    /// `FREE`, the number of the thread that is asked, `WRITING` or `WRITTEN`.
    state: AtomicI32,
    /// The registers, as their complements, so that no search takes them for pointers.
    words: [AtomicUsize; WORDS],
}

static ASKED: [Slot; SLOTS] = [const {
    Slot {
        state: AtomicI32::new(FREE),
        words: [const { AtomicUsize::new(0) }; WORDS],
    }
}; SLOTS];

/// Calls `f` for the words in the registers of the threads that run, the calling one excepted.
/// Returns whether all have answered that were asked.
pub(super) fn for_each(mut f: impl FnMut(usize)) -> io::Result<bool> {
    if !install() {
        return Ok(true);
    }
    // SAFETY: the calls have no preconditions.
    let (this, process) = unsafe { (libc::gettid(), libc::getpid()) };
    let mut threads = roots::threads()?;
    threads.retain(|&thread| thread != this && runs(thread) && !blocks_signal(thread));
    for some in threads.chunks(SLOTS) {
        for (slot, &thread) in ASKED.iter().zip(some) {
            slot.state.store(thread, Ordering::Release);
            // SAFETY: `tgkill` has no preconditions, and the handler of this signal is `answer`, or
            // another one that has replaced it just now.
            let sent = unsafe { libc::syscall(libc::SYS_tgkill, process, thread, SIGNAL) };
            if sent != 0 {
                // The thread has ended.
                slot.state.store(FREE, Ordering::Relaxed);
            }
        }
        if !collect(&ASKED[..some.len()], &mut f) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Waits for the answers, and calls `f` for what they have. Returns whether all came. All slots are
/// free afterwards.
fn collect(slots: &[Slot], f: &mut impl FnMut(usize)) -> bool {
    let begun = clock::now();
    let mut all = true;
    for slot in slots {
        loop {
            match slot.state.load(Ordering::Acquire) {
                FREE => break,
                WRITTEN => {
                    let words = slot.words.iter();
                    words.for_each(|word| f(!word.load(Ordering::Relaxed)));
                    slot.state.store(FREE, Ordering::Relaxed);
                    break;
                }
                WRITING => {}
                // If the signal comes later, it finds no slot.
                thread if begun.elapsed() > LONGEST || !exists(thread) => {
                    let free = slot.state.compare_exchange(
                        thread,
                        FREE,
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    );
                    if free.is_ok() {
                        all &= !exists(thread);
                        break;
                    }
                }
                _ => {}
            }
            thread::sleep(LOOK_EVERY);
        }
    }
    all
}

/// Makes the handler that of the signal. Returns whether it is: not if the program has another one.
fn install() -> bool {
    let mut before = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action the call only writes the current one to `before`, which has
    // room.
    if unsafe { libc::sigaction(SIGNAL, ptr::null(), before.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the call has succeeded, so the system has written `before`.
    let mut action = unsafe { before.assume_init() };
    let handler: extern "C" fn(_, _, _) = answer;
    let handler = handler as usize;
    match action.sa_sigaction {
        before if before == handler => return true,
        libc::SIG_DFL | libc::SIG_IGN => {}
        _ => return false,
    }
    action.sa_sigaction = handler;
    // The stack of a goroutine may have no room for the handler.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: `action` is a valid action. Its handler has the type that `SA_SIGINFO` asks for, and
    // only makes a system call and uses atomics.
    unsafe { libc::sigaction(SIGNAL, &action, ptr::null_mut()) == 0 }
}

extern "C" fn answer(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the call has no preconditions.
    let this = unsafe { libc::gettid() };
    let take = |slot: &&Slot| {
        let taken =
            slot.state
                .compare_exchange(this, WRITING, Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok()
    };
    let Some(slot) = ASKED.iter().find(take) else {
        return;
    };
    // SAFETY: the kernel passes a pointer to the context that it has saved, which only this handler
    // uses until it returns.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    let mut at = slot.words.iter();
    registers(context, |word| {
        if let Some(place) = at.next() {
            place.store(!word, Ordering::Relaxed);
        }
    });
    at.for_each(|rest| rest.store(!0, Ordering::Relaxed));
    slot.state.store(WRITTEN, Ordering::Release);
}

/// Calls `f` for the registers of an interrupted thread that may have pointers.
#[cfg(target_arch = "x86_64")]
fn registers(context: &libc::ucontext_t, mut f: impl FnMut(usize)) {
    let machine = &context.uc_mcontext;
    machine.gregs.iter().for_each(|word| f(*word as usize));
    // SAFETY: the kernel has saved these registers in the same frame, or says with a null that it
    // has not.
    if let Some(others) = unsafe { machine.fpregs.as_ref() } {
        for register in &others._xmm {
            let [a, b, c, d] = register.element.map(|part| part as usize);
            f(b << 32 | a);
            f(d << 32 | c);
        }
    }
}

/// Calls `f` for the registers of an interrupted thread that may have pointers.
#[cfg(target_arch = "aarch64")]
fn registers(context: &libc::ucontext_t, mut f: impl FnMut(usize)) {
    let machine = &context.uc_mcontext;
    machine.regs.iter().for_each(|word| f(*word as usize));
}

/// Calls `f` for no registers: which of them the context has is not known here.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn registers(_: &libc::ucontext_t, _: impl FnMut(usize)) {}

fn exists(thread: i32) -> bool {
    fs::exists(format!("/proc/self/task/{thread}")).unwrap_or(false)
}

/// Returns whether the thread runs, or waits for a processor: proc_pid_syscall(5).
fn runs(thread: i32) -> bool {
    let state = fs::read_to_string(format!("/proc/self/task/{thread}/syscall"));
    state.is_ok_and(|state| state.starts_with("running"))
}

fn blocks_signal(thread: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/self/task/{thread}/status"));
    let blocked = status.ok().and_then(|status| {
        let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
        u64::from_str_radix(line?.trim(), 16).ok()
    });
    blocked.is_none_or(|blocked| blocked & 1 << (SIGNAL - 1) != 0)
}

#[cfg(test)]
mod tests {
    use super::super::KNOWN;
    use super::*;
    use std::sync::PoisonError;
    use std::sync::atomic::AtomicBool;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_register_of_a_running_thread_is_found() {
        static STOP: AtomicBool = AtomicBool::new(false);
        const SOUGHT: usize = 0x1234_5678_9abc_def0;
        let _alone = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let running = thread::spawn(|| {
            // SAFETY: the instructions read a flag, and use no memory else.
            unsafe {
                std::arch::asm!(
                    "not r12",
                    "2:",
                    "pause",
                    "cmp byte ptr [{stop}], 0",
                    "je 2b",
                    stop = in(reg) &raw const STOP,
                    inout("r12") !SOUGHT => _,
                    options(nostack)
                );
            }
        });
        let mut found = false;
        while !found {
            for_each(|word| found |= word == SOUGHT).unwrap();
        }
        STOP.store(true, Ordering::Relaxed);
        running.join().unwrap();
    }
}
