//! Looking into a running program: which goroutines there are, and what they wait for.
//!
//! [`goroutines`] lists them, and [`dump`] writes them as Go does. Under
//! [`#[go_runtime::main]`](macro@crate::main) SIGQUIT (Ctrl-\\) writes a dump to standard error and
//! ends the program with status 2; [`dump_on`] does so for other signals, and goes on.
//!
//! ```text
//! goroutine 3 [chan receive, 2 minutes] {name: printer}:
//! app::printer::next
//!         src/printer.rs:31:22
//! app::main::{{closure}}
//!         src/main.rs:15:9
//! created at src/main.rs:14:5, on worker 1
//!         by the goroutine created at src/main.rs:9:5
//! ```
//!
//! A goroutine that holds its worker, so that others cannot run there, says for how long, and in
//! which system call it is:
//!
//! ```text
//! goroutine 7 [running, has held worker 2 for 3 s, in read of descriptor 4]:
//! ```
//!
//! A goroutine that waits for a lock, or for the end of others, says which one it waits for, if
//! that is known ([`Goroutine::blocked_by`]):
//!
//! ```text
//! goroutine 7 [sync.Mutex.Lock] {name: pays}:
//! created at src/main.rs:21:9, on worker 0
//! It waits for a mutex at 0x7f52a4000b20, locked by goroutine 9 [sleep], created at [...]
//! ```
//!
//! After a panic that ends the process, and after a stack overflow, `GOTRACEBACK` says what is
//! written ([settings](crate#settings)).
//!
//! Looking runs no code of the goroutines, and needs neither a flag nor another build; until then
//! it costs nothing but one word that a goroutine writes when it parks. A listing stops no
//! goroutine, so it is no picture of one moment: each goroutine is seen at a moment of its own. (A
//! worker that needs a new stack may wait meanwhile.) Frames are recorded by the goroutines
//! themselves, when their worker switches goroutines, and take some 20 us of its time each. Lines
//! need debug information: `debug = "line-tables-only"` in a release profile.
//!
//! The page on [debugging](crate::docs::debugging) tells how to look in from outside, with gdb,
//! into a process or its core file, and what perf needs.
//!
//! # Deadlocks
//!
//! Goroutines that wait for each other, each for the next, never go on, even if others do. If it is
//! known whom each waits for (the holder of a [`Mutex`](crate::sync::Mutex), the goroutine that is
//! joined, and some more: see `deadlocks`), the runtime finds such a cycle within about two
//! seconds, and writes it to standard error, once:
//!
//! ```text
//! go-runtime: deadlock: 2 goroutines wait for each other, and so for ever. [...]
//!
//! goroutine 7 [sync.Mutex.Lock] {name: pays}:
//! app::transfer
//!         src/main.rs:10:27
//! created at src/main.rs:21:9, on worker 0
//! It waits for a mutex, which goroutine 9 has locked.
//! [...]
//! ```
//!
//! `deadlocks` returns the same as values. A caller that locks what it has locked itself is
//! reported at once.
//!
//! When all goroutines wait and nothing can wake one any more, the process ends with status 2,
//! after `fatal error: all goroutines are asleep - deadlock!` and a dump, as in Go.
//!
//! Something could wake one if there is a timer, a descriptor or a call of
//! [`blocking`](crate::blocking) that is waited for, a signal that is listened to, or a thread
//! that the runtime knows nothing of: one that is neither its own nor waiting, without a deadline,
//! in one of its calls. If all such threads sleep as well, the runtime writes a warning with a dump
//! after 10 s, once. `GODEBUG=deadlock=0` switches all three off.
//!
//! # Leaks
//!
//! A goroutine leaks if it waits and nothing can wake it any more, because only goroutines that
//! have leaked have what it waits for. On Linux with glibc `leaks` searches the process for them,
//! as Go's goroutine leak profile does, and `GODEBUG=leaks=1` writes at the end of the program
//! which goroutines are left, and which of those have leaked:
//!
//! ```text
//! go-runtime: goroutines left at the end of the program: 3, of which 2 have leaked
//!
//! 2 [chan receive, leaked], for example:
//! goroutine 4 [chan receive]:
//! app::worker
//!         src/main.rs:12:20
//! created at src/main.rs:11:5, on worker 0
//! [...]
//! ```
//!
//! What is found has leaked, but not all that has leaked is found. So look at the numbers of
//! goroutines by spawn site as well, in dumps that are some time apart.
//!
//! # Figures and profiles
//!
//! [`metrics`] returns the runtime's figures, by Go's names where Go has one: goroutines by state,
//! latencies, waits for locks, and what each worker does. They are values, and text for Prometheus:
//!
//! ```
//! use std::io::{self, Write};
//! use go_runtime::debug::metrics;
//!
//! /// Answers a request for `/metrics`.
//! fn answer(client: &mut dyn Write) -> io::Result<()> {
//!     let head = "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\r\n";
//!     client.write_all(head.as_bytes())?;
//!     metrics().write_prometheus(client)
//! }
//! # answer(&mut io::sink()).unwrap();
//! ```
//!
//! [`profile`] tells for a while which goroutines use the workers' CPU time, by spawn site and
//! name, as a table, as folded stacks for a flame graph, and in pprof's format for
//! `go tool pprof`. `GODEBUG=schedtrace=1000` writes a line about the scheduler every second, in
//! Go's form, from the start of the runtime on (here broken in two):
//!
//! ```text
//! SCHED 1009ms: gomaxprocs=2 idleprocs=0 threads=5 spinningthreads=1 needspinning=0
//!   idlethreads=0 runqueue=0 [ 0 3 ] schedticks=[ 18311 20702 ]
//! ```
//!
//! `idleprocs` are workers that sleep and accept goroutines, `idlethreads` all workers that sleep,
//! `spinningthreads` workers that search for work. `needspinning` is 1 while goroutines wait to be
//! started and a worker should search, and none does. `runqueue` counts goroutines that have not
//! started and are in no worker's queue. The lists have a number for each worker: the goroutines in
//! its queues, started or not, and its turns.
//!
//! What happened over time is in a [`trace`](crate::trace).
//!
//! With the feature `debug-server`, `serve` shows all of it on a page for the browser.
//!
//! # What is listed
//!
//! Goroutines on workers are listed on Linux only. A goroutine that has not started yet has no
//! stack and is not listed; [`num_goroutines`](crate::num_goroutines) counts it.

mod blocker;
#[cfg(target_os = "linux")]
mod blockers;
#[cfg(not(target_os = "linux"))]
#[path = "no_blockers.rs"]
mod blockers;
#[cfg(target_os = "linux")]
mod cycle;
#[cfg(target_os = "linux")]
mod deadlock;
mod dump;
mod frames;
#[cfg(target_os = "linux")]
mod gdb;
mod goroutine;
mod hidden;
#[cfg(target_os = "linux")]
mod leaks;
mod metrics;
#[cfg(unix)]
mod on_signal;
mod profile;
mod prometheus;
pub(crate) mod protobuf;
#[cfg(feature = "debug-server")]
mod server;
#[cfg(target_os = "linux")]
pub(crate) mod traceback;

pub use blocker::Blocker;
#[cfg(target_os = "linux")]
pub use cycle::{Deadlock, deadlocks};
#[cfg(target_os = "linux")]
pub(crate) use deadlock::watch_for_deadlocks;
pub use dump::{DumpOptions, dump};
pub use frames::Frame;
pub use goroutine::{Goroutine, GoroutineState, goroutines, goroutines_with_frames};
#[cfg(target_os = "linux")]
pub(crate) use leaks::watch_end;
#[cfg(target_os = "linux")]
pub use leaks::{Leak, leaks};
pub use metrics::{BlockingMetrics, Histogram, Metrics, WorkerMetrics, metrics};
#[cfg(unix)]
pub use on_signal::dump_on;
#[cfg(target_os = "linux")]
pub(crate) use on_signal::dump_on_quit;
pub use profile::{Profile, ProfileEntry, profile};
#[cfg(feature = "debug-server")]
pub use server::{ServeOptions, serve};

pub use crate::wait::WaitReason;
