//! Files: std's functions and types, whose calls run on the threads of
//! [`blocking`](crate::blocking()).
//!
//! A file is always ready, says the system, and then takes its time: no wait for readiness helps,
//! so each call takes a thread of the pool while it lasts, and parks the goroutine. The worker goes
//! on with others. That costs some microseconds more than the call itself, so read and write files
//! in pieces of some kilobytes at least: through [`BufReader`](std::io::BufReader) and
//! [`BufWriter`](std::io::BufWriter), or as a whole ([`read`], [`write()`]). On a plain thread, and
//! while a goroutine unwinds, the calls are std's and nothing else.
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
//! What is not here is std's: [`Metadata`], [`Permissions`], [`FileType`] and [`DirEntry`] are its
//! types. A `DirEntry` asks the system again in `metadata`, on the caller's thread;
//! [`symlink_metadata`] of its path parks.

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
