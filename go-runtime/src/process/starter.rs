//! The threads that start children for goroutines. They last as long as the process.
//!
//! Linux ties some things to the *thread* that forked: `PR_SET_PDEATHSIG` kills the child when that
//! thread ends. The threads of the pool for blocking calls end when they are idle, so children are
//! started here instead.
//!
//! A start may block for long: the program lies on a slow file system, or a `pre_exec` waits for
//! something. Other starts must not wait behind it for ever, because it may be one of those that it
//! waits for. So there are several threads. As many as there are workers are made as they are
//! needed, and another one whenever no order has been taken for [`PATIENCE`] while a caller waits;
//! the ceiling is that of blocking calls (`GOBLOCKING`). Since none of them ever ends, their number
//! stays at what the slowest starts have needed.
//!
//! A command travels to the thread and back by value, over the crate's own channels: nothing is
//! lent, so nothing here is `unsafe`.

use std::io;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::channel::{Receiver, Sender, bounded};
use crate::goroutine::may_switch;
use crate::sched::{Runtime, Worker};

/// How long all threads may be busy with the same starts before another thread is made. A start
/// takes about a millisecond as a rule.
const PATIENCE: Duration = Duration::from_millis(10);

/// A command to start, and where the result goes.
struct Order {
    command: Command,
    reply: Sender<Reply>,
}

/// The command comes back with the result.
type Reply = (Command, thread::Result<io::Result<Child>>);

struct Starters {
    /// A rendezvous: an order that has been sent has a thread.
    orders: Sender<Box<Order>>,
    taken: Receiver<Box<Order>>,
    /// Changes whenever an order is taken, and when a thread is made because none was.
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

/// Starts the command on a thread that lasts, and parks the goroutine meanwhile.
///
/// On a plain thread, and in a goroutine that unwinds, the calling thread starts it, as with std.
/// (A goroutine's worker lasts as well.)
///
/// # Errors
/// The command's; or there is no thread, and none can be made.
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
    /// Waits until a thread has taken the order.
    ///
    /// # Errors
    /// There is no thread, and none can be made. The order comes back.
    fn submit(&'static self, order: Box<Order>) -> Result<(), (Box<Order>, io::Error)> {
        let runtime = Runtime::get();
        let mut order = match self.orders.try_send(order) {
            Ok(()) => return Ok(()),
            Err(refused) => refused.into_inner(),
        };
        if let Err(error) = self.add_thread(runtime.workers()) {
            return Err((order, error));
        }
        loop {
            let seen = self.progress.load(Ordering::Relaxed);
            order = match self.orders.send_timeout(order, PATIENCE) {
                Ok(()) => return Ok(()),
                Err(refused) => refused.into_inner(),
            };
            let stalled = self.progress.compare_exchange(
                seen,
                seen.wrapping_add(1),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            // Of all callers that have waited so long only one makes a thread.
            if stalled.is_ok()
                && let Err(error) = self.add_thread(runtime.blocking_threads())
            {
                return Err((order, error));
            }
        }
    }

    /// Makes another thread, unless there are `most`.
    ///
    /// # Errors
    /// There is none, and none can be made.
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
            // One of the others will come to the order.
            Err(_) if *threads > 0 => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn work(&self) {
        // The sender is in the same static, so this never ends.
        while let Ok(order) = self.taken.recv() {
            self.progress.fetch_add(1, Ordering::Relaxed);
            let Order { mut command, reply } = *order;
            let started = panic::catch_unwind(AssertUnwindSafe(|| command.spawn()));
            // The caller waits for it.
            let _ = reply.send((command, started));
        }
    }
}
