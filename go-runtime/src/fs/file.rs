//! A file that is open.

use std::fs::{self, FileTimes, Metadata, Permissions};
use std::io::{self, Seek, SeekFrom};
use std::path::Path;
use std::process::Stdio;
use std::time::SystemTime;

use crate::blocking::{blocking_io, reads, writes};

/// An open file: [`std::fs::File`], whose calls park the goroutine.
///
/// It is closed when it is dropped, on the thread that drops it. What it has no method for, such as
/// locks of files, std's has: `std::fs::File::from(file)`, in [`blocking`](crate::blocking()).
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
    /// As [`std::fs::File::open`].
    pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
        File::options().read(true).open(path)
    }

    /// Opens a file to write it, empty; it is made if it is not there.
    ///
    /// # Errors
    /// As [`std::fs::File::create`].
    pub fn create(path: impl AsRef<Path>) -> io::Result<File> {
        File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
    }

    /// Makes a file, to read and write it; one that is there is an error.
    ///
    /// # Errors
    /// As [`std::fs::File::create_new`].
    pub fn create_new(path: impl AsRef<Path>) -> io::Result<File> {
        File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
    }

    /// How to open one otherwise.
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Waits until all that was written, and what the system knows of the file, is on the disk.
    ///
    /// # Errors
    /// As [`std::fs::File::sync_all`]. This is where errors of writing show, and not in the drop.
    pub fn sync_all(&self) -> io::Result<()> {
        blocking_io(|| self.0.sync_all())
    }

    /// Waits until all that was written is on the disk, with as much of what the system knows as it
    /// takes to read it again.
    ///
    /// # Errors
    /// As [`std::fs::File::sync_data`].
    pub fn sync_data(&self) -> io::Result<()> {
        blocking_io(|| self.0.sync_data())
    }

    /// Cuts the file off at so many bytes, or fills it up with zeroes.
    ///
    /// # Errors
    /// As [`std::fs::File::set_len`].
    pub fn set_len(&self, size: u64) -> io::Result<()> {
        blocking_io(|| self.0.set_len(size))
    }

    /// What the system knows of the file.
    ///
    /// # Errors
    /// As [`std::fs::File::metadata`].
    pub fn metadata(&self) -> io::Result<Metadata> {
        blocking_io(|| self.0.metadata())
    }

    /// Changes the file's permissions.
    ///
    /// # Errors
    /// As [`std::fs::File::set_permissions`].
    pub fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        blocking_io(|| self.0.set_permissions(permissions))
    }

    /// Changes the times that the system keeps of the file.
    ///
    /// # Errors
    /// As [`std::fs::File::set_times`].
    pub fn set_times(&self, times: FileTimes) -> io::Result<()> {
        blocking_io(|| self.0.set_times(times))
    }

    /// Changes the time of the last change.
    ///
    /// # Errors
    /// As [`std::fs::File::set_modified`].
    pub fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time))
    }

    /// Another handle of the same open file: they share its position.
    ///
    /// # Errors
    /// As [`std::fs::File::try_clone`].
    pub fn try_clone(&self) -> io::Result<File> {
        self.0.try_clone().map(File)
    }
}

reads!(File);

// No buffer of ours is there to be flushed. What the system still has to write is
// `File::sync_all`'s matter.
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

/// For a child's `stdin`, `stdout` or `stderr`.
impl From<File> for Stdio {
    fn from(file: File) -> Stdio {
        file.0.into()
    }
}

/// How to open a [`File`]: [`std::fs::OpenOptions`].
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
    /// All are `false`.
    #[expect(clippy::new_without_default, reason = "as std's")]
    #[must_use]
    pub fn new() -> OpenOptions {
        OpenOptions(fs::OpenOptions::new())
    }

    options! {
        /// To read it.
        read;
        /// To write it, from its beginning over what is there.
        write;
        /// To write at its end, wherever that is at each write.
        append;
        /// It is emptied.
        truncate;
        /// It is made if it is not there.
        create;
        /// It is made, and must not be there.
        create_new;
    }

    /// Opens the file.
    ///
    /// # Errors
    /// As [`std::fs::OpenOptions::open`].
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
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
    use std::os::unix::fs::{FileExt, OpenOptionsExt};

    use super::{File, OpenOptions, blocking_io, io};

    impl FileExt for File {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            blocking_io(|| self.0.read_at(buffer, offset))
        }

        fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<usize> {
            blocking_io(|| self.0.write_at(buffer, offset))
        }

        // std's own loops, as one call of the pool.
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
