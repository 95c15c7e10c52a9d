//! How goroutines, plain threads and async tasks wait.
//!
//! A blocking operation makes a [`Parker`], and a [`Waiter`] for each queue that it stands in. The
//! thread that makes the wait unnecessary takes a waiter out of its queue, claims the wait, and
//! ends it with a [`Verdict`].
//!
//! # The states of a wait
//!
//! ```text
//!      waiter pushed, under the lock of its queue
//!                          |
//!                          | park: nothing else to run?
//!              no +--------+--------+ yes
//!                 |                 v
//!                 |           +----------+
//!                 |<----------| spinning |  polls for about a microsecond
//!                 v  in vain  +----------+
//!            +--------+            |
//!            | parked |            |
//!            +--------+            |
//!                 | claim          | claim      once: a partner, a close, or the clock
//!                 v                v
//!            +-------------------------+
//!            |         claimed         |  the claiming thread moves a message, if there is one
//!            +-------------------------+
//!                 |                |             verdict written, then unpark
//!                 v                v
//!            +--------+       +--------+
//!            | queued |       |  done  |  a store that the spinning goroutine sees by itself
//!            +--------+       +--------+
//!                 |                |
//!                 +-------+--------+
//!                         v
//!      `park` returns the verdict; the waiter leaves each queue that it is still in
//! ```
//!
//! A *queued* goroutine is in the run queue of its worker, if code on that worker or the worker's
//! clock ended the wait, or in the worker's inbox, if another thread did. The claim, and even the
//! unpark, may come before the park: the goroutine is then queued while it still runs, and the
//! worker finds it there once it has left its stack. A plain thread neither spins nor is queued:
//! `done` and std's `unpark` wake it. An async task never parks: its [`Wakeup`] calls its waker.
//!
//! # The files
//!
//! - [`parker`](Parker): one blocked operation, and the way to end it; `handshake`: its two words;
//!   `wakeup`: what the parker of a future shares with the thread that ends its wait; `unparker`:
//!   many at once.
//! - [`waiter`](Waiter) and [`queue`](WaitQueue): the places of blocked operations in line;
//!   [`taken`](Taken) and [`claimed`](Claimed): waiters that have been taken out, and whose waits
//!   are to be ended.
//! - [`list`](WaitList): a spin lock, what it guards, and the queue of the operations that wait for
//!   that to change. Locks, descriptors and timers use one each. A channel has queues of its own;
//!   `join`, `sleep`, `blocking` and `block_on` need a parker only.
//! - `sleep`: waits that only the clock ends; `yielding`: what an operation that does not park does
//!   for the other goroutines of its worker.
//! - `event`, [`observable`](Observable) and [`edges`]: waits that a done channel may end too.
//!
//! Dependencies go one way: blocking operations use `wait`, and `wait` uses `sched`. The scheduler
//! knows of a wait only what `sched::parking` says, and this module knows channels only as
//! [`Observable`]s.

mod claimed;
pub(crate) mod edges;
mod event;
mod group;
mod handshake;
mod list;
mod lock_waits;
mod named;
mod observable;
mod parker;
mod queue;
pub(crate) mod reason;
mod sleep;
mod taken;
pub(crate) mod threads;
mod unparker;
mod verdict;
mod waiter;
mod wakeup;
mod yielding;

pub(crate) use claimed::Claimed;
pub(crate) use event::Woken;
pub(crate) use group::in_group;
pub(crate) use list::{Decision, Guarded, Held, View, WaitList, Waited};
pub(crate) use lock_waits::{lock_waits, note_lock_wait};
pub(crate) use named::named;
pub(crate) use observable::{Observable, Readiness};
pub(crate) use parker::Parker;
pub(crate) use queue::WaitQueue;
pub use reason::WaitReason;
pub(crate) use reason::Why;
pub use sleep::park_forever;
pub(crate) use sleep::sleep_until;
pub(crate) use taken::Taken;
pub(crate) use threads::is_on_own_stack;
pub(crate) use verdict::Verdict;
pub(crate) use waiter::{Claim, Offer, Waiter};
pub(crate) use wakeup::Wakeup;
pub(crate) use yielding::{
    before_a_wait, may_switch, note_failed_poll, sleep_briefly, spin_for_lock, yield_to_others,
};
