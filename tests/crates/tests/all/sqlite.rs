//! SQLite, as a program uses a library that only blocks: through `blocking`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use go_crates::world::World;
use go_runtime::{blocking, go, scope};
use rusqlite::Connection;

use crate::Named;

pub(crate) const ALL: &[Named] = &[(
    "a hundred goroutines write into one SQLite file",
    &[],
    written_by_a_hundred,
)];

/// A folder that is removed when the test ends.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(60))?;
    // The file need not survive a loss of power.
    connection.pragma_update(None, "synchronous", "OFF")?;
    Ok(connection)
}

fn written_by_a_hundred(_: &'static World) {
    let folder = Folder(env::temp_dir().join(format!("go-crates-sqlite-{}", process::id())));
    fs::create_dir(&folder.0).unwrap();
    let path = &folder.0.join("test.db");
    let table = "CREATE TABLE numbers (n INTEGER PRIMARY KEY, square INTEGER)";
    blocking(|| open(path)?.execute_batch(table)).unwrap();
    scope(|s| {
        for n in 0..100_i64 {
            go!(s; move || {
                // Threads of the pool open, use and close the connection, and these may differ.
                let mut connection = blocking(|| open(path)).unwrap();
                let insert = "INSERT INTO numbers VALUES (?1, ?2)";
                // A `&Connection` may not go to another thread, but a `&mut Connection` may.
                let unshared = &mut connection;
                let added = blocking(move || unshared.execute(insert, (n, n * n)));
                assert_eq!(added, Ok(1));
                blocking(move || drop(connection));
            });
        }
    });
    let query = "SELECT count(*), sum(square) FROM numbers";
    let (count, sum): (i64, i64) =
        blocking(|| open(path)?.query_row(query, (), |row| Ok((row.get(0)?, row.get(1)?))))
            .unwrap();
    assert_eq!((count, sum), (100, 99 * 100 * 199 / 6));
}
