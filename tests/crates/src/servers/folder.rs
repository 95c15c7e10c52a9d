//! A server's folder, and the user that owns it.

use std::os::unix::fs::{DirBuilderExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, io};

/// A user that may run a server.
#[derive(Clone, Copy, Debug)]
struct User {
    uid: u32,
    gid: u32,
}

impl User {
    fn named(name: &str) -> Option<User> {
        let id = |flag| {
            let output = Command::new("id").args([flag, name]).output().ok()?;
            String::from_utf8(output.stdout).ok()?.trim().parse().ok()
        };
        Some(User {
            uid: id("-u")?,
            gid: id("-g")?,
        })
    }
}

/// A temporary folder. The supervisor of the server that lives in it removes it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    user: Option<User>,
}

impl Folder {
    /// Creates a folder for the server of this name. If this program runs as root, the server runs
    /// as the user of its own name, or as `nobody`, because PostgreSQL refuses to run as root.
    pub(super) fn new(server: &str) -> io::Result<Folder> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let user = if rustix::process::geteuid().is_root() {
            let user = User::named(server).or_else(|| User::named("nobody"));
            Some(user.ok_or_else(|| io::Error::other("root finds no user to run it as"))?)
        } else {
            None
        };
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("go-crates-{server}-{}-{count}", process::id());
        let path = env::temp_dir().join(name);
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        if let Some(user) = user {
            chown(&path, Some(user.uid), Some(user.gid))?;
        }
        Ok(Folder { path, user })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a command that runs in the folder, as its owner.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.path);
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }
}
