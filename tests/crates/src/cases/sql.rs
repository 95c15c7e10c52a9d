//! Databases.

use ::postgres::NoTls;
use ::redis::ConnectionLike;
use go_runtime::block_on;

use super::Task;
use crate::recipes::redis_net::NetConnection;
use crate::world::{Wait, World};

pub(super) fn postgres(world: &'static World) -> Task {
    // A client also blocks when it connects, and when it is dropped.
    let client = go_runtime::blocking(|| world.client());
    Box::new(move |wait| {
        let mut client = client;
        let rows = client.simple_query(&wait.sql()).unwrap();
        assert!(!rows.is_empty());
    })
}

pub(super) fn tokio_postgres(world: &'static World) -> Task {
    let config = world.postgresql();
    let client = block_on(async move {
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    });
    Box::new(move |wait| {
        let rows = block_on(async { client.simple_query(&wait.sql()).await.unwrap() });
        assert!(!rows.is_empty());
    })
}

#[cfg(feature = "sqlx")]
pub(super) fn sqlx(world: &'static World) -> Task {
    use ::sqlx::{Connection, Executor, postgres::PgConnectOptions, postgres::PgConnection};
    let port = world.postgresql().get_ports()[0];
    let options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username("postgres")
        .database("postgres");
    let mut connection = block_on(async { PgConnection::connect_with(&options).await.unwrap() });
    Box::new(move |wait| {
        let sql = wait.sql();
        let rows = block_on(async { connection.fetch_all(&*sql).await.unwrap() });
        assert_eq!(rows.len(), 1);
    })
}

fn pop(connection: &mut impl ConnectionLike, wait: &Wait) {
    let mut command = ::redis::cmd("BLPOP");
    let command = command.arg(wait.key()).arg(wait.seconds());
    let popped: Option<(String, u32)> = command.query(connection).unwrap();
    match wait {
        Wait::Time => assert_eq!(popped, None),
        Wait::Gate(..) => assert_eq!(popped, Some((wait.key(), 1))),
    }
}

pub(super) fn redis(world: &'static World) -> Task {
    let client = ::redis::Client::open(format!("redis://{}", world.redis())).unwrap();
    let connection = go_runtime::blocking(|| client.get_connection().unwrap());
    Box::new(move |wait| pop(&mut { connection }, wait))
}

pub(super) fn redis_net(world: &'static World) -> Task {
    let connection = NetConnection::connect(world.redis()).unwrap();
    Box::new(move |wait| pop(&mut { connection }, wait))
}

pub(super) fn rusqlite(_: &'static World) -> Task {
    let connection = ::rusqlite::Connection::open_in_memory().unwrap();
    Box::new(move |wait| {
        // Stands for a slow query: SQLite uses only the caller's time.
        let wait = wait.clone();
        let flags = ::rusqlite::functions::FunctionFlags::SQLITE_UTF8;
        connection
            .create_scalar_function("wait", 0, flags, move |_| {
                wait.block();
                Ok(42)
            })
            .unwrap();
        let answer: i32 = connection
            .query_row("SELECT wait()", [], |row| row.get(0))
            .unwrap();
        assert_eq!(answer, 42);
    })
}
