//! The functions that make channels.

use std::convert::identity;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use super::receiver::{Receiver, Source};
use super::sender::Sender;
use super::timed::{At, Tick};
use crate::clock;

/// Makes a channel that holds up to `capacity` messages. With 0, each send waits until a receiver
/// takes its message.
///
/// Messages of size zero, such as `()`, take no memory, however many are buffered.
///
/// # Panics
/// If `capacity` messages could never fit into memory (more than `isize::MAX` bytes). A smaller
/// capacity that is still large takes memory only as it is used.
///
/// ```
/// use go_runtime::{channel::bounded, go};
///
/// let (tx, rx) = bounded(1);
/// let producer = go! {
///     for i in 0..3 {
///         tx.send(i).unwrap();
///     }
/// };
/// assert_eq!(rx.iter().collect::<Vec<i32>>(), [0, 1, 2]);
/// producer.join().unwrap();
/// ```
#[track_caller]
#[must_use]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let most = (isize::MAX as usize)
        .checked_div(size_of::<T>())
        .unwrap_or(usize::MAX);
    assert!(
        capacity <= most,
        "bounded({capacity}): a buffer of so many messages of {} bytes cannot exist (at most \
         {most} could); give the number that may wait at once, or use unbounded()",
        size_of::<T>()
    );
    make(Some(capacity))
}

/// Makes a channel that holds any number of messages. A send never waits.
///
/// ```
/// use go_runtime::channel::unbounded;
/// let (tx, rx) = unbounded();
/// tx.send("one").unwrap();
/// tx.send("two").unwrap();
/// assert_eq!(rx.len(), 2);
/// assert_eq!(rx.recv(), Ok("one"));
/// ```
#[must_use]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    make(None)
}

fn make<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    let core = Arc::new(Core::new(capacity));
    (
        Sender::new(Arc::clone(&core)),
        Receiver::new(Source::Core(core)),
    )
}

/// Makes a channel that gives one message, the time, after `duration`. A receive before that moment
/// waits. After the one message there is never another.
///
/// ```
/// use std::time::Duration;
/// use go_runtime::{channel::{after, never}, select};
///
/// select! {
///     recv(never::<()>()) -> _ => unreachable!(),
///     recv(after(Duration::from_millis(1))) -> time => assert!(time.is_ok()),
/// }
/// ```
#[must_use]
pub fn after(duration: Duration) -> Receiver<Instant> {
    clock::after(duration).map_or_else(never, at)
}

/// Makes a channel that gives one message, the time, at `when`.
///
/// ```
/// use std::time::{Duration, Instant};
/// let when = Instant::now() + Duration::from_millis(1);
/// assert_eq!(go_runtime::channel::at(when).recv(), Ok(when));
/// ```
#[must_use]
pub fn at(when: Instant) -> Receiver<Instant> {
    Receiver::new(Source::At(Arc::new(At::new(when, identity))))
}

/// Makes a channel that gives a message, the time, every `period`. A tick that no receiver takes
/// before the next is due is left out, and later ticks stay in step: all come at whole periods from
/// the start.
///
/// ```
/// use std::time::Duration;
/// let ticker = go_runtime::channel::tick(Duration::from_millis(1));
/// let first = ticker.recv().unwrap();
/// let second = ticker.recv().unwrap();
/// assert!(second - first >= Duration::from_millis(1));
/// ```
#[must_use]
pub fn tick(period: Duration) -> Receiver<Instant> {
    match clock::after(period) {
        Some(first) => Receiver::new(Source::Tick(Arc::new(Tick::new(first, period, identity)))),
        None => never(),
    }
}

/// Makes a channel that never gives a message and is never closed. In a `recv` arm of a `select!`
/// it switches the arm off. In Go it is a nil channel.
///
/// This is a [`Receiver`]: for a `send` arm, as in `if on { tx.clone() } else { ... }`, use its
/// counterpart [`Sender::never`].
///
/// ```
/// use go_runtime::channel::{TryRecvError, never};
/// assert_eq!(never::<i32>().try_recv(), Err(TryRecvError::Empty));
/// ```
#[must_use]
pub const fn never<T>() -> Receiver<T> {
    Receiver::new(Source::Never)
}
