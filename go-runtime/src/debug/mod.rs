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
//! ```
//!
//! Looking runs no code of the goroutines, and needs neither a flag nor another build; until then
//! it costs nothing but one word that a goroutine writes when it parks. A listing stops no
//! goroutine, so it is no picture of one moment: each goroutine is seen at a moment of its own. (A
//! worker that needs a new stack may wait meanwhile.) Frames are recorded by the goroutines
//! themselves, when their worker switches goroutines, and take some 20 us of its time each. Lines
//! need debug information: `debug = "line-tables-only"` in a release profile.
//!
//! # Deadlocks
//!
//! When all goroutines wait and nothing can wake one any more, the process ends with status 2,
//! after `fatal error: all goroutines are asleep - deadlock!` and a dump, as in Go.
//!
//! Something could wake one if there is a timer, a descriptor or a call of
//! [`blocking`](crate::blocking) that is waited for, a signal that is listened to, or a thread
//! that the runtime knows nothing of: one that is neither its own nor waiting, without a deadline,
//! in one of its calls. If all such threads sleep as well, the runtime writes a warning with a dump
//! after 10 s, once. `GODEBUG=deadlock=0` switches both off.
//!
//! What happened over time is in a [`trace`](crate::trace).
//!
//! # What is listed
//!
//! Goroutines on workers are listed on Linux only. A goroutine that has not started yet has no
//! stack and is not listed; [`num_goroutines`](crate::num_goroutines) counts it.

#[cfg(target_os = "linux")]
mod deadlock;
mod dump;
mod frames;
mod goroutine;
#[cfg(unix)]
mod on_signal;
pub(crate) mod protobuf;

#[cfg(target_os = "linux")]
pub(crate) use deadlock::watch_for_deadlocks;
pub use dump::{DumpOptions, dump};
pub use frames::Frame;
pub use goroutine::{Goroutine, GoroutineState, goroutines, goroutines_with_frames};
#[cfg(unix)]
pub use on_signal::dump_on;
#[cfg(target_os = "linux")]
pub(crate) use on_signal::dump_on_quit;

pub use crate::wait::WaitReason;
