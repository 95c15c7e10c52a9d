//! [`Select`]: a select whose arms are put together while the program runs, after
//! crossbeam-channel's.
//!
//! Its arms are those of the macro, in boxes: they are made once and used again until they are
//! chosen, so that a select allocates for the chosen one only. What an arm was given leaves it
//! through the typed end that it was made for, in [`SelectedOperation`].

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
/// one of the `ready` methods which one would not have to wait. The list stays as it is, so it can
/// be used again. Where the operations are known, [`select!`](crate::select) is shorter and faster.
///
/// Goroutines park meanwhile, and threads block. Each select costs some time for each operation in
/// the list.
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
    /// In the order of their indices.
    operations: Vec<Operation<'a>>,
    next: usize,
    biased: bool,
}

/// An operation in the list.
struct Operation<'a> {
    index: usize,
    end: &'a dyn End,
    /// Not chosen, and in no queue.
    arm: Box<dyn Dynamic + 'a>,
    /// Where it was added: if its messages are not `Send`, they belong there.
    thread: ThreadId,
}

// SAFETY: of the ends, which need be neither `Send` nor `Sync` if their messages are not, a thread
// that gets hold of a `Select` uses what is under the channels' locks, and moves messages without
// looking at them. It can take one out only through a typed end (`SelectedOperation::recv`), which
// it has only if the type allows it to; else the message is dropped where the operation was added,
// or not at all (`abandon`). The waits of others that it ends (it took a sender's message, or
// breaks its promise) are theirs to clean up, but for futures that have gone, see
// `channel::futures::pending`.
unsafe impl Send for Select<'_> {}
// SAFETY: as above; and what takes `&self` does not use the arms.
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
    /// An empty list. Of several operations that are ready it takes one at random.
    #[must_use]
    pub fn new() -> Select<'a> {
        Select::default()
    }

    /// An empty list. Of several operations that are ready it takes the one that was added first.
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

    /// Takes an operation out again; the other indices stay as they are. It is the way to leave out
    /// a channel that is closed.
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
    /// If there is no operation of this index: it was never added, or has been removed.
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

    /// Chooses an operation that is ready. (A goroutine that does so in vain again and again lets
    /// others run, see [the limits](crate#limits).)
    ///
    /// # Errors
    /// If none is.
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

    /// Chooses an operation that is ready, and waits until one is. One on a closed channel is
    /// ready, and ends with an error.
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
    /// If the time is over.
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
    /// If the time is over.
    pub fn select_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.choose(Timeout::Until(deadline))
            .ok_or(SelectTimeoutError)
    }

    /// The index of an operation that is ready. It may not be ready any more when it is tried.
    ///
    /// # Errors
    /// If none is.
    pub fn try_ready(&mut self) -> Result<usize, TryReadyError> {
        self.find_ready(Timeout::Poll).ok_or(TryReadyError)
    }

    /// Waits until an operation is ready, and returns its index. It may not be ready any more when
    /// it is tried; one on a closed channel is ready.
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
    /// [`ready`](Select::ready).
    ///
    /// # Errors
    /// If the time is over.
    pub fn ready_timeout(&mut self, timeout: Duration) -> Result<usize, ReadyTimeoutError> {
        self.find_ready(Timeout::After(timeout))
            .ok_or(ReadyTimeoutError)
    }

    /// Waits until `deadline` for an operation to be ready, and returns its index, as
    /// [`ready`](Select::ready).
    ///
    /// # Errors
    /// If the time is over.
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

/// (By exclusive reference: the arms are for the one who has the whole `Select`.)
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
                    // What is not `Send` still belongs where it was added first.
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
