//! Goroutines for Rust.
//!
//! A goroutine is a stackful coroutine on one of [`gomaxprocs`] worker threads. It blocks in
//! ordinary code; blocking parks it, not the thread. Once it has started it never changes its
//! thread, so thread-locals, `Rc`s and lock guards on its stack stay valid, and all of this is safe
//! Rust ([what that means](docs::soundness)).
//!
//! Go programmers find each tool under its Go name in [Coming from Go](docs::coming_from_go). For
//! programmers who write `async` today there is [Coming from tokio](docs::coming_from_tokio).
//!
//! # Start something
//!
//! [`go!`] runs a block, a call or a closure in a goroutine, which takes some 100 ns and a page of
//! memory. Its handle has the result:
//!
//! ```
//! use go_runtime::go;
//!
//! let sum = go! { (1..=10).sum::<i32>() };
//! assert_eq!(sum.join().unwrap(), 55);
//! ```
//!
//! `go!` works in `main` as in any thread. With [`#[go_runtime::main]`](macro@main) `main` is a
//! goroutine itself, which makes its messages to other goroutines cheaper.
//!
//! # Talk
//!
//! Goroutines are connected by [`channel`]s. One end sends and the other receives. A receiver waits
//! while there is no message, a sender while there is no room:
//!
//! ```
//! use go_runtime::{channel, go};
//!
//! let (tx, rx) = channel::bounded(0);
//! go! {
//!     for word in ["share", "by", "communicating"] {
//!         tx.send(word).unwrap();
//!     }
//!     // The last sender goes: the channel is closed.
//! };
//! assert_eq!(rx.iter().collect::<Vec<_>>(), ["share", "by", "communicating"]);
//! ```
//!
//! # Wait for several things, and know when to stop
//!
//! [`select!`] goes on with the operation that is ready first. A goroutine cannot be ended from
//! outside; it selects on a *done channel*, which is closed when it is time to end:
//!
//! ```
//! use go_runtime::{channel, go, select};
//!
//! let (requests, rx) = channel::unbounded();
//! let (stop, done) = channel::bounded::<()>(0);
//! let server = go! {
//!     let mut served = 0;
//!     loop {
//!         select! {
//!             recv(rx) -> request => served += request.unwrap_or(0),
//!             recv(done) -> _ => break served,
//!         }
//!     }
//! };
//! requests.send(1).unwrap();
//! drop(stop);
//! assert!(server.join().unwrap() <= 1);
//! ```
//!
//! A [`Context`](context::Context) is a done channel that is handed down: canceling it, or its
//! deadline, ends all contexts that were derived from it too.
//!
//! ```
//! use std::time::Duration;
//! use go_runtime::{context::{Context, ContextError}, go};
//!
//! fn fetch(ctx: &Context) -> Result<(), ContextError> {
//!     ctx.done().recv().ok(); // or an arm of a select!
//!     ctx.err().map_or(Ok(()), Err)
//! }
//!
//! let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(5));
//! let fetched = go!(clone(ctx) { fetch(&ctx) });
//! assert_eq!(fetched.join().unwrap(), Err(ContextError::DeadlineExceeded));
//! ```
//!
//! # Borrow
//!
//! A [`scope`] waits for its goroutines, so they may borrow the variables around it:
//!
//! ```
//! use go_runtime::{go, scope, sync::Mutex};
//!
//! let words = ["a", "bb", "ccc"];
//! let total = Mutex::new(0);
//! scope(|s| {
//!     for word in &words {
//!         let total = &total;
//!         go!(s; move || *total.lock().unwrap() += word.len());
//!     }
//! });
//! assert_eq!(total.into_inner().unwrap(), 6);
//! ```
//!
//! # Fail together
//!
//! In an [`errgroup`] the first error tells all goroutines to end, and is the result of the group:
//!
//! ```
//! use go_runtime::{context::Context, errgroup::Group};
//!
//! let (group, ctx) = Group::with_context(&Context::background());
//! for n in 1..=3 {
//!     let ctx = ctx.clone();
//!     group.go(move || {
//!         if n == 2 {
//!             return Err("two is refused");
//!         }
//!         let _ = ctx.done().recv(); // told by the one that fails
//!         Ok(())
//!     });
//! }
//! assert_eq!(group.wait(), Err("two is refused"));
//! ```
//!
//! # Serve
//!
//! [`net`] has std's sockets, with std's names; a goroutine that waits for them parks. Crates that
//! take a `Read` and a `Write` work with these sockets as they are, and a done channel ends waiting
//! operations:
//!
//! ```
//! use std::io::{self, Read, Write};
//! use go_runtime::{channel, go, net::{TcpListener, TcpStream}};
//!
//! # fn main() -> io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! let (stop, done) = channel::bounded::<()>(0);
//! let server = go! {
//!     for stream in listener.with_done(&done).incoming().flatten() {
//!         go!({ io::copy(&mut &stream, &mut &stream) });
//!     }
//! };
//! let mut client = TcpStream::connect(address)?;
//! client.write_all(b"echo")?;
//! let mut answer = [0; 4];
//! client.read_exact(&mut answer)?;
//! assert_eq!(&answer, b"echo");
//! drop(stop);
//! server.join().unwrap();
//! # Ok(())
//! # }
//! ```
//!
//! # What there is
//!
//! | | |
//! |---|---|
//! | [`go!`], [`golang!`], [`spawn`], [`Builder`], [`JoinHandle`] | goroutines |
//! | [`scope`] | goroutines that borrow |
//! | [`JoinSet`] | many goroutines, joined in the order of their ends |
//! | [`channel`], [`select!`], [`select_biased!`] | messages; async tasks may be at the other end |
//! | [`context`] | cancellation, deadlines and values, handed down |
//! | [`time`] | sleeps, timers, tickers, functions that run later |
//! | [`sync`] | `Mutex`, `RwLock`, `Condvar`, `Once`, `OnceLock`, `LazyLock`, `Barrier`, `WaitGroup`, `Semaphore`, `Pool` |
//! | [`errgroup`], [`singleflight`] | the first error ends a group; one call for all callers of a key |
//! | [`signal`] | the system's signals on a channel |
//! | [`block_on`] | futures in ordinary code, with feature `tokio` also those that need tokio |
//! | [`net`] | TCP, UDP, Unix sockets, and any other descriptor; with deadlines and done channels |
//! | [`fs`], [`io`], [`process`] | files, the standard input, child processes, the end of this one |
//! | [`blocking`], [`Builder::thread`], [`without_parking`] | code that blocks a thread, or needs one for itself |
//! | [`Config`] | settings in code |
//! | [`docs`] | [soundness](docs::soundness), [coming from Go](docs::coming_from_go), [coming from tokio](docs::coming_from_tokio), [crates](docs::crates), [debugging](docs::debugging) |
//!
//! # Settings
//!
//! What the program itself has to decide is set in code, with [`Config`] or with
//! [`#[go_runtime::main(workers = 2)]`](macro@main). Otherwise the runtime reads these environment
//! variables when it starts; an empty one counts as unset:
//!
//! - `GOMAXPROCS`: the number of workers; by default the number of CPUs.
//! - `GOSTACK`: the size of a stack in bytes; by default 256 KiB.
//! - `GOBLOCKING`: the maximum number of threads for [`blocking`] calls, and as many again for
//!   goroutines with a thread of their own ([`Builder::thread`]); by default 1,024.
//! - `GOTRACEBACK`: what is written of the goroutines when a panic, a stack overflow, a deadlock or
//!   SIGQUIT ends the process: `none`, `single` (the goroutine that has failed, the default),
//!   `all`, or `crash`, which is `all` and leaves a core. As in Go, a deadlock and SIGQUIT write
//!   all goroutines also with `single`. (Linux only.)
//! - `GODEBUG`: switches for diagnosis, with commas between them. `slow=1` reports every goroutine
//!   that holds its worker for over 10 ms; `nesting=1` reports code on a parked stack that takes
//!   nested calls on its thread for granted ([why](docs::soundness)).
//!
//! The page `docs/settings.md` in this crate's package has the ranges of values and the other
//! switches.
//!
//! # In tests
//!
//! In a plain `#[test]` everything works as in any thread. With [`#[go_runtime::main]`](macro@main)
//! the test is a goroutine itself; it fails if it panics or returns an `Err`:
//!
//! ```no_run
//! #[test]
//! #[go_runtime::main]
//! fn answers() {
//!     assert_eq!(go_runtime::go!({ 6 * 7 }).join().unwrap(), 42);
//! }
//! ```
//!
//! All tests of a test binary share one runtime, so settings in code have to be the same in all of
//! them; `GOMAXPROCS=2 cargo test` sets the number of workers for all. `cargo test` does not
//! capture the output of goroutines. While it captures, the line with the name and the spawn site
//! of a goroutine that panics is missing; `cargo test -- --nocapture` shows it.
//!
//! # Features
//!
//! - `futures`: streams of messages are `futures_core::Stream`s.
//! - `tokio`: [`block_on`] polls futures in the context of a tokio runtime.
//! - `tracing`: the spans of the crate `tracing` that a goroutine has entered are exited while it
//!   is parked, and entered again when it goes on, as `Instrument` does for a future. So a guard of
//!   `Span::enter` may be held over an operation that parks, and each event is in the spans of its
//!   own goroutine. A new goroutine is in no span; to go on in its parent's span it enters that:
//!   `let span = Span::current(); go!({ let _entered = span.enter(); ... })`. Without a subscriber
//!   this costs one comparison at each switch. It works with subscribers that report the current
//!   span, as those of tracing-subscriber do. A subscriber for a scope (`with_default`) remains the
//!   thread's: siblings that run while the goroutine is parked in that scope log to it too. At a
//!   switch the subscriber is called as in [`without_parking`]; if it panics, the panic is reported
//!   and goes no further.
//!
//! # Limits
//!
//! The page `docs/limitations.md` in this crate's package has all limits. These are the ones that
//! a program is likely to meet:
//!
//! - **A goroutine that computes without end, or blocks outside of [`blocking`], holds its
//!   worker.** The goroutines that have started on that worker wait; goroutines that have not
//!   started run elsewhere, within some 20 ms even if no worker is idle, because the runtime then
//!   adds a worker. Call [`yield_now`] in long computations, or put them into [`blocking`].
//! - **Some operations let other goroutines run although they need not wait.** Polling does: when
//!   `select!` with a `default`, `try_recv`, `try_send`, `is_finished`,
//!   [`Mutex::try_lock`](sync::Mutex::try_lock), `try_read`, `try_write`, `try_acquire`,
//!   [`Context::err`](context::Context::err) or any operation on a closed channel comes to nothing
//!   16 times since the goroutine was resumed, or for 10 ms. So do operations that take (`recv`,
//!   `select!` without a `default`, [`acquire`](sync::Semaphore::acquire), reads of [`net`]) and
//!   [`block_on`] when the goroutine has run for 10 ms, and [`Mutex::lock`](sync::Mutex::lock)
//!   while others wait for that lock. Operations that give (`send`, writes, [`spawn`]), that only
//!   try, or that lock or unlock never do when they succeed at once.
//! - **A guard of a [`std::sync::Mutex`] held over an operation that may switch can block the
//!   worker** for the other goroutines there; a guard of a [`sync::Mutex`] does not. An initializer
//!   that blocks in std's `OnceLock` or `LazyLock` can, too; use the types of [`sync`].
//! - **Another executor's `block_on` blocks the worker**, and with it perhaps the goroutines that
//!   would wake the future. Use [`block_on`] of this crate in a goroutine, and `.await` in a thread
//!   of an async runtime.
//! - **Stacks do not grow.** A goroutine that overflows its stack runs into a guard page and the
//!   process aborts; on Linux a message names the goroutine and where it was spawned. Give it a
//!   larger [`stack_size`](Builder::stack_size), or let deep recursion call the crate `stacker`.
//!   (`stacker` keeps the limit in a thread-local, so do not wait within its closure and recurse
//!   deeper afterwards.)
//! - **Values lie on stacks in several copies while they are moved.** In an unoptimized build a
//!   message takes up to 30 times its size of the sender's stack and of the receiver's, and a
//!   result as much of the joiner's; in an optimized build up to 7 times. Put values larger than a
//!   few kilobytes into a `Box`.
//! - **A deadlock of some goroutines is found** while others go on only if it is known whom each
//!   waits for, as for locks; goroutines that wait for channels for ever are found on request. If
//!   all wait for ever, and nothing else can wake one, the process ends with a dump of them, as in
//!   Go (on Linux); see [`debug`].
//! - **[`std::process::exit`] in a goroutine** runs the destructors of the worker's thread-locals
//!   (with glibc), and a destructor that waits for a goroutine of that worker waits for ever. Call
//!   [`process::exit`].
//! - **After a `fork` without an `exec`** (which [`process::Command`] calls) no goroutine runs in
//!   the child, where [`spawn`] panics. A goroutine that has called `fork` goes on there as a plain
//!   thread, which blocks, and has to end by `_exit`.
//! - **A thread-local's initializer must not park**, nor a closure for whose extent a crate keeps a
//!   pointer in a thread-local: [which crates, and the ways out](docs::soundness#what-remains).
//!
//! # Panics
//!
//! A panic ends its goroutine only. std's panic hook reports it, after a line with the goroutine's
//! name and where it was spawned (a hook that the program sets is called as it is), and
//! [`JoinHandle::join`] returns it ([`panic_message`] has its text). While a goroutine panics it
//! does not switch: if a panic hook waits, or a `Drop` that runs during the unwinding, that blocks
//! the worker's thread, since other goroutines on it would see [`std::thread::panicking`].
//! [What to do instead](docs::soundness#unwinding).
// The commands for gdb that `debug` describes.
#![cfg_attr(
    target_os = "linux",
    debugger_visualizer(gdb_script_file = "debug/gdb.py")
)]
#![warn(missing_debug_implementations)]
#![cfg_attr(
    not(target_os = "linux"),
    allow(
        dead_code,
        reason = "much of what looks into a program is for Linux only"
    )
)]
#![doc(test(attr(deny(warnings), allow(dead_code, unused_variables))))]

mod block_on;
mod blocking;
mod canceled;
mod clock;
mod config;
mod goroutine;
mod no_arms;
mod primitives;
mod sched;
mod scope;
mod select;
mod settings;
mod stack;
mod start;
mod wait;

pub mod channel;
pub mod context;
pub mod debug;
pub mod docs;
pub mod errgroup;
pub mod fs;
pub mod io;
pub mod join_set;
#[cfg(unix)]
pub mod net;
pub mod process;
#[cfg(unix)]
pub mod signal;
pub mod singleflight;
pub mod sync;
pub mod time;
pub mod trace;

mod macros;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../docs/settings.md")]
struct SettingsPage;

pub use block_on::{block_on, block_on_with};
pub use blocking::blocking;
pub use canceled::Canceled;
pub use config::{Config, StartError};
/// Runs `fn main` as the main goroutine.
///
/// ```
/// #[go_runtime::main]
/// fn main() -> Result<(), std::num::ParseIntError> {
///     let n = go_runtime::go!("42".parse::<i32>()).join().unwrap()?;
///     assert_eq!(n, 42);
///     Ok(())
/// }
/// ```
///
/// # Settings
///
pub use go_runtime_macros::main;
pub use goroutine::{
    Builder, JoinFuture, JoinHandle, gomaxprocs, num_goroutines, panic_message, spawn, spawn_local,
    without_parking, yield_now,
};
pub use join_set::JoinSet;
pub use scope::{Scope, ScopedJoinHandle, scope};

/// The items that the macros expand to. They are not for direct use, and change without notice.
#[doc(hidden)]
pub mod __private {
    pub use crate::goroutine::{Cloned, run_main, spawn_local_with, spawn_with, started};
    pub use crate::no_arms::all as no_arms;
    pub use crate::select::{
        AnyArm, CanReceive, CanSend, RecvArm, Reservation, SendArm, Timeout, select,
    };
    pub use crate::time::sleep;
    pub use crate::wait::park_forever;
    pub use go_runtime_macros::{
        go as go_impl, golang as golang_impl, select as select_impl,
        select_biased as select_biased_impl,
    };
}
