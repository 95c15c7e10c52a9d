//! The standard input, whose reads run on the threads of [`blocking`](crate::blocking()) and park
//! the goroutine.
//!
//! There is no such thing for the standard output: what reads it usually takes what comes, and
//! `println!` must work under any lock. Where it may not, use `blocking(|| println!(..))`.

use std::fmt;
use std::io;

use crate::blocking::{blocking_io, reads};

/// The process's standard input. It is [`std::io::stdin`], whose buffer all share; a read that
/// waits for the user parks the goroutine.
///
/// ```no_run
/// use go_runtime::{go, io};
///
/// let lines = go! {
///     for line in io::stdin().lines() {
///         println!("{}", line?.to_uppercase());
///     }
///     std::io::Result::Ok(())
/// };
/// lines.join().unwrap()?;
/// # std::io::Result::Ok(())
/// ```
#[must_use]
pub fn stdin() -> Stdin {
    Stdin(io::stdin())
}

/// What [`stdin`] returns. It has no `lock`, which would have to be held over what parks; for
/// `BufRead` put it into a [`BufReader`](std::io::BufReader).
///
/// A read that has begun cannot be called off: it takes what comes next, or ends with the program.
/// Who has to wait for other things as well lets a goroutine read and send:
///
/// ```no_run
/// use go_runtime::{channel, go, io, select};
/// # let (_stop, done) = channel::bounded::<()>(0);
/// let (tx, lines) = channel::bounded(0);
/// go! {
///     for line in io::stdin().lines().map_while(Result::ok) {
///         if tx.send(line).is_err() {
///             break;
///         }
///     }
/// };
/// select! {
///     recv(lines) -> line => println!("{line:?}"),
///     recv(done) -> _ => println!("stopped"),
/// }
/// ```
pub struct Stdin(io::Stdin);

impl Stdin {
    /// Reads a line, with its end, and appends it to `line`; returns the number of bytes, which is
    /// 0 at the end of the input.
    ///
    /// # Errors
    /// As [`std::io::Stdin::read_line`].
    pub fn read_line(&self, line: &mut String) -> io::Result<usize> {
        blocking_io(|| self.0.read_line(line))
    }

    /// The lines of the input, without their ends.
    pub fn lines(self) -> Lines {
        Lines(self)
    }
}

reads!(Stdin);

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdin").finish_non_exhaustive()
    }
}

/// What [`Stdin::lines`] returns.
#[derive(Debug)]
pub struct Lines(Stdin);

impl Iterator for Lines {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<io::Result<String>> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => {
                if line.ends_with('\n') {
                    line.pop();
                    if line.ends_with('\r') {
                        line.pop();
                    }
                }
                Some(Ok(line))
            }
            Err(error) => Some(Err(error)),
        }
    }
}
