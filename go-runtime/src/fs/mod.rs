//! Files: std's functions and types, whose calls run on the threads of
//! [`blocking`](crate::blocking()).
//!
//! The system reports a file as always ready, and then blocks the calling thread: waiting for
//! readiness does not help. So each call occupies a thread of the pool while it lasts, and parks
//! the goroutine; the worker runs other goroutines meanwhile. That adds some microseconds to the
//! call itself, so read and write files in pieces of several kilobytes: through
//! [`BufReader`](std::io::BufReader) and [`BufWriter`](std::io::BufWriter), or as a whole
//! ([`read`], [`write()`]). On a plain thread, and while a goroutine unwinds, the calls are std's
//! and nothing else.
//!
//! ```
//! use std::io::{BufRead, BufReader, Write};
//! use go_runtime::{fs::{self, File}, go};
//!
//! let path = std::env::temp_dir().join(format!("go-runtime-doc-{}", std::process::id()));
//! go! {
//!     let mut file = File::create(&path)?;
//!     writeln!(file, "one\ntwo")?;
//!     file.sync_all()?;
//!     let lines: Result<Vec<_>, _> = BufReader::new(File::open(&path)?).lines().collect();
//!     assert_eq!(lines?, ["one", "two"]);
//!     fs::remove_file(&path)
//! }
//! .join()
//! .unwrap()?;
//! # std::io::Result::Ok(())
//! ```
//!
//! The types that are not defined here are std's: [`Metadata`], [`Permissions`], [`FileType`] and
//! [`DirEntry`]. `DirEntry::metadata` makes a system call on the caller's thread;
//! [`symlink_metadata`] of the entry's path parks the goroutine instead.

mod dir;
mod file;
mod functions;

pub use std::fs::{DirEntry, FileTimes, FileType, Metadata, Permissions};

pub use dir::{ReadDir, read_dir};
pub use file::{File, OpenOptions};
pub use functions::{
    canonicalize, copy, create_dir, create_dir_all, exists, hard_link, metadata, read, read_link,
    read_to_string, remove_dir, remove_dir_all, remove_file, rename, set_permissions,
    symlink_metadata, write,
};
