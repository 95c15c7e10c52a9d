//! The threads that start children for goroutines. They live as long as the process.
//!
//! Linux ties some properties of a child to the *thread* that forked it: `PR_SET_PDEATHSIG` kills
//! the child when that thread ends. The threads of the blocking pool end when they are idle, so
//! children are started here instead.
//!
//! ```text
//!   goroutine --- orders (rendezvous) ---> go-starter thread: fork, exec
//!       ^                                        |
//!       +----------- reply (capacity 1) ---------+
//! ```
//!
//! A start may block for long: the program lies on a slow file system, or a `pre_exec` waits. Other
//! starts must not queue behind a slow one forever, because the slow one's `pre_exec` may wait for
//! one of them. So there are several threads: first as many as workers, created on demand, and then
//! another one whenever no order has been taken for [`STALL_TIMEOUT`] while a caller waits, up to
//! the limit of blocking calls (`GOBLOCKING`). No thread ever ends, so their number stays at the
//! largest that was ever needed.
//!
//! A command moves to the thread and back by value, over the crate's own channels. Nothing is
//! borrowed across threads, so nothing here is `unsafe`.

use std::io;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::channel::{Receiver, Sender, bounded};
use crate::sched::{Worker, global};
use crate::wait::may_switch;

/// How long all threads may be busy with the same starts before another thread is created. A start
/// usually takes about a millisecond.
const STALL_TIMEOUT: Duration = Duration::from_millis(10);

/// A command to start, and the channel for the result.
struct Order {
    command: Command,
    reply: Sender<Reply>,
}

/// The result of an order; the command comes back with it.
type Reply = (Command, thread::Result<io::Result<Child>>);

struct Starters {
    /// A rendezvous channel: when a send returns, a thread has taken the order.
    orders: Sender<Box<Order>>,
    taken: Receiver<Box<Order>>,
    /// Changes whenever an order is taken, and when a caller creates a thread because none was
    /// taken.
    progress: AtomicUsize,
    threads: Mutex<usize>,
}

static STARTERS: LazyLock<Starters> = LazyLock::new(|| {
    let (orders, taken) = bounded(0);
    Starters {
        orders,
        taken,
        progress: AtomicUsize::new(0),
        threads: Mutex::new(0),
    }
});

/// Starts the command on a thread that lives as long as the process, and parks the goroutine
/// meanwhile.
///
/// On a plain thread, and in a goroutine that unwinds, the calling thread starts the child, as with
/// std. (A goroutine's worker also lives as long as the process.)
///
/// # Errors
/// The command's error, or that there is no thread and none can be created.
pub(super) fn start(command: &mut Command) -> io::Result<Child> {
    if Worker::current().is_none() || !may_switch() {
        return command.spawn();
    }
    let (reply, replied) = bounded(1);
    let order = Box::new(Order {
        command: mem::replace(command, Command::new("")),
        reply,
    });
    if let Err((order, error)) = STARTERS.submit(order) {
        *command = order.command;
        let what = format!(
            "no thread can be made for starting a child process ({error}): raise the limit on \
             threads or memory (ulimit -u, ulimit -v)"
        );
        return Err(io::Error::new(error.kind(), what));
    }
    let Ok((back, started)) = replied.recv() else {
        unreachable!("the thread that takes an order replies to it");
    };
    *command = back;
    started.unwrap_or_else(|payload| panic::resume_unwind(payload))
}

impl Starters {
    /// Blocks until a thread has taken the order.
    ///
    /// # Errors
    /// There is no thread, and none can be created. The order comes back.
    fn submit(&'static self, order: Box<Order>) -> Result<(), (Box<Order>, io::Error)> {
        let runtime = global::get();
        let mut order = match self.orders.try_send(order) {
            Ok(()) => return Ok(()),
            Err(refused) => refused.into_inner(),
        };
        if let Err(error) = self.add_thread(runtime.gomaxprocs()) {
            return Err((order, error));
        }
        loop {
            let seen = self.progress.load(Ordering::Relaxed);
            order = match self.orders.send_timeout(order, STALL_TIMEOUT) {
                Ok(()) => return Ok(()),
                Err(refused) => refused.into_inner(),
            };
            let stalled = self.progress.compare_exchange(
                seen,
                seen.wrapping_add(1),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            // The exchange succeeds for only one of the callers that have waited this long, and
            // that caller creates a thread.
            if stalled.is_ok()
                && let Err(error) = self.add_thread(runtime.blocking_threads())
            {
                return Err((order, error));
            }
        }
    }

    /// Creates another thread, unless there are `most` already.
    ///
    /// # Errors
    /// There is no thread, and none can be created.
    fn add_thread(&'static self, most: usize) -> io::Result<()> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if *threads >= most {
            return Ok(());
        }
        let made = thread::Builder::new()
            .name("go-starter".into())
            .spawn(|| self.work());
        match made {
            Ok(_) => *threads += 1,
            // One of the existing threads will take the order.
            Err(_) if *threads > 0 => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn work(&self) {
        // Loops forever: the sender lives in the same static.
        while let Ok(order) = self.taken.recv() {
            self.progress.fetch_add(1, Ordering::Relaxed);
            let Order { mut command, reply } = *order;
            let started = panic::catch_unwind(AssertUnwindSafe(|| command.spawn()));
            // The caller always waits for the reply, and the channel has room for it.
            let _ = reply.send((command, started));
        }
    }
}
