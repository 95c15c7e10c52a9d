//! Stack overflows: if a goroutine runs into the guard page of its stack, a message names the
//! goroutine, and the process aborts.
//!
//! The signal handler here comes before the handler that was installed when the runtime started (as
//! a rule Rust's own, which does the same for threads), and passes every other fault on to it. The
//! handler runs on a signal stack of the worker's, because the goroutine's own stack has no room
//! left. It may interrupt a goroutine anywhere, so it neither allocates nor waits for a lock.
//!
//! A dump of the other goroutines (`GOTRACEBACK=all`) needs memory and locks, which the interrupted
//! goroutine may hold. So another thread makes it: the handler asks the monitor, which is awake
//! because this worker is, and waits for the dump's end, but only for so long.
//!
//! ```text
//!   handler   message --> WANTED ............ until WRITTEN, or 10 s have passed --> abort
//!   monitor                 next tick --> a thread that dumps --> WRITTEN
//! ```

use std::io::{Cursor, Write};
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::sync::OnceLock;
use std::time::Duration;

use super::global;
use super::head::Head;
use super::tuning::SIGNAL_STACK;
use super::worker::Worker;
use crate::clock;
use crate::primitives::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::primitives::one_line::OneLine;
use crate::settings::Traceback;
use crate::stack;

const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// The handlers that were installed before ours.
static PREVIOUS: [OnceLock<libc::sigaction>; 2] = [OnceLock::new(), OnceLock::new()];

/// Writes the goroutines to standard error on a thread of its own, without the one of this number,
/// and calls [`note_dumped`] at the end.
type Dump = fn(except: Option<usize>);

static DUMP: OnceLock<Dump> = OnceLock::new();

/// Whether a handler waits for a dump: 0 if none does, `ANY` for one of all goroutines, or the
/// number of the goroutine to be left out, which is never 0.
static WANTED: AtomicUsize = AtomicUsize::new(0);
const ANY: usize = usize::MAX;
/// Whether the dump is written.
static WRITTEN: AtomicBool = AtomicBool::new(false);

/// How long a handler waits for the dump.
const LONGEST_DUMP: Duration = Duration::from_secs(10);
/// The time between two looks of a waiting handler.
const LOOK_EVERY: libc::timespec = libc::timespec {
    tv_sec: 0,
    tv_nsec: 1_000_000,
};

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// Installs the handler. Called once, when the runtime starts.
pub(super) fn install() {
    for (signal, previous) in SIGNALS.into_iter().zip(&PREVIOUS) {
        let mut old = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: without a new action the call only writes the current one to `old`, which has
        // room.
        if unsafe { libc::sigaction(signal, ptr::null(), old.as_mut_ptr()) } != 0 {
            continue;
        }
        // SAFETY: the call has succeeded, so the system has written `old`.
        let old = unsafe { old.assume_init() };
        let mut new = old;
        let handler: Handler = on_fault;
        new.sa_sigaction = handler as usize;
        new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | (old.sa_flags & libc::SA_NODEFER);
        // The old handler is stored first: the new one may need it as soon as it is installed.
        let _ = previous.set(old);
        // SAFETY: `new` is a valid action. Its handler has the type that `SA_SIGINFO` asks for, and
        // calls only functions that a signal handler may call.
        unsafe { libc::sigaction(signal, &new, ptr::null_mut()) };
    }
}

/// Gives the calling worker's thread a signal stack. The signal stack is never freed, because the
/// thread never ends.
pub(super) fn prepare_thread() {
    let Ok(memory) = stack::signal_stack(SIGNAL_STACK) else {
        // Without memory, the signal stack that Rust gives every thread has to suffice.
        return;
    };
    let stack = libc::stack_t {
        ss_sp: memory.as_ptr().cast(),
        ss_flags: 0,
        ss_size: SIGNAL_STACK,
    };
    // SAFETY: the memory is used by this signal stack only, and is never freed.
    unsafe { libc::sigaltstack(&stack, ptr::null_mut()) };
}

extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel passes a pointer to a `siginfo_t` that it has filled in.
    let is_fault = unsafe { (*info).si_code } > 0;
    // SAFETY: the kernel passes a pointer to a `siginfo_t` that it has filled in, and the address
    // of a fault is part of it. (A signal that a process has sent, with `kill`, has no address: for
    // it this reads other bytes of the `siginfo_t`, which are not used.)
    let address = unsafe { (*info).si_addr() }.addr();
    if is_fault
        && let Some(worker) = Worker::current()
        && worker.is_overflow(address)
    {
        let level = global::running().map_or(Traceback::None, |runtime| runtime.traceback());
        let number = report(worker, level);
        if level >= Traceback::All {
            wait_for_dump(number);
        }
        // SAFETY: `abort` has no preconditions; it ends the process.
        unsafe { libc::abort() }
    }
    pass_on(signal, is_fault, info, context);
}

/// Writes the message, and the goroutine's head if the level asks for it. Returns the goroutine's
/// number. It neither allocates nor waits for a lock: the interrupted goroutine may have been doing
/// just that.
fn report(worker: &Worker, level: Traceback) -> Option<usize> {
    let mut text = Cursor::new([0_u8; 2048]);
    let mut number = None;
    if let Some((task, size)) = worker.current_task().zip(worker.current_stack_size()) {
        // SAFETY: the fiber has its task until the task's run is over, which ends with the freeing
        // of the task: after the last code of the program, the `Drop` of the result. That code, or
        // what it calls, has overflowed the stack, and stays interrupted while this handler runs.
        let task = unsafe { task.get() };
        let name = task.name().unwrap_or("unnamed");
        // A message that does not fit is cut off.
        let _ = write!(
            text,
            "\ngoroutine '{:.80}', spawned at {}, has overflowed its stack of {size} bytes\n\
             fatal runtime error: stack overflow; if this is no endless recursion, ",
            OneLine(name),
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
        if level >= Traceback::Single {
            Head::with(worker, |head| {
                number = head.number;
                let _ = writeln!(text, "\n{head}");
            });
        }
        if level >= Traceback::All {
            let _ = writeln!(text);
        }
    }
    let length = text.position() as usize;
    let bytes = &text.get_ref()[..length];
    // SAFETY: `bytes` is a valid slice, and `write` may be called in a signal handler.
    unsafe { libc::write(libc::STDERR_FILENO, bytes.as_ptr().cast(), bytes.len()) };
    number
}

/// Asks for a dump without the goroutine of this number, and waits for its end, but not for ever:
/// the interrupted goroutine may hold a lock that the dump needs.
fn wait_for_dump(except: Option<usize>) {
    WANTED.store(except.unwrap_or(ANY), Ordering::Release);
    let since = clock::now();
    while !WRITTEN.load(Ordering::Acquire) && since.elapsed() < LONGEST_DUMP {
        // SAFETY: the argument is valid, and `nanosleep` may be called in a signal handler.
        unsafe { libc::nanosleep(&LOOK_EVERY, ptr::null_mut()) };
    }
}

/// From now on `dump` is called, on the monitor's thread, for an overflow. Only the first call has
/// an effect.
pub(crate) fn dump_with(dump: Dump) {
    let _ = DUMP.set(dump);
}

/// Notes that the dump that was asked for is written, or cannot be.
pub(crate) fn note_dumped() {
    WRITTEN.store(true, Ordering::Release);
}

/// Starts the dump if a handler waits for it. The monitor calls this at each tick.
pub(super) fn dump_if_wanted() {
    if WANTED.load(Ordering::Relaxed) == 0 {
        return;
    }
    let except = match WANTED.swap(0, Ordering::Acquire) {
        0 => return,
        ANY => None,
        number => Some(number),
    };
    match DUMP.get() {
        Some(dump) => dump(except),
        None => note_dumped(),
    }
}

/// Passes the fault on to the handler that was installed before ours.
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
                // SAFETY: with `SA_SIGINFO` the action holds a handler of this type.
                let handler: Handler = unsafe { mem::transmute(old.sa_sigaction) };
                handler(signal, info, context);
            } else {
                // SAFETY: without `SA_SIGINFO` the action holds a handler of this type.
                let handler: extern "C" fn(libc::c_int) =
                    unsafe { mem::transmute(old.sa_sigaction) };
                handler(signal);
            }
        }
        Some(old) if old.sa_sigaction == libc::SIG_IGN && !is_fault => {}
        _ => {
            // The system's default action: the process ends when the faulting instruction is tried
            // again, or else when the signal is raised again.
            // SAFETY: both functions may be called in a signal handler, with a valid signal number
            // (see `signal-safety(7)`).
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                if !is_fault {
                    libc::raise(signal);
                }
            }
        }
    }
}
