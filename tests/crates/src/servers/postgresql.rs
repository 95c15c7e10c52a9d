//! Starting PostgreSQL.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::folder::Folder;
use super::{Server, run};

pub(super) fn start(address: SocketAddr) -> io::Result<Server> {
    let programs = programs().ok_or(io::ErrorKind::NotFound)?;
    let folder = Folder::new("postgres")?;
    let data = folder.path().join("data");
    let made = run(folder
        .command(programs.join("initdb"))
        .args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
        ])
        .args(["--no-sync", "--pgdata"])
        .arg(&data));
    if let Err(error) = made {
        fs::remove_dir_all(folder.path())?;
        return Err(error);
    }
    let setting = |setting: &str| ["-c".to_owned(), setting.to_owned()];
    let mut command = vec![
        programs.join("postgres").display().to_string(),
        "-D".to_owned(),
        data.display().to_string(),
        "-p".to_owned(),
        address.port().to_string(),
    ];
    command.extend(setting("listen_addresses=127.0.0.1"));
    command.extend(setting("unix_socket_directories="));
    // The tests kill the server, but do not cut the power.
    command.extend(setting("fsync=off"));
    // On SIGQUIT it ends without waiting for its clients.
    Server::start(folder, address, command, "QUIT", |address| {
        postgres::Config::from(config(address))
            .connect(postgres::NoTls)
            .is_ok()
    })
}

/// Returns the configuration of a client.
pub(crate) fn config(address: SocketAddr) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config
        .host("127.0.0.1")
        .port(address.port())
        .user("postgres")
        .dbname("postgres");
    config
}

/// Returns the folder of the newest version's programs, which Debian keeps out of `PATH`.
fn programs() -> Option<PathBuf> {
    let version = |path: &Path| -> u32 {
        let name = path.parent().and_then(Path::file_name);
        name.and_then(|name| name.to_str())
            .and_then(|name| name.parse().ok())
            .unwrap_or(0)
    };
    let debian = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian
        .map(|version| version.path().join("bin"))
        .chain(std::env::split_paths(&path))
        .filter(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .max_by_key(|folder| version(folder))
}
