//! Child processes: std's `Command` and `Child`, whose waits park the goroutine. Also the end of
//! this process: [`exit`].
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
//! A wait may have a [timeout](Child::wait_timeout), a [deadline](Child::wait_deadline) or a
//! [done channel](Child::wait_with), and another goroutine can end the child meanwhile through a
//! [handle](Child::process).
//!
//! On Linux 5.3 and newer a wait for a child occupies no thread, and a signal never reaches another
//! process that has got the same process id. Elsewhere the wait polls the system, every 20 ms in
//! the long run. A child's output is read on the threads of the pool for
//! [`blocking`](crate::blocking()) calls (`GOBLOCKING` is their maximum number), except by
//! [`wait_with_output`](Child::wait_with_output), which needs none.
//!
//! # Which thread starts a child
//!
//! Linux ties some properties of a child to the thread that forked it, and not to the process:
//! `PR_SET_PDEATHSIG` ends the child when that thread ends. For goroutines, children are therefore
//! started by threads that live as long as the process. Their number is at most the number of
//! workers, plus the largest number of starts that were ever slow at the same time: while a start
//! is slow, because its program lies on a slow file system or its `pre_exec` waits, other starts
//! get another thread after 10 ms (up to `GOBLOCKING`). A child that is started on a plain thread
//! is tied to that thread, as with std; and [`Command::output`] starts its child on the thread of
//! the pool that then waits for it.

mod child;
mod command;
mod exit;
mod handle;
mod starter;

pub use std::process::{ExitStatus, Output, Stdio};

pub use child::{Child, ChildStderr, ChildStdin, ChildStdout};
pub use command::Command;
pub use exit::exit;
pub use handle::Process;
