//! std's functions on paths, each of which is one call of the blocking pool.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use crate::blocking::blocking_io;

/// Defines functions that pass their paths to std's functions of the same name.
macro_rules! on_paths {
    ($($(#[$attribute:meta])* $name:ident($($path:ident),+) -> $result:ty;)*) => {$(
        $(#[$attribute])*
        ///
        /// # Errors
        #[doc = concat!("The errors of [`std::fs::", stringify!($name), "`].")]
        pub fn $name($($path: impl AsRef<Path>),+) -> io::Result<$result> {
            $(let $path = $path.as_ref();)+
            blocking_io(|| fs::$name($($path),+))
        }
    )*};
}

on_paths! {
    /// Reads a whole file.
    read(path) -> Vec<u8>;
    /// Reads a whole file, which has to be valid UTF-8.
    read_to_string(path) -> String;
    /// Copies a file's content and permissions, and replaces the file at the target. Returns the
    /// number of bytes copied.
    copy(from, to) -> u64;
    /// Creates a directory, whose parent has to exist.
    create_dir(path) -> ();
    /// Creates a directory, and all its parents that do not exist.
    create_dir_all(path) -> ();
    /// Removes an empty directory.
    remove_dir(path) -> ();
    /// Removes a directory and its content. Symbolic links are removed, not followed.
    remove_dir_all(path) -> ();
    /// Removes a file.
    remove_file(path) -> ();
    /// Renames a file or directory, and replaces a file that has the new name. Both names have to
    /// lie on one file system.
    rename(from, to) -> ();
    /// Returns a file's metadata; symbolic links are followed.
    metadata(path) -> Metadata;
    /// Returns the metadata of a file, or of the symbolic link itself.
    symlink_metadata(path) -> Metadata;
    /// Returns the absolute path, without symbolic links, `.` and `..`. The file has to exist.
    canonicalize(path) -> PathBuf;
    /// Returns the target of a symbolic link.
    read_link(path) -> PathBuf;
    /// Creates another name for the same file.
    hard_link(original, link) -> ();
    /// Returns whether the file exists; symbolic links are followed.
    exists(path) -> bool;
}

/// Writes a whole file, and replaces an existing one.
///
/// # Errors
/// The errors of [`std::fs::write`].
pub fn write(path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> io::Result<()> {
    let (path, content) = (path.as_ref(), content.as_ref());
    blocking_io(|| fs::write(path, content))
}

/// Changes a file's permissions.
///
/// # Errors
/// The errors of [`std::fs::set_permissions`].
pub fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
    let path = path.as_ref();
    blocking_io(|| fs::set_permissions(path, permissions))
}
