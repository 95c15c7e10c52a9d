//! The standard input, whose reads run on the threads of [`blocking`](crate::blocking()) and park
//! the goroutine.
//!
//! The standard output has no counterpart here: its readers usually keep up, and `println!` must
//! work under any lock. Where it might block, use `blocking(|| println!(..))`.

use std::fmt;
use std::io;

use crate::blocking::{blocking_io, reads};

/// Returns the process's standard input. It wraps [`std::io::stdin`], whose buffer is shared by all
/// handles; a read that waits for input parks the goroutine.
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

/// A handle to the standard input, from [`stdin`]. It has no `lock` method, because the guard would
/// be held while the goroutine is parked; for `BufRead` wrap it in a
/// [`BufReader`](std::io::BufReader).
///
/// A read that has begun cannot be canceled: it takes the next input, or ends with the program. To
/// wait for other things as well, let a goroutine read and send:
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
    /// Reads a line, including its end, and appends it to `line`. Returns the number of bytes read,
    /// which is 0 at the end of the input.
    ///
    /// # Errors
    /// The errors of [`std::io::Stdin::read_line`].
    pub fn read_line(&self, line: &mut String) -> io::Result<usize> {
        blocking_io(|| self.0.read_line(line))
    }

    /// Returns an iterator over the lines of the input, without their ends.
    #[must_use]
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

/// The iterator of [`Stdin::lines`].
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
