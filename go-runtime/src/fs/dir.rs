//! `read_dir` and its iterator over the entries of a directory. Entries are fetched in batches,
//! because a call of the blocking pool costs more than the system needs for one entry.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

use crate::blocking::blocking_io;

/// Number of entries that one call of the pool fetches.
const BATCH: usize = 64;

/// Returns the entries of a directory, in the system's order, without `.` and `..`.
///
/// ```
/// use go_runtime::{fs, go};
/// let entries = go! { fs::read_dir("/")?.collect::<Result<Vec<_>, _>>() };
/// assert!(!entries.join().unwrap()?.is_empty());
/// # std::io::Result::Ok(())
/// ```
///
/// # Errors
/// The errors of [`std::fs::read_dir`].
pub fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref();
    let entries = blocking_io(|| fs::read_dir(path))?;
    Ok(ReadDir {
        entries: Some(entries),
        fetched: VecDeque::new(),
    })
}

/// The iterator of [`read_dir`].
pub struct ReadDir {
    /// `None` once all entries are fetched.
    entries: Option<fs::ReadDir>,
    fetched: VecDeque<io::Result<DirEntry>>,
}

impl Iterator for ReadDir {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<io::Result<DirEntry>> {
        if self.fetched.is_empty()
            && let Some(mut entries) = self.entries.take()
        {
            let fetched = &mut self.fetched;
            let rest = blocking_io(move || {
                fetched.extend(entries.by_ref().take(BATCH));
                Ok((fetched.len() == BATCH).then_some(entries))
            });
            match rest {
                Ok(rest) => self.entries = rest,
                Err(error) => return Some(Err(error)),
            }
        }
        self.fetched.pop_front()
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir").finish_non_exhaustive()
    }
}
