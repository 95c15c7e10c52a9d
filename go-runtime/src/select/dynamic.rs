//! [`Select`]: a select whose list of arms is made while the program runs, after
//! crossbeam-channel's.
//!
//! The arms are those of the macro, in boxes. An arm is made once and used again until it is
//! chosen, so that a select allocates for the chosen arm only. The message or the place that an arm
//! was given is taken out in [`SelectedOperation`], through the typed end of the channel that the
//! arm was made for.

use std::fmt;
use std::mem;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::engine::{self, AnyArm, INLINE, Timeout};
use super::selected::{Dynamic, End, SelectedOperation};
use crate::channel::{
    ReadyTimeoutError, Receiver, SelectTimeoutError, Sender, TryReadyError, TrySelectError,
};

/// Waits for several channel operations, the list of which is made while the program runs.
///
/// Add operations with [`send`](Select::send) and [`recv`](Select::recv), then choose one that is
/// ready with one of the `select` methods and complete the [`SelectedOperation`], or find out with
/// one of the `ready` methods which operation would not have to wait. The list stays as it is, so
/// it can be used again. Where the operations are known, [`select!`](crate::select) is shorter and
/// faster.
///
/// A waiting goroutine parks, and a waiting thread blocks. The cost of a select grows with the
/// number of operations in the list.
///
/// ```
/// use go_runtime::channel::{Select, unbounded};
///
/// let channels: Vec<_> = (0..5).map(|_| unbounded()).collect();
/// channels[3].0.send("three").unwrap();
///
/// let mut select = Select::new();
/// for (_, rx) in &channels {
///     select.recv(rx);
/// }
/// let operation = select.select();
/// let index = operation.index();
/// assert_eq!((index, operation.recv(&channels[index].1)), (3, Ok("three")));
/// ```
#[derive(Default)]
pub struct Select<'a> {
    /// The operations that have not been removed, in the order of their indices.
    operations: Vec<Operation<'a>>,
    next: usize,
    biased: bool,
}

/// An operation in the list.
struct Operation<'a> {
    index: usize,
    end: &'a dyn End,
    /// The arm, which has not been chosen. Its waiter is in a queue only while a select waits.
    arm: Box<dyn Dynamic + 'a>,
    /// The thread that added the operation: messages that are not `Send` belong to it.
    thread: ThreadId,
}

// SAFETY: the ends in the list are neither `Send` nor `Sync` if their messages are not `Send`.
// Another thread, to which the `Select` was sent, never touches the contents of such a message:
// 1. It uses only the state under the channels' locks, and moves messages as bytes.
// 2. It gets at a message only through a typed end (`SelectedOperation::recv`), and it has a
//    reference to a typed end only if the end's type allows that. Otherwise `abandon` drops the
//    message on the thread that added the operation, or leaks the message.
// 3. When it ends the wait of a partner (it took a sender's message, or broke a promise to a
//    receiver), the partner's own thread cleans up after the wait. The exception is the wait of a
//    dropped future, for which `Pending::cancel` in `channel::futures::pending` has its own proof.
unsafe impl Send for Select<'_> {}
// SAFETY: the methods that take `&self` (`clone` and the formatting) do not use the existing arms,
// and of an end they call only `End::arm`, which makes an arm and stores a reference to the end
// without touching the channel.
unsafe impl Sync for Select<'_> {}

impl<'a> Operation<'a> {
    fn new(index: usize, end: &'a dyn End) -> Operation<'a> {
        Operation {
            index,
            end,
            arm: end.arm(),
            thread: thread::current().id(),
        }
    }
}

impl<'a> Select<'a> {
    /// Makes an empty list. Of several operations that are ready the select takes one at random.
    #[must_use]
    pub fn new() -> Select<'a> {
        Select::default()
    }

    /// Makes an empty list. Of several operations that are ready the select takes the one added
    /// first.
    ///
    /// ```
    /// use go_runtime::channel::{Select, unbounded};
    /// let ((urgent, first), (normal, second)) = (unbounded(), unbounded());
    /// normal.send("normal").unwrap();
    /// urgent.send("urgent").unwrap();
    /// let mut select = Select::new_biased();
    /// select.recv(&first);
    /// select.recv(&second);
    /// assert_eq!(select.select().recv(&first), Ok("urgent"));
    /// ```
    #[must_use]
    pub fn new_biased() -> Select<'a> {
        Select {
            biased: true,
            ..Select::default()
        }
    }

    /// Adds a send, and returns its index: 0, 1, 2 and so on, in the order of the additions.
    pub fn send<T>(&mut self, sender: &'a Sender<T>) -> usize {
        self.add(sender)
    }

    /// Adds a receive, and returns its index.
    pub fn recv<T>(&mut self, receiver: &'a Receiver<T>) -> usize {
        self.add(receiver)
    }

    fn add(&mut self, end: &'a dyn End) -> usize {
        let index = self.next;
        self.operations.push(Operation::new(index, end));
        self.next += 1;
        index
    }

    /// Removes an operation; the other operations keep their indices. Use this to leave out a
    /// channel that is closed.
    ///
    /// ```
    /// use go_runtime::channel::{Select, unbounded};
    /// let (tx, rx) = unbounded();
    /// let (_, closed) = unbounded::<i32>();
    /// tx.send(1).unwrap();
    /// let mut select = Select::new();
    /// let (gone, open) = (select.recv(&closed), select.recv(&rx));
    /// select.remove(gone);
    /// let operation = select.select();
    /// assert_eq!(operation.index(), open);
    /// assert_eq!(operation.recv(&rx), Ok(1));
    /// ```
    ///
    /// # Panics
    /// If there is no operation with this index: it was never added, or has been removed.
    #[track_caller]
    pub fn remove(&mut self, index: usize) {
        assert!(
            index < self.next,
            "index out of bounds; {index} >= {}",
            self.next
        );
        let found = self
            .operations
            .binary_search_by_key(&index, |operation| operation.index);
        let Ok(at) = found else {
            panic!("no operation with this index");
        };
        self.operations.remove(at);
    }

    /// Chooses an operation that is ready, without waiting. (A goroutine that calls this in vain
    /// again and again lets other goroutines run, see [the limits](crate#limits).)
    ///
    /// # Errors
    /// If no operation is ready.
    ///
    /// ```
    /// use go_runtime::channel::{Select, unbounded};
    /// let (tx, rx) = unbounded();
    /// let mut select = Select::new();
    /// select.recv(&rx);
    /// assert!(select.try_select().is_err());
    /// tx.send("here").unwrap();
    /// assert_eq!(select.try_select().unwrap().recv(&rx), Ok("here"));
    /// ```
    pub fn try_select(&mut self) -> Result<SelectedOperation<'a>, TrySelectError> {
        self.choose(Timeout::Poll).ok_or(TrySelectError)
    }

    /// Chooses an operation that is ready, and waits until one is. An operation on a closed channel
    /// is ready, and completing it gives an error.
    ///
    /// # Panics
    /// If there are no operations.
    #[track_caller]
    pub fn select(&mut self) -> SelectedOperation<'a> {
        assert!(
            !self.operations.is_empty(),
            "no operations have been added to `Select`"
        );
        match self.choose(Timeout::Forever) {
            Some(operation) => operation,
            None => unreachable!("the time is never over"),
        }
    }

    /// Chooses an operation that is ready, and waits for at most `timeout` until one is.
    ///
    /// # Errors
    /// If no operation was ready in time.
    ///
    /// ```
    /// use std::time::Duration;
    /// use go_runtime::channel::{Select, bounded};
    /// let (tx, _rx) = bounded::<i32>(0);
    /// let mut select = Select::new();
    /// select.send(&tx);
    /// assert!(select.select_timeout(Duration::from_millis(1)).is_err());
    /// ```
    pub fn select_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.choose(Timeout::After(timeout))
            .ok_or(SelectTimeoutError)
    }

    /// Chooses an operation that is ready, and waits until `deadline` for one to be.
    ///
    /// # Errors
    /// If no operation was ready in time.
    pub fn select_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.choose(Timeout::Until(deadline))
            .ok_or(SelectTimeoutError)
    }

    /// Returns the index of an operation that is ready, without waiting. The operation may not be
    /// ready any more when the caller tries it.
    ///
    /// # Errors
    /// If no operation is ready.
    pub fn try_ready(&mut self) -> Result<usize, TryReadyError> {
        self.find_ready(Timeout::Poll).ok_or(TryReadyError)
    }

    /// Waits until an operation is ready, and returns its index. The operation may not be ready any
    /// more when the caller tries it. An operation on a closed channel is ready.
    ///
    /// ```
    /// use go_runtime::{channel::{Select, bounded}, go};
    /// let (tx, rx) = bounded(0);
    /// go!(tx.send(1));
    /// let mut select = Select::new();
    /// select.recv(&rx);
    /// assert_eq!(select.ready(), 0);
    /// assert_eq!(rx.recv(), Ok(1));
    /// ```
    ///
    /// # Panics
    /// If there are no operations.
    #[track_caller]
    pub fn ready(&mut self) -> usize {
        assert!(
            !self.operations.is_empty(),
            "no operations have been added to `Select`"
        );
        match self.find_ready(Timeout::Forever) {
            Some(index) => index,
            None => unreachable!("the time is never over"),
        }
    }

    /// Waits for at most `timeout` until an operation is ready, and returns its index, as
    /// [`ready`](Select::ready) does.
    ///
    /// # Errors
    /// If no operation was ready in time.
    pub fn ready_timeout(&mut self, timeout: Duration) -> Result<usize, ReadyTimeoutError> {
        self.find_ready(Timeout::After(timeout))
            .ok_or(ReadyTimeoutError)
    }

    /// Waits until `deadline` for an operation to be ready, and returns its index, as
    /// [`ready`](Select::ready) does.
    ///
    /// # Errors
    /// If no operation was ready in time.
    pub fn ready_deadline(&mut self, deadline: Instant) -> Result<usize, ReadyTimeoutError> {
        self.find_ready(Timeout::Until(deadline))
            .ok_or(ReadyTimeoutError)
    }

    fn choose(&mut self, timeout: Timeout) -> Option<SelectedOperation<'a>> {
        let chosen = engine::select_again(&arms(&mut self.operations), timeout, self.biased);
        let operation = self.operations.get_mut(chosen)?;
        let arm = mem::replace(&mut operation.arm, operation.end.arm());
        let &mut Operation {
            index, end, thread, ..
        } = operation;
        Some(SelectedOperation::new(index, end, arm, thread))
    }

    fn find_ready(&mut self, timeout: Timeout) -> Option<usize> {
        let ready = engine::ready(&arms(&mut self.operations), timeout, self.biased);
        self.operations.get(ready).map(|operation| operation.index)
    }
}

/// Lists the arms for the engine. The reference is exclusive because `Select` is `Sync`: only a
/// caller with exclusive access to the whole `Select` may use its arms.
fn arms<'b>(operations: &'b mut [Operation<'_>]) -> SmallVec<[AnyArm<'b>; INLINE]> {
    let arms = operations
        .iter()
        .map(|operation| AnyArm(operation.arm.as_arm()));
    arms.collect()
}

impl Clone for Select<'_> {
    fn clone(&self) -> Self {
        let operations = self.operations.iter();
        Select {
            operations: operations
                .map(|operation| Operation {
                    // Messages that are not `Send` still belong to the thread that added the
                    // original operation.
                    thread: operation.thread,
                    ..Operation::new(operation.index, operation.end)
                })
                .collect(),
            next: self.next,
            biased: self.biased,
        }
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Select { .. }")
    }
}
