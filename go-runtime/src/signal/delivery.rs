//! Delivery of a signal from the handler to channels and contexts.
//!
//! A signal handler may do very little (signal-safety(7)). The handler here sets the signal's bit
//! in `PENDING` and writes a byte to a socket. The byte wakes a thread, which sends to the channels
//! and cancels the contexts.
//!
//! ```text
//!   signal --> handler                 --> go-signal thread
//!              PENDING |= bit              takes PENDING,
//!              write(wake)                 notifies the listeners
//! ```
//!
//! It is a thread because a goroutine might be queued behind another goroutine that computes. The
//! thread and the handlers are never removed. When a signal arrives and no listener asks for it any
//! more, the thread carries out the default action, which for SIGQUIT may be a function of the
//! runtime's own ([`on_quit`]).
//!
//! The lock guards the list of listeners. The thread notifies them without the lock, because
//! notifying runs wakers.

use std::io::{self, Read};
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe};
use std::ptr;
#[cfg(target_os = "linux")]
use std::sync::atomic::AtomicI32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use signal_hook::low_level;

use super::{Signal, SignalError};
use crate::channel::{Receiver, Sender};
use crate::context::WeakCancel;

/// The signals that arrived and are not delivered yet: a bit for each number. All numbers are below
/// 64.
static PENDING: AtomicU64 = AtomicU64::new(0);

static DELIVERY: Mutex<Delivery> = Mutex::new(Delivery {
    wake: None,
    caught: 0,
    default_actions: 0,
    listeners: Vec::new(),
    quit: None,
    handler: libc::SIG_DFL,
});

/// The descriptor that the handler of [`on_quit`] writes to.
#[cfg(target_os = "linux")]
static QUIT_WAKE: AtomicI32 = AtomicI32::new(-1);
/// Whether signal-hook's handler announces SIGQUIT as well, and calls that of [`on_quit`] before.
#[cfg(target_os = "linux")]
static QUIT_CAUGHT: AtomicBool = AtomicBool::new(false);
/// The process that [`on_quit`] was called in. A child that is forked has the handler, too.
#[cfg(target_os = "linux")]
static QUIT_PROCESS: AtomicI32 = AtomicI32::new(0);

/// Whether the thread carries out what signals ask for.
static DELIVERS: AtomicBool = AtomicBool::new(false);

struct Delivery {
    /// The descriptor that a handler writes to, to wake the thread. `Some` if the thread exists; it
    /// is never closed.
    wake: Option<RawFd>,
    /// The signals that have this module's handler.
    caught: u64,
    /// The signals in `caught` that had neither a handler nor `SIG_IGN` before.
    default_actions: u64,
    /// The listeners, each with the set of its signals.
    listeners: Vec<(u64, Listener)>,
    /// What a SIGQUIT does that no other handler handles.
    quit: Option<fn()>,
    /// The address of signal-hook's handler, which is the same for all signals.
    handler: libc::sighandler_t,
}

/// A channel or a context that is notified of signals.
#[derive(Clone)]
pub(super) enum Listener {
    Channel(Sender<Signal>),
    /// A context, which a signal ends through `end`. The channel `released` is closed when the user
    /// releases the signals.
    Context {
        end: WeakCancel,
        released: Receiver<()>,
    },
    /// A function to be called, for as long as the process lives.
    Call(fn()),
}

impl Listener {
    /// Returns whether this listener no longer wants signals. It runs no user code.
    fn is_gone(&self) -> bool {
        match self {
            Listener::Channel(sender) => sender.is_closed(),
            Listener::Context { released, .. } => released.is_closed(),
            Listener::Call(_) => false,
        }
    }

    fn tell(&self, signal: Signal) {
        match self {
            // A full channel drops the signal.
            Listener::Channel(sender) => drop(sender.try_send(signal)),
            Listener::Context { end, .. } => end.cancel(SignalError { signal }),
            Listener::Call(f) => f(),
        }
    }
}

fn bit(signal: Signal) -> u64 {
    1 << signal.as_raw()
}

fn lock() -> MutexGuard<'static, Delivery> {
    DELIVERY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers the listener for these signals, all of which can be caught.
pub(super) fn subscribe(signals: &[Signal], listener: Listener) -> io::Result<()> {
    let mut delivery = lock();
    let wake = delivery.start()?;
    for signal in signals {
        // If a later signal fails, the earlier ones have a handler but no listener: they keep their
        // default action.
        delivery.catch(*signal, wake)?;
    }
    let gone = delivery.take_gone();
    let all = signals.iter().fold(0, |all, signal| all | bit(*signal));
    delivery.listeners.push((all, listener));
    drop(delivery);
    drop(gone);
    Ok(())
}

/// Calls `quit` when a SIGQUIT arrives that no other handler handles. Does nothing if the program
/// has a handler already. A handler that it installs later goes before, and so does `SIG_IGN`. But
/// one that the process has been started with does not count, as in Go: a shell lets the programs
/// that it starts in the background of a script ignore the signal.
///
/// # Errors
/// Returns the system's error if it cannot make the thread or its socket.
#[cfg(target_os = "linux")]
pub(crate) fn on_quit(quit: fn()) -> io::Result<()> {
    let mut delivery = lock();
    let before = action(libc::SIGQUIT)?.sa_sigaction;
    if delivery.quit.is_some() || ![libc::SIG_DFL, libc::SIG_IGN].contains(&before) {
        return Ok(());
    }
    let wake = delivery.start()?;
    QUIT_WAKE.store(wake, Ordering::SeqCst);
    QUIT_PROCESS.store(std::process::id().cast_signed(), Ordering::SeqCst);
    delivery.quit = Some(quit);
    let handler: extern "C" fn(i32) = handle_quit;
    // (Not by signal-hook, which would not tell whether the program has a handler there as well.)
    // SAFETY: the handler does only what is async-signal-safe (signal-safety(7)).
    if unsafe { libc::signal(libc::SIGQUIT, handler as libc::sighandler_t) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    use_signal_stack(libc::SIGQUIT);
    Ok(())
}

/// The handler of [`on_quit`].
#[cfg(target_os = "linux")]
extern "C" fn handle_quit(_: i32) {
    // SAFETY: the function only returns the place of the thread's own `errno`.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the place lives as long as the thread, and no other thread uses it.
    let interrupted = unsafe { errno.read() };
    // SAFETY: the call has no preconditions.
    if unsafe { libc::getpid() } != QUIT_PROCESS.load(Ordering::SeqCst) {
        // SAFETY: both are async-signal-safe. The signal arrives again when the handler has
        // returned, and ends the child.
        unsafe {
            libc::signal(libc::SIGQUIT, libc::SIG_DFL);
            libc::raise(libc::SIGQUIT);
        }
        return;
    }
    if !QUIT_CAUGHT.load(Ordering::SeqCst) {
        announce(1 << libc::SIGQUIT, QUIT_WAKE.load(Ordering::SeqCst));
    }
    // SAFETY: the place is the thread's own, as above. (The interrupted code has to find its own
    // value there.)
    unsafe { errno.write(interrupted) };
}

/// Tells the thread that the signal has arrived. For handlers.
fn announce(bit: u64, wake: RawFd) {
    PENDING.fetch_or(bit, Ordering::SeqCst);
    // SAFETY: the buffer is a live array of one byte, and `wake` is never closed (`start` has
    // forgotten its owner), so `write` reads valid memory and cannot hit a reused descriptor.
    unsafe { libc::write(wake, [0_u8].as_ptr().cast(), 1) };
}

/// What there is for signals.
#[cfg(target_os = "linux")]
pub(crate) struct Signals {
    /// The number of threads that wait for signals.
    pub(crate) threads: usize,
    /// Whether a signal may lead to anything but the runtime's own dumps, or the process's end.
    pub(crate) may_wake: bool,
}

/// Returns the number of threads that wait for signals.
#[cfg(target_os = "linux")]
pub(crate) fn threads() -> usize {
    usize::from(lock().wake.is_some())
}

/// Returns what there is for signals.
#[cfg(target_os = "linux")]
pub(crate) fn what_is_there() -> Signals {
    let delivery = lock();
    let listens =
        |listener: &Listener| !matches!(listener, Listener::Call(_)) && !listener.is_gone();
    let mut own = 0;
    for number in 1..u64::BITS.cast_signed() {
        let caught = delivery.caught & delivery.default_actions & (1 << number) != 0;
        // The program may have replaced the handler.
        let is_there = || action(number).is_ok_and(|now| now.sa_sigaction == delivery.handler);
        if caught && is_there() {
            own |= 1 << number;
        }
    }
    if delivery.quit.is_some() && is_handled_by_quit(super::SIGQUIT) {
        own |= bit(super::SIGQUIT);
    }
    // Faults lead to a report; the last two are glibc's own.
    for number in [libc::SIGSEGV, libc::SIGBUS, 32, 33] {
        own |= 1 << number;
    }
    let others = caught_by_the_process().is_none_or(|caught| caught & !own != 0);
    let listened = delivery.listeners.iter().any(|(_, one)| listens(one));
    Signals {
        threads: usize::from(delivery.wake.is_some()),
        may_wake: others || listened || DELIVERS.load(Ordering::SeqCst),
    }
}

/// Returns the signals that have a handler, a bit for each number; `None` if the system does not
/// tell.
#[cfg(target_os = "linux")]
fn caught_by_the_process() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let (_, rest) = status.split_once("\nSigCgt:")?;
    let bits = u64::from_str_radix(rest.lines().next()?.trim(), 16).ok()?;
    // There the lowest bit is that of the signal 1.
    Some(bits << 1)
}

impl Delivery {
    /// Starts the thread, unless it exists.
    fn start(&mut self) -> io::Result<RawFd> {
        if let Some(wake) = self.wake {
            return Ok(wake);
        }
        let (ours, theirs) = UnixStream::pair()?;
        // Non-blocking, because a handler must not block. A full socket holds enough bytes to wake
        // the thread.
        theirs.set_nonblocking(true)?;
        thread::Builder::new()
            .name("go-signal".into())
            .spawn(move || run(ours))?;
        let wake = theirs.as_raw_fd();
        mem::forget(theirs);
        self.wake = Some(wake);
        Ok(wake)
    }

    fn catch(&mut self, signal: Signal, wake: RawFd) -> io::Result<()> {
        let bit = bit(signal);
        if self.caught & bit != 0 {
            return Ok(());
        }
        let number = signal.as_raw();
        let before = action(number)?;
        let handler = move || announce(bit, wake);
        // SAFETY: an atomic operation and `write` are async-signal-safe (signal-safety(7)).
        // signal-hook preserves `errno` and calls the previous handler first.
        unsafe { low_level::register(number, handler) }?;
        self.caught |= bit;
        if before.sa_sigaction == libc::SIG_DFL || is_handler_of_quit(&before) {
            self.default_actions |= bit;
        }
        #[cfg(target_os = "linux")]
        if is_handler_of_quit(&before) {
            QUIT_CAUGHT.store(true, Ordering::SeqCst);
        }
        self.handler = action(number)?.sa_sigaction;
        use_signal_stack(number);
        Ok(())
    }

    /// Removes the listeners that no longer want signals, for the caller to drop without the lock.
    fn take_gone(&mut self) -> Vec<(u64, Listener)> {
        let all = mem::take(&mut self.listeners);
        let (gone, there) = all
            .into_iter()
            .partition(|(_, listener)| listener.is_gone());
        self.listeners = there;
        gone
    }
}

/// Returns the signal's current action.
fn action(number: i32) -> io::Result<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: with a null new action `sigaction` only queries, and writes to `action`, which is a
    // valid place for it.
    if unsafe { libc::sigaction(number, ptr::null(), action.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has succeeded, so it has initialized `action`.
    Ok(unsafe { action.assume_init() })
}

/// Makes the handler run on the thread's signal stack, and with other signals blocked. The
/// interrupted code may be a goroutine with only a few bytes left on its own stack. Signals that
/// arrive together would otherwise interrupt each other's handlers; a signal stack has room for the
/// registers of two or three handlers, and the system ends the process when it overflows.
fn use_signal_stack(number: i32) {
    let Ok(mut action) = action(number) else {
        return;
    };
    action.sa_flags |= libc::SA_ONSTACK;
    // SAFETY: both functions write only to the set, which is a field of a valid `sigaction`, and
    // these signal numbers exist. (Faults stay unblocked, because a blocked fault ends the process
    // without a message.)
    unsafe {
        libc::sigfillset(&mut action.sa_mask);
        for fault in [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGILL,
            libc::SIGFPE,
            libc::SIGTRAP,
            libc::SIGABRT,
            libc::SIGSYS,
        ] {
            libc::sigdelset(&mut action.sa_mask, fault);
        }
    }
    // SAFETY: this re-installs the existing handler, which does not depend on the stack that it
    // runs on, with changed flags. (std and the runtime give their threads signal stacks; on a
    // thread without one the flag has no effect.)
    unsafe { libc::sigaction(number, &action, ptr::null_mut()) };
}

/// The body of the thread.
fn run(mut woken: UnixStream) {
    let mut bytes = [0; 64];
    loop {
        match woken.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // Unreachable in practice: the other end is never closed.
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        DELIVERS.store(true, Ordering::SeqCst);
        let pending = PENDING.swap(0, Ordering::SeqCst);
        for number in 1..u64::BITS {
            if pending & (1 << number) != 0 {
                deliver(Signal::from_raw(number.cast_signed()));
            }
        }
        DELIVERS.store(false, Ordering::SeqCst);
    }
}

fn deliver(signal: Signal) {
    let (listeners, has_default, quit) = {
        let delivery = lock();
        let asks = |(signals, _): &&(u64, Listener)| signals & bit(signal) != 0;
        let listeners = delivery.listeners.iter().filter(asks);
        let listeners: Vec<_> = listeners.map(|(_, listener)| listener.clone()).collect();
        let quit = delivery.quit.filter(|_| signal == super::SIGQUIT);
        let has_default = delivery.default_actions & bit(signal) != 0;
        let is_ours = has_default || is_handled_by_quit(signal);
        (listeners, has_default, quit.filter(|_| is_ours))
    };
    let mut heard = false;
    for listener in &listeners {
        if listener.is_gone() {
            continue;
        }
        heard = true;
        // A waker that panics concerns only the task that it belongs to.
        let told = panic::catch_unwind(AssertUnwindSafe(|| listener.tell(signal)));
        if let Err(payload) = told {
            mem::forget(payload);
        }
    }
    if heard {
        return;
    }
    let gone = lock().take_gone();
    drop(gone);
    match quit {
        Some(quit) => quit(),
        None if has_default => act_by_default(signal),
        None => {}
    }
}

/// Returns whether [`on_quit`]'s handler is the signal's handler.
fn is_handled_by_quit(signal: Signal) -> bool {
    action(signal.as_raw()).is_ok_and(|action| is_handler_of_quit(&action))
}

#[cfg(target_os = "linux")]
fn is_handler_of_quit(action: &libc::sigaction) -> bool {
    let handler: extern "C" fn(i32) = handle_quit;
    action.sa_sigaction == handler as usize
}

#[cfg(not(target_os = "linux"))]
fn is_handler_of_quit(_: &libc::sigaction) -> bool {
    false
}

/// Carries out the system's default action for the signal.
fn act_by_default(signal: Signal) {
    // signal-hook counts SIGIO among the ignored signals, as on the BSDs; on Linux SIGIO ends the
    // process.
    #[cfg(target_os = "linux")]
    if signal == super::SIGIO {
        // SAFETY: `SIG_DFL` installs no handler, so no code runs on this signal. `sigemptyset`
        // initializes the set before `sigaddset` and `pthread_sigmask` use it. (The signal may be
        // blocked on this thread, so it is unblocked first.)
        unsafe {
            libc::signal(libc::SIGIO, libc::SIG_DFL);
            let mut set = MaybeUninit::uninit();
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGIO);
            libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), ptr::null_mut());
            libc::raise(libc::SIGIO);
        }
        return;
    }
    // (An error would mean that signal-hook does not know the signal; it knows all signals of
    // `numbers`.)
    let _ = low_level::emulate_default_handler(signal.as_raw());
}
