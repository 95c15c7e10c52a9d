//! Child processes: std's `Command` and `Child`, whose waits run on the threads of [`blocking`](crate::blocking()) and park the goroutine.
//! And the end of this process: [`exit`].
//!
//! ```
//! # #[cfg(unix)] {
//! use std::io::{Read, Write};
//! use go_runtime::{go, process::{Command, Stdio}};
//!
//! let said = go! {
//!     let output = Command::new("echo").arg("hello").output()?;
//!     assert!(output.status.success() && output.stdout == b"hello\n");
//!
//!     let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
//!     let mut input = child.stdin.take().unwrap();
//!     input.write_all(b"there and back")?;
//!     drop(input);
//!     let mut said = String::new();
//!     child.stdout.take().unwrap().read_to_string(&mut said)?;
//!     assert!(child.wait()?.success());
//!     std::io::Result::Ok(said)
//! };
//! assert_eq!(said.join().unwrap().unwrap(), "there and back");
//! # }
//! ```
//!
//! A wait has no timeout and no done channel. Whoever needs one asks [`try_wait`](Child::try_wait) from time to time (a `select!` with `recv(done)` and
//! `default(duration)`), and then calls [`kill`](Child::kill) and [`wait`](Child::wait).
//!
//! Each wait, for a child's end as for what it writes, takes a thread of the pool while it lasts (`GOBLOCKING` is their number at most).
//!
//! A child's parent is the process; but what Linux ties to the parent's *thread* (`PR_SET_PDEATHSIG`) is tied to a thread of the pool, which may end any time.

mod child;
mod command;
mod exit;

pub use std::process::{ExitStatus, Output, Stdio};

pub use child::{Child, ChildStderr, ChildStdin, ChildStdout};
pub use command::Command;
pub use exit::exit;
