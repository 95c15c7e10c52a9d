//! std's functions on paths.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use crate::blocking::blocking_io;

/// Functions that hand their paths on to std's of the same name.
macro_rules! on_paths {
    ($($(#[$attribute:meta])* $name:ident($($path:ident),+) -> $result:ty;)*) => {$(
        $(#[$attribute])*
        ///
        /// # Errors
        #[doc = concat!("As [`std::fs::", stringify!($name), "`].")]
        pub fn $name($($path: impl AsRef<Path>),+) -> io::Result<$result> {
            $(let $path = $path.as_ref();)+
            blocking_io(|| fs::$name($($path),+))
        }
    )*};
}

on_paths! {
    /// Reads a whole file.
    read(path) -> Vec<u8>;
    /// Reads a whole file, which has to be UTF-8.
    read_to_string(path) -> String;
    /// Copies a file's content and its permissions, over a file that may be there; returns the
    /// number of bytes.
    copy(from, to) -> u64;
    /// Makes a directory, whose parent has to be there.
    create_dir(path) -> ();
    /// Makes a directory, and those above it that are not there.
    create_dir_all(path) -> ();
    /// Removes an empty directory.
    remove_dir(path) -> ();
    /// Removes a directory and all that is in it. Symbolic links are removed, and not followed.
    remove_dir_all(path) -> ();
    /// Removes a file.
    remove_file(path) -> ();
    /// Gives a file or directory another name, over a file that may be there; both names on one
    /// file system.
    rename(from, to) -> ();
    /// What the system knows of a file; symbolic links are followed.
    metadata(path) -> Metadata;
    /// What the system knows of a file, or of the symbolic link itself.
    symlink_metadata(path) -> Metadata;
    /// The absolute path, without symbolic links, `.` and `..`. The file has to be there.
    canonicalize(path) -> PathBuf;
    /// What a symbolic link points to.
    read_link(path) -> PathBuf;
    /// Another name for the same file.
    hard_link(original, link) -> ();
    /// Whether there is such a file; symbolic links are followed.
    exists(path) -> bool;
}

/// Writes a whole file: one that is there is replaced.
///
/// # Errors
/// As [`std::fs::write`].
pub fn write(path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> io::Result<()> {
    let (path, content) = (path.as_ref(), content.as_ref());
    blocking_io(|| fs::write(path, content))
}

/// Changes a file's permissions.
///
/// # Errors
/// As [`std::fs::set_permissions`].
pub fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
    let path = path.as_ref();
    blocking_io(|| fs::set_permissions(path, permissions))
}
