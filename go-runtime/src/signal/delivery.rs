//! How a signal gets from the handler to the channels.
//!
//! A handler may do next to nothing: ours sets the signal's bit in `PENDING` and writes a byte to a
//! socket, and so wakes a thread that sends to the channels, and cancels the contexts. (A goroutine
//! that did it might wait behind one that computes.) The thread and the handlers stay once they are
//! there. Whether anybody still asks for a signal is seen when the signal comes: if nobody does,
//! the thread carries out the default action.
//!
//! The lock guards the list of those who ask. They are told without it, since that runs wakers.

use std::io::{self, Read};
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use signal_hook::low_level;

use super::{Signal, SignalError};
use crate::channel::{Receiver, Sender};
use crate::context::WeakCancel;

/// The signals that have come and have not been delivered: a bit for each number, all of which are
/// below 64.
static PENDING: AtomicU64 = AtomicU64::new(0);

static DELIVERY: Mutex<Delivery> = Mutex::new(Delivery {
    wake: None,
    caught: 0,
    default_actions: 0,
    listeners: Vec::new(),
});

struct Delivery {
    /// Where a handler writes to wake the thread; there is a thread if there is this. It is never
    /// closed.
    wake: Option<RawFd>,
    /// The signals that have our handler.
    caught: u64,
    /// Those of them for which there was no handler before us, nor were they ignored.
    default_actions: u64,
    /// With the signals that each asks for.
    listeners: Vec<(u64, Listener)>,
}

/// One who asks for signals.
#[derive(Clone)]
pub(super) enum Listener {
    Channel(Sender<Signal>),
    /// A signal ends one context; the other one's done channel says that it is over.
    Context {
        end: WeakCancel,
        released: Receiver<()>,
    },
}

impl Listener {
    /// Whether it does not ask any more. It runs nobody's code.
    fn is_gone(&self) -> bool {
        match self {
            Listener::Channel(sender) => sender.is_closed(),
            Listener::Context { released, .. } => released.is_closed(),
        }
    }

    fn tell(&self, signal: Signal) {
        match self {
            // It is dropped where there is no room.
            Listener::Channel(sender) => drop(sender.try_send(signal)),
            Listener::Context { end, .. } => end.cancel(SignalError { signal }),
        }
    }
}

fn bit(signal: Signal) -> u64 {
    1 << signal.as_raw()
}

fn lock() -> MutexGuard<'static, Delivery> {
    DELIVERY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has the listener told of these signals, all of which can be caught.
pub(super) fn subscribe(signals: &[Signal], listener: Listener) -> io::Result<()> {
    let mut delivery = lock();
    let wake = delivery.start()?;
    for signal in signals {
        // Should a later one fail, the earlier ones have no listener, and do what they always did.
        delivery.catch(*signal, wake)?;
    }
    let gone = delivery.take_gone();
    let all = signals.iter().fold(0, |all, signal| all | bit(*signal));
    delivery.listeners.push((all, listener));
    drop(delivery);
    drop(gone);
    Ok(())
}

impl Delivery {
    /// Starts the thread, if that has not been done.
    fn start(&mut self) -> io::Result<RawFd> {
        if let Some(wake) = self.wake {
            return Ok(wake);
        }
        let (ours, theirs) = UnixStream::pair()?;
        // A handler must not wait. If there is no room, there are bytes enough to wake the thread.
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
        let handler = move || {
            PENDING.fetch_or(bit, Ordering::SeqCst);
            // SAFETY: writes a byte that is there to a descriptor that is never closed.
            unsafe { libc::write(wake, [0_u8].as_ptr().cast(), 1) };
        };
        // SAFETY: an atomic operation and `write` are allowed in a handler (signal-safety(7));
        // `errno` is kept by the crate, which also sees to it that the handler before is called
        // first.
        unsafe { low_level::register(number, handler) }?;
        self.caught |= bit;
        if before.sa_sigaction == libc::SIG_DFL {
            self.default_actions |= bit;
        }
        use_signal_stack(number);
        Ok(())
    }

    /// Takes out those who are gone, for the caller to drop without the lock.
    fn take_gone(&mut self) -> Vec<(u64, Listener)> {
        let all = mem::take(&mut self.listeners);
        let (gone, there) = all
            .into_iter()
            .partition(|(_, listener)| listener.is_gone());
        self.listeners = there;
        gone
    }
}

/// What the signal does now.
fn action(number: i32) -> io::Result<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asks only.
    if unsafe { libc::sigaction(number, ptr::null(), action.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: written, as the call has succeeded.
    Ok(unsafe { action.assume_init() })
}

/// Has the handler run on the thread's signal stack, as it may be a goroutine that is interrupted,
/// on the last bytes of its own; and undisturbed. A thread's signal stack has room for the
/// registers of two or three handlers that interrupt each other, as signals that come together do;
/// the system ends the process where it has not.
fn use_signal_stack(number: i32) {
    let Ok(mut action) = action(number) else {
        return;
    };
    action.sa_flags |= libc::SA_ONSTACK;
    // SAFETY: writes to the set only, and knows the signals. (Faults are let through: one that is
    // blocked ends the process without a word.)
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
    // SAFETY: the handler that is there, which does not care about its stack. (std and the runtime
    // give their threads signal stacks; on a thread without one the flag means nothing.)
    unsafe { libc::sigaction(number, &action, ptr::null_mut()) };
}

/// The thread.
fn run(mut woken: UnixStream) {
    let mut bytes = [0; 64];
    loop {
        match woken.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // The other end is never closed.
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let pending = PENDING.swap(0, Ordering::SeqCst);
        for number in 1..u64::BITS {
            if pending & (1 << number) != 0 {
                deliver(Signal::from_raw(number.cast_signed()));
            }
        }
    }
}

fn deliver(signal: Signal) {
    let (listeners, has_default) = {
        let delivery = lock();
        let asks = |(signals, _): &&(u64, Listener)| signals & bit(signal) != 0;
        let listeners = delivery.listeners.iter().filter(asks);
        let listeners: Vec<_> = listeners.map(|(_, listener)| listener.clone()).collect();
        (listeners, delivery.default_actions & bit(signal) != 0)
    };
    let mut heard = false;
    for listener in &listeners {
        if listener.is_gone() {
            continue;
        }
        heard = true;
        // A waker that panics is the task's own business.
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
    if has_default {
        act_by_default(signal);
    }
}

/// What the system does by itself with that signal.
fn act_by_default(signal: Signal) {
    // The crate takes this one for one that is ignored, as the BSDs do.
    #[cfg(target_os = "linux")]
    if signal == super::SIGIO {
        // SAFETY: nothing is called by this signal from now on; the set is written before it is
        // read. (The signal may be blocked on this thread.)
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
    // (An error would mean that it does not know the signal: we know none that it does not.)
    let _ = low_level::emulate_default_handler(signal.as_raw());
}
