//! The public macros. Each passes its tokens to a procedural macro together with `$crate`, so that
//! the expansion works under any name, and through any re-export, by which the user reaches this
//! crate.

/// Starts a goroutine. The expression is a [`JoinHandle`](crate::JoinHandle).
///
/// | form | what the goroutine runs |
/// |---|---|
/// | `go! { statements }`, `go!({ statements })` | the block, as a `move` closure |
/// | `go!(f(a, b))`, `go!(x.method(a))` | the call; what it is made of is evaluated now |
/// | `go!(move \|\| expression)` | the closure |
/// | `go!(clone(tx, done) { statements })` | the block, on clones of these variables; the caller keeps its own |
/// | `go!(options; ...)` | any of the above, with options |
/// | `go!(s; ...)`, `go!(s, options; ...)` | any of the above, by `s.spawn(closure)`: in a [`scope`](crate::scope) a block borrows (see [below](#scopes)) |
///
/// The options, separated by commas, are
///
/// - `name = "..."`, for messages;
/// - `stack_size = bytes`;
/// - `thread`: the goroutine has an OS thread of its own, which `GOMAXPROCS` does not count, for
///   code that blocks or that must have a thread to itself (see
///   [`Builder::thread`](crate::Builder::thread));
/// - `local`: the goroutine runs on the caller's worker, so its captures and its result need not be
///   `Send`. Only a goroutine can start a local goroutine, and `local` excludes `thread`.
///
/// Otherwise the captures and the result of a goroutine are `Send` and `'static`.
///
/// ```
/// use go_runtime::{channel, go};
///
/// let (a, b) = (20, 22);
/// assert_eq!(go! { let c = a + b; c }.join().unwrap(), 42);
/// assert_eq!(go!(i32::max(a, b)).join().unwrap(), 22);
/// assert_eq!(go!(move || a).join().unwrap(), 20);
///
/// let (tx, rx) = channel::unbounded();
/// for i in 0..3 {
///     go!(clone(tx) { tx.send(i).unwrap() });
/// }
/// drop(tx);
/// assert_eq!(rx.iter().sum::<i32>(), 3);
///
/// let deep = go!(name = "deep", stack_size = 1 << 20; { [0_u8; 500_000].len() });
/// assert_eq!(deep.join().unwrap(), 500_000);
///
/// let same_thread = go! {
///     let here = std::thread::current().id();
///     go!(local; move || std::thread::current().id() == here).join().unwrap()
/// };
/// assert!(same_thread.join().unwrap());
/// ```
///
/// # Calls
///
/// A call alone follows Go's rule ([Go statements] in its specification): the function, the
/// receiver and the arguments are evaluated by the caller, in source order, and the goroutine only
/// makes the call. So `go!(serve(listener.accept()))` accepts here, and serves there.
///
/// These method calls at the end only unpack the result, and belong to the call before them:
/// `unwrap`, `expect`, `unwrap_err`, `expect_err`, `unwrap_or`, `unwrap_or_else`,
/// `unwrap_or_default`, `ok`, `err`, `is_ok`, `is_err`, `is_some`, `is_none`, `is_ok_and`,
/// `is_err_and`, `is_some_and`, `is_none_or`, `map`, `map_err`, `map_or`, `map_or_else`,
/// `and_then`, `or_else`, `inspect`, `inspect_err`. Some methods without arguments only return a
/// view of a value: `iter`, `iter_mut`, `try_iter`, `lock`, `borrow`, `borrow_mut`, `as_ref`,
/// `as_mut`, `as_str`, `as_bytes`, `as_slice`, `chars`, `lines`. A view, and everything that is
/// called on it, counts as one call on the value, since no goroutine could keep a borrow of the
/// caller's variables. So all of `rx.iter().map(|n| n + 1).sum::<i32>()` runs in the goroutine.
/// Closures among the last arguments stay in the call, and statics, which are recognized by their
/// capital letters, are not moved.
///
/// A macro cannot see its own brackets: a call alone in braces is a call, not a block. Write
/// `go!({ f(rx.recv()) })`, or a `;` after it, to have the goroutine do all of it.
///
/// # Scopes
///
/// A variable in front, followed by `;`, or by `,` and options, names the spawner: the `s` of a
/// [`scope`](crate::scope), or anything else with a method `spawn` that takes a closure, such as a
/// [`JoinSet`](crate::JoinSet). It may be a path of fields, `self.scope`. The value is what that
/// `spawn` returns. With options it is what `s.spawn_with(builder, closure)` returns, an
/// `io::Result` on whose error `go!` panics.
///
/// The block then is no `move` closure: it borrows the variables that it uses, as a closure without
/// `move` does. Variables that it has to own, such as a loop's, go into `clone(...)`: the goroutine
/// owns the clones and borrows the rest. `go!(s; move { ... })` owns everything. Calls follow the
/// rule [above](#calls), and their arguments may borrow values that outlive the scope.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
/// use go_runtime::{go, scope};
///
/// fn add(total: &AtomicUsize, n: usize) {
///     total.fetch_add(n, Relaxed);
/// }
///
/// let total = AtomicUsize::new(0);
/// scope(|s| {
///     for n in 1..=3 {
///         go!(s; add(&total, n));
///         go!(s; clone(n) { total.fetch_add(10 * n, Relaxed) });
///     }
///     let named = go!(s, name = "hundred"; { total.fetch_add(100, Relaxed) });
///     named.join().unwrap();
/// });
/// assert_eq!(total.into_inner(), 166);
/// ```
///
/// # What the compiler says
///
/// - *Borrowed data escapes outside of method*, for `go!(self.step())` with `&self`: the goroutine
///   may outlive the borrow. Let it share the value, by an `Arc`: `let this = Arc::clone(&machine);
///   go!(this.step())`, or in a method with `self: &Arc<Self>`. Or start it in a [scope](#scopes).
/// - *Use of moved value*, in a loop: each goroutine has to have its own. Write
///   `go!(clone(tx) { ... })`.
/// - Nothing at all, for `go!(fetch())` where `fetch` is an `async fn`: the goroutine makes a
///   future and ends, and the future is what `join` returns. To run it write
///   `go!(block_on(fetch()))`, with [`block_on`](crate::block_on).
///
/// # Panics
///
/// If the goroutine cannot be started: for want of memory, because the runtime cannot start (a bad
/// `GOMAXPROCS`), because of a `stack_size` below 32 KiB or above 1 GiB, or where `local` is used
/// outside of a goroutine. [`Builder::spawn`](crate::Builder::spawn) gives an error instead.
///
/// [Go statements]: https://go.dev/ref/spec#Go_statements
#[macro_export]
macro_rules! go {
    ($($tokens:tt)*) => { $crate::__private::go_impl! { [$crate] $($tokens)* } };
}

/// Waits until one of several channel operations is ready, carries it out, and runs its body.
///
/// | arm | meaning |
/// |---|---|
/// | `recv(rx) -> msg => body` | receives; `msg` is bound to a `Result<T, RecvError>` |
/// | `send(tx, value) -> res => body` | sends; `res` is bound to a `Result<(), SendError<T>>` |
/// | `msg = <-rx => body`, `<-rx => body` | the same as `recv`, in Go's arrows |
/// | `tx <- value => body` | the same as `send`, without the result |
/// | `recv(handle) -> res => body`, `res = <-handle => body` | joins a goroutine, by its [`JoinHandle`](crate::JoinHandle); `res` is bound to a [`std::thread::Result<T>`] |
/// | `default => body` | if no arm is ready, does not wait |
/// | `default(duration) => body` | waits for at most `duration` |
///
/// Of several ready arms it takes one at random, each with the same chance. An arm whose channel is
/// closed is ready, with an error. Without any arm it waits for ever.
///
/// Channels, and the duration, are evaluated once, in source order, on entering. The value of a
/// `send` is evaluated, and moved, only when its arm has been chosen (as in [crossbeam]; Go
/// evaluates it [on entering]): in a loop the value stays where it is as long as other arms win,
/// and a closed channel gives it back in the error. Meanwhile a place in the buffer is kept for it;
/// a value that panics gives the place back. On a rendezvous the receiver waits for the value, even
/// beyond its own timeout; with a buffer it does not. Other waiting senders may overtake an arm
/// that is slow to make its value: keep the values of `send` arms cheap to make.
///
/// Bodies are ordinary code of the function around them: `break`, `continue`, `return` and `?`
/// work, and the value of the body is the value of the select. A waiting goroutine parks, and any
/// other thread blocks.
///
/// ```
/// use std::time::Duration;
/// use go_runtime::{channel, go, select};
///
/// let (numbers, rx) = channel::bounded(0);
/// let (stop, done) = channel::bounded::<()>(0);
/// let sender = go! {
///     let mut next = 1;
///     loop {
///         select! {
///             numbers <- next => next += 1,
///             <-done => break next,
///         }
///     }
/// };
/// let mut sum = 0;
/// while sum < 10 {
///     sum += select! {
///         recv(rx) -> n => n.unwrap(),
///         default(Duration::from_secs(60)) => panic!("nothing for a minute"),
///     };
/// }
/// drop(stop);
/// assert_eq!((sum, sender.join().unwrap()), (10, 5));
/// ```
///
/// # Arms that are switched off
///
/// In Go an arm is switched off by a nil channel. Here [`never()`](crate::channel::never) is such a
/// channel for a `recv` arm, and [`Sender::never()`](crate::channel::Sender::never) for a `send`
/// arm. (A test in the body comes too late: the message has been taken.) This queue receives while
/// it has room, and sends while it has messages:
///
/// ```
/// use std::collections::VecDeque;
/// use go_runtime::{channel::{Sender, bounded, never}, go, select};
///
/// let (tx, input) = bounded(0);
/// let (output, rx) = bounded(0);
/// go! {
///     let (no_input, no_output) = (never(), Sender::never());
///     let (mut queue, mut is_open) = (VecDeque::new(), true);
///     while is_open || !queue.is_empty() {
///         let has_room = is_open && queue.len() < 100;
///         select! {
///             recv(if has_room { &input } else { &no_input }) -> message => match message {
///                 Ok(message) => queue.push_back(message),
///                 Err(_) => is_open = false,
///             },
///             send(
///                 if queue.is_empty() { &no_output } else { &output },
///                 queue.pop_front().unwrap(),
///             ) -> sent => sent.unwrap(),
///         }
///     }
/// };
/// for n in 0..5 {
///     tx.send(n).unwrap();
/// }
/// drop(tx);
/// assert_eq!(rx.iter().collect::<Vec<i32>>(), [0, 1, 2, 3, 4]);
/// ```
///
/// [crossbeam]: https://docs.rs/crossbeam-channel/latest/crossbeam_channel/macro.select.html
/// [on entering]: https://go.dev/ref/spec#Select_statements
#[macro_export]
macro_rules! select {
    ($($tokens:tt)*) => { $crate::__private::select_impl! { [$crate] $($tokens)* } };
}

/// Waits like [`select!`](crate::select), but of several ready arms takes the first in source
/// order.
///
/// ```
/// use go_runtime::{channel::unbounded, select_biased};
/// let (urgent, first) = unbounded();
/// let (normal, second) = unbounded();
/// normal.send("normal").unwrap();
/// urgent.send("urgent").unwrap();
/// let got = select_biased! {
///     recv(first) -> msg => msg,
///     recv(second) -> msg => msg,
/// };
/// assert_eq!(got, Ok("urgent"));
/// ```
#[macro_export]
macro_rules! select_biased {
    ($($tokens:tt)*) => { $crate::__private::select_biased_impl! { [$crate] $($tokens)* } };
}

/// Lets a goroutine be written in angle brackets: passes items, statements or an expression
/// through, and rewrites each `go!< ... >` in them, at any depth, to [`go! { ... }`](crate::go).
///
/// (Rust's own parser refuses `go!<` everywhere but in the tokens of a macro.)
///
/// ```
/// use go_runtime::golang;
///
/// golang! {
///     fn larger(a: i32, b: i32) -> i32 {
///         if a > b { a } else { b }
///     }
///
///     fn main() {
///         let inner = go!<
///             let v: Vec<i32> = (1..4).collect();
///             go!<larger(v[0], v[2])>.join().unwrap()
///         >;
///         assert_eq!(inner.join().unwrap(), 3);
///     }
/// }
/// ```
///
/// # Which `>` closes
///
/// The first `>` up to which the content is a complete body for `go!`. A `>` in parentheses,
/// brackets or braces never counts, nor does one that is part of `->`, `=>`, `>=`, `>>` or `>>=`
/// (but the `>>` of `go!<go!<f()>>` closes both). So generics and comparisons mostly work by
/// themselves: what comes before the `>` of `let v: Vec<u8> = ...;`, `f::<T>(x)` or `if a > b {}`
/// is incomplete.
///
/// What is left is a comparison whose left side could end the body: in `go!< init(); a > b; c() >`
/// the first `>` could close or compare. It closes if what follows cannot be an operand (the end,
/// `;`, `,`, `.`, `?`, `=>`, another closing `>`, a keyword such as `let` or `fn`, or another
/// `go!`), or if no later `>` could close. Otherwise it is an error, and one of these helps: put
/// the comparison in parentheses, `(a > b)`, or write a `;` after the closing `>`.
#[macro_export]
macro_rules! golang {
    ($($tokens:tt)*) => { $crate::__private::golang_impl! { [$crate] $($tokens)* } };
}
