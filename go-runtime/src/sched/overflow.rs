//! Stack overflows: whoever runs into the guard of a goroutine's stack is named, and the process
//! aborts.
//!
//! The signal handler here comes before the one that was installed when the runtime started (Rust's
//! own, as a rule, which does the same for threads), and leaves every other fault to it. It runs on
//! a signal stack of the worker's, for the goroutine's has no room left.

use std::io::{Cursor, Write};
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::sync::OnceLock;

use super::tuning::SIGNAL_STACK;
use super::worker::Worker;
use crate::stack;

const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// The handlers that were there before.
static PREVIOUS: [OnceLock<libc::sigaction>; 2] = [OnceLock::new(), OnceLock::new()];

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// Installs the handler. Called once.
pub(super) fn install() {
    for (signal, previous) in SIGNALS.into_iter().zip(&PREVIOUS) {
        let mut old = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: asks only.
        if unsafe { libc::sigaction(signal, ptr::null(), old.as_mut_ptr()) } != 0 {
            continue;
        }
        // SAFETY: written, as the call has succeeded.
        let old = unsafe { old.assume_init() };
        let mut new = old;
        let handler: Handler = on_fault;
        new.sa_sigaction = handler as usize;
        new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | (old.sa_flags & libc::SA_NODEFER);
        // The old one first: the new one needs it at once.
        let _ = previous.set(old);
        // SAFETY: the handler keeps to what a signal handler may do.
        unsafe { libc::sigaction(signal, &new, ptr::null_mut()) };
    }
}

/// Gives the calling thread, a worker's, its signal stack. The thread never ends, so neither does
/// that.
pub(super) fn prepare_thread() {
    let Ok(memory) = stack::signal_stack(SIGNAL_STACK) else {
        // The one that Rust gives every thread has to do.
        return;
    };
    let stack = libc::stack_t {
        ss_sp: memory.as_ptr().cast(),
        ss_flags: 0,
        ss_size: SIGNAL_STACK,
    };
    // SAFETY: the memory is this stack's for ever.
    unsafe { libc::sigaltstack(&stack, ptr::null_mut()) };
}

extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel fills it in.
    let is_fault = unsafe { (*info).si_code } > 0;
    // SAFETY: as above; a fault has an address. (What another process has sent, with `kill`, has
    // none.)
    let address = unsafe { (*info).si_addr() }.addr();
    if is_fault
        && let Some(worker) = Worker::current()
        && worker.is_overflow(address)
    {
        report(worker);
        // SAFETY: ends the process.
        unsafe { libc::abort() }
    }
    pass_on(signal, is_fault, info, context);
}

/// Writes the message. It neither allocates nor locks: the goroutine may have been doing just that.
fn report(worker: &Worker) {
    let mut text = Cursor::new([0_u8; 1024]);
    if let Some((task, size)) = worker.current_task().zip(worker.current_stack_size()) {
        // SAFETY: the goroutine that runs holds a reference.
        let task = unsafe { task.get() };
        let name = task.name().unwrap_or("unnamed");
        // What does not fit is cut off.
        let _ = write!(
            text,
            "\ngoroutine '{name:.80}', spawned at {}, has overflowed its stack of {size} bytes\n\
             fatal runtime error: stack overflow; if this is no endless recursion, ",
            task.spawned_at()
        );
        let more = size.saturating_mul(4).min(stack::MAX_SIZE);
        let _ = if size >= stack::MAX_SIZE {
            writeln!(text, "it goes deeper than the largest stack there is")
        } else if name == "main" {
            writeln!(
                text,
                "run what goes so deep in go!(stack_size = {more}; ...), or set the environment \
                 variable GOSTACK={more}, for all goroutines"
            )
        } else {
            writeln!(
                text,
                "give it more with go!(stack_size = {more}; ...) or Builder::stack_size, \
                 or all of them with the environment variable GOSTACK={more}"
            )
        };
    }
    let length = text.position() as usize;
    let bytes = &text.get_ref()[..length];
    // SAFETY: writes bytes that are there; a signal handler may.
    unsafe { libc::write(libc::STDERR_FILENO, bytes.as_ptr().cast(), bytes.len()) };
}

/// Leaves the fault to the handler that was there before.
fn pass_on(
    signal: libc::c_int,
    is_fault: bool,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let index = SIGNALS.iter().position(|known| *known == signal);
    let previous = index.and_then(|index| PREVIOUS[index].get());
    match previous {
        Some(old) if old.sa_sigaction != libc::SIG_DFL && old.sa_sigaction != libc::SIG_IGN => {
            if old.sa_flags & libc::SA_SIGINFO != 0 {
                // SAFETY: such handlers are of this type.
                let handler: Handler = unsafe { mem::transmute(old.sa_sigaction) };
                handler(signal, info, context);
            } else {
                // SAFETY: and those without the flag of this one.
                let handler: extern "C" fn(libc::c_int) =
                    unsafe { mem::transmute(old.sa_sigaction) };
                handler(signal);
            }
        }
        Some(old) if old.sa_sigaction == libc::SIG_IGN && !is_fault => {}
        _ => {
            // What the system does by itself: it ends the process, when the instruction that has
            // failed is tried again, or else when the signal comes again. SAFETY: as `signal(2)`
            // says; a handler may raise signals.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                if !is_fault {
                    libc::raise(signal);
                }
            }
        }
    }
}
