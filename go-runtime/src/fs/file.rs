//! `File` and `OpenOptions`, which wrap std's types. Each operation, even one that loops such as
//! `read_to_end`, is a single call on a thread of the blocking pool.

use std::fs::{self, FileTimes, Metadata, Permissions};
use std::io::{self, Seek, SeekFrom};
use std::path::Path;
use std::process::Stdio;
use std::time::SystemTime;

use crate::blocking::{blocking_io, reads, writes};

/// An open file: [`std::fs::File`], whose calls park the goroutine.
///
/// Dropping it closes the file, on the thread that drops it. For operations that have no method
/// here, such as file locks, use std's type in [`blocking`](crate::blocking()):
/// `std::fs::File::from(file)`.
///
/// ```
/// use std::io::{Read, Seek, Write};
/// use go_runtime::{fs::{self, File}, go};
///
/// let path = std::env::temp_dir().join(format!("go-runtime-file-{}", std::process::id()));
/// go! {
///     let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
///     file.write_all(b"hello")?;
///     file.rewind()?;
///     let mut text = String::new();
///     file.read_to_string(&mut text)?;
///     assert_eq!(text, "hello");
///     fs::remove_file(&path)
/// }
/// .join()
/// .unwrap()?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct File(fs::File);

impl File {
    /// Opens a file to read it.
    ///
    /// # Errors
    /// The errors of [`std::fs::File::open`].
    pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
        File::options().read(true).open(path)
    }

    /// Opens a file for writing, and empties it; creates it if it does not exist.
    ///
    /// # Errors
    /// The errors of [`std::fs::File::create`].
    pub fn create(path: impl AsRef<Path>) -> io::Result<File> {
        File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
    }

    /// Creates a file, open for reading and writing; fails if the file exists.
    ///
    /// # Errors
    /// The errors of [`std::fs::File::create_new`].
    pub fn create_new(path: impl AsRef<Path>) -> io::Result<File> {
        File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
    }

    /// Returns options for opening a file in other ways.
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Blocks until all data that was written, and the file's metadata, are on the disk.
    ///
    /// # Errors
    /// The errors of [`std::fs::File::sync_all`]. Errors of earlier writes show here, and not when
    /// the file is dropped.
    pub fn sync_all(&self) -> io::Result<()> {
        blocking_io(|| self.0.sync_all())
    }

    /// Blocks until all data that was written is on the disk, together with the metadata that it
    /// takes to read the data again.
    ///
    /// # Errors
    /// The errors of [`std::fs::File::sync_data`].
    pub fn sync_data(&self) -> io::Result<()> {
        blocking_io(|| self.0.sync_data())
    }

    /// Sets the size of the file in bytes: cuts the file off, or extends it with zeros.
    ///
    /// # Errors
    /// The errors of [`std::fs::File::set_len`].
    pub fn set_len(&self, size: u64) -> io::Result<()> {
        blocking_io(|| self.0.set_len(size))
    }

    /// Returns the file's metadata.
    ///
    /// # Errors
    /// The errors of [`std::fs::File::metadata`].
    pub fn metadata(&self) -> io::Result<Metadata> {
        blocking_io(|| self.0.metadata())
    }

    /// Changes the file's permissions.
    ///
    /// # Errors
    /// The errors of [`std::fs::File::set_permissions`].
    pub fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        blocking_io(|| self.0.set_permissions(permissions))
    }

    /// Changes the timestamps of the file.
    ///
    /// # Errors
    /// The errors of [`std::fs::File::set_times`].
    pub fn set_times(&self, times: FileTimes) -> io::Result<()> {
        blocking_io(|| self.0.set_times(times))
    }

    /// Changes the time of the last modification.
    ///
    /// # Errors
    /// The errors of [`std::fs::File::set_modified`].
    pub fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time))
    }

    /// Returns another handle to the same open file; the handles share its position.
    ///
    /// # Errors
    /// The errors of [`std::fs::File::try_clone`].
    pub fn try_clone(&self) -> io::Result<File> {
        self.0.try_clone().map(File)
    }
}

reads!(File);

// A flush does nothing: there is no buffer in this process. For data that the system has still to
// write to the disk there is `File::sync_all`.
writes!(File);

impl Seek for &File {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        blocking_io(|| (&self.0).seek(position))
    }
}

impl Seek for File {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        (&*self).seek(position)
    }
}

impl From<fs::File> for File {
    fn from(file: fs::File) -> File {
        File(file)
    }
}

impl From<File> for fs::File {
    fn from(file: File) -> fs::File {
        file.0
    }
}

/// Connects the file to a child's `stdin`, `stdout` or `stderr`.
impl From<File> for Stdio {
    fn from(file: File) -> Stdio {
        file.0.into()
    }
}

/// Options for opening a [`File`]: [`std::fs::OpenOptions`].
///
/// ```
/// use go_runtime::fs::OpenOptions;
/// let refused = OpenOptions::new().append(true).open("/no/such/file");
/// assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::NotFound);
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions(fs::OpenOptions);

macro_rules! options {
    ($($(#[$attribute:meta])* $name:ident;)*) => {$(
        $(#[$attribute])*
        pub fn $name(&mut self, $name: bool) -> &mut OpenOptions {
            self.0.$name($name);
            self
        }
    )*};
}

impl OpenOptions {
    /// Returns options that are all `false`.
    #[expect(clippy::new_without_default, reason = "as std's")]
    #[must_use]
    pub fn new() -> OpenOptions {
        OpenOptions(fs::OpenOptions::new())
    }

    options! {
        /// Opens the file for reading.
        read;
        /// Opens the file for writing, from its beginning over the existing content.
        write;
        /// Opens the file for appending: each write goes to the end that the file has at that
        /// moment.
        append;
        /// Empties the file.
        truncate;
        /// Creates the file if it does not exist.
        create;
        /// Creates the file; fails if it exists.
        create_new;
    }

    /// Opens the file.
    ///
    /// # Errors
    /// The errors of [`std::fs::OpenOptions::open`].
    pub fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let path = path.as_ref();
        blocking_io(|| self.0.open(path)).map(File)
    }
}

impl From<fs::OpenOptions> for OpenOptions {
    fn from(options: fs::OpenOptions) -> OpenOptions {
        OpenOptions(options)
    }
}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
    use std::os::unix::fs::{FileExt, OpenOptionsExt};

    use super::{File, OpenOptions, blocking_io, io};

    impl FileExt for File {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            blocking_io(|| self.0.read_at(buffer, offset))
        }

        fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<usize> {
            blocking_io(|| self.0.write_at(buffer, offset))
        }

        // std's own loop runs within one call of the pool.
        fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
            blocking_io(|| self.0.read_exact_at(buffer, offset))
        }

        fn write_all_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
            blocking_io(|| self.0.write_all_at(buffer, offset))
        }
    }

    impl OpenOptionsExt for OpenOptions {
        fn mode(&mut self, mode: u32) -> &mut OpenOptions {
            self.0.mode(mode);
            self
        }

        fn custom_flags(&mut self, flags: i32) -> &mut OpenOptions {
            self.0.custom_flags(flags);
            self
        }
    }

    impl AsFd for File {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }

    impl AsRawFd for File {
        fn as_raw_fd(&self) -> RawFd {
            self.0.as_raw_fd()
        }
    }

    impl IntoRawFd for File {
        fn into_raw_fd(self) -> RawFd {
            self.0.into_raw_fd()
        }
    }

    impl From<OwnedFd> for File {
        fn from(fd: OwnedFd) -> File {
            File(fs::File::from(fd))
        }
    }

    impl From<File> for OwnedFd {
        fn from(file: File) -> OwnedFd {
            file.0.into()
        }
    }
}
