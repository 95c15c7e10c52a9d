//! Channels with crossbeam-channel's vocabulary and Go's `close`.
//!
//! A waiting goroutine parks and a waiting thread blocks; both can use one channel. Method names,
//! semantics and the error types are those of [crossbeam-channel] 0.5 (the error types are that
//! crate's own, re-exported), so code and errors pass between the two.
//!
//! | | |
//! |---|---|
//! | [`bounded`]`(n)` | holds `n` messages; a send to a full one waits |
//! | [`bounded`]`(0)` | a rendezvous: a send waits for its receiver |
//! | [`unbounded`]`()` | a send never waits |
//! | [`after`], [`at`] | one message at a moment |
//! | [`tick`] | a message every so often |
//! | [`never()`] | no message, ever |
//!
//! # Closing
//!
//! A channel is closed when its last [`Sender`] or its last [`Receiver`] is dropped, or by
//! [`Sender::close`]. Then
//! - every waiting sender and receiver goes on;
//! - the messages in the buffer can still be received, then receiving gives [`RecvError`];
//! - sending gives [`SendError`] with the message in it. Go panics here (*a send on a closed
//!   channel causes a run-time panic*, Go specification); Rust code expects a value.
//!
//! # Several at once
//!
//! [`select!`](crate::select) waits for one of several operations. [`Select`] does the same for a
//! list of operations that is made while the program runs.
//!
//! # Async tasks
//!
//! [`Receiver::recv_async`], [`Receiver::stream`] and [`Sender::send_async`] serve async tasks on
//! any executor. Their futures wait in the same queues as goroutines and threads, and lose no
//! received message when they are dropped (they are *cancel safe*).
//!
//! # The done channel
//!
//! A goroutine cannot be ended from outside; it has to end itself. To tell it when, let it select
//! on a *done channel*: a channel of `()` that carries no message, and is closed when it is time to
//! end.
//!
//! ```
//! use go_runtime::{channel, go, select};
//!
//! let (stop, done) = channel::bounded::<()>(0);
//! let (work, jobs) = channel::unbounded::<i32>();
//! let worker = go! {
//!     let mut sum = 0;
//!     loop {
//!         select! {
//!             recv(jobs) -> job => sum += job.unwrap_or(0),
//!             recv(done) -> _ => break sum,
//!         }
//!     }
//! };
//! work.send(1).unwrap();
//! drop(stop);
//! assert!(worker.join().unwrap() <= 1);
//! ```
//!
//! [crossbeam-channel]: https://docs.rs/crossbeam-channel

mod constructors;
pub(crate) mod core;
mod futures;
mod handles;
mod iter;
mod observe;
mod receiver;
mod sender;
pub(crate) mod slot;
pub(crate) mod state;
mod timed;
pub(crate) mod timer;

pub use crossbeam_channel::{
    ReadyTimeoutError, RecvError, RecvTimeoutError, SelectTimeoutError, SendError,
    SendTimeoutError, TryReadyError, TryRecvError, TrySelectError, TrySendError,
};

pub use self::constructors::{after, at, bounded, never, tick, unbounded};
#[cfg(target_os = "linux")]
pub(crate) use self::core::{COUNTS, HEAD};
pub use self::futures::{RecvFuture, RecvStream, SendFuture};
pub use self::iter::{IntoIter, Iter, TryIter};
pub use self::receiver::Receiver;
pub(crate) use self::receiver::Source;
pub use self::sender::Sender;
pub use crate::select::{Select, SelectedOperation};
pub use crate::{select, select_biased};
