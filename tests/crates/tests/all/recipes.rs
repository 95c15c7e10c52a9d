//! Tests of the recipes, beyond what the cases check.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use go_crates::cases;
use go_crates::pools;
use go_crates::recipes::pool::Pool;
use go_crates::recipes::redis_net::NetConnection;
use go_crates::recipes::{axum_front, ureq_net};
use go_crates::servers::http::BODY;
use go_crates::world::{Needs, Wait, World};
use go_runtime::channel::{self, RecvTimeoutError};
use go_runtime::net::{TcpListener, TcpStream};
use go_runtime::time::sleep;
use go_runtime::{block_on, blocking, go, scope};
use redis::ConnectionLike;

use crate::Named;

const FOREVER: Duration = Duration::from_secs(60);

pub(crate) const ALL: &[Named] = &[
    (
        "pool: all of more users than connections get one",
        &[],
        pools_serve_all,
    ),
    (
        "r2d2: PostgreSQL's clients are held over waits in `go!(thread; ...)`",
        &[Needs::Postgresql],
        r2d2_of_clients,
    ),
    (
        "pool: a slot comes back after panics and errors",
        &[],
        slots_come_back,
    ),
    (
        "ureq over net: connections are used again, timeouts are ureq's",
        &[],
        ureq_timeouts,
    ),
    (
        "redis over net: pipelines, transactions, errors",
        &[Needs::Redis],
        redis_pipelines,
    ),
    (
        "redis over net: broken after an I/O error",
        &[],
        redis_broken,
    ),
    (
        "axum in front: answers, panics, a graceful stop",
        &[],
        axum_stops,
    ),
    (
        "reqwest by `block_on`: twenty goroutines share a client",
        &[],
        reqwest_gets,
    ),
];

/// Each goroutine gets the answer to its own request.
fn reqwest_gets(_: &'static World) {
    const CLIENTS: usize = 20;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = |stream: std::net::TcpStream| {
        let mut lines = BufReader::new(&stream).lines().map(Result::unwrap);
        let request = lines.next().unwrap();
        let path = request.split(' ').nth(1).unwrap().to_owned();
        assert_eq!(request, format!("GET {path} HTTP/1.1"));
        lines.find(String::is_empty).unwrap();
        let length = path.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close");
        write!(&stream, "{head}\r\n\r\n{path}").unwrap();
    };
    let server = thread::spawn(move || {
        let streams = listener.incoming().take(CLIENTS).map(Result::unwrap);
        let serving: Vec<_> = streams
            .map(|stream| thread::spawn(move || answer(stream)))
            .collect();
        serving.into_iter().for_each(|one| one.join().unwrap());
    });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    scope(|s| {
        for n in 0..CLIENTS {
            let client = &client;
            go!(s; move || {
                let text = block_on(async {
                    let answer = client.get(format!("http://{address}/{n}")).send().await?;
                    assert_eq!(answer.status(), 200);
                    answer.text().await
                });
                assert_eq!(text.unwrap(), format!("/{n}"));
            });
        }
    });
    blocking(|| server.join().unwrap());
}

fn r2d2_of_clients(world: &'static World) {
    let builder = r2d2::Pool::builder()
        .max_size(4)
        .connection_timeout(FOREVER);
    // A client blocks when it connects, and when it is dropped.
    let pool = blocking(|| builder.build(pools::Postgresql(world)).unwrap());
    let users: Vec<_> = (0..16)
        .map(|number| {
            go!(thread; clone(pool) {
                let mut client = pool.get().unwrap();
                sleep(Duration::from_millis(1));
                let row = client.query_one("SELECT $1::int4 + 1", &[&number]);
                row.unwrap().get::<_, i32>(0)
            })
        })
        .collect();
    let answers: Vec<_> = users.into_iter().map(|user| user.join().unwrap()).collect();
    assert_eq!(answers, (1..=16).collect::<Vec<_>>());
    blocking(move || drop(pool));
}

fn pools_serve_all(_: &'static World) {
    assert_eq!(pools::recipe(FOREVER), (0, 80));
    assert_eq!(pools::r2d2(FOREVER, cases::thread), (0, 80));
}

fn slots_come_back(_: &'static World) {
    #[derive(Debug, PartialEq)]
    enum Error {
        Refused,
        Late,
    }
    impl From<RecvTimeoutError> for Error {
        fn from(_: RecvTimeoutError) -> Error {
            Error::Late
        }
    }
    let made = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&made);
    let connect = move || match count.fetch_add(1, Ordering::Relaxed) {
        0 => Err(Error::Refused),
        n => Ok(n),
    };
    // A connection with 100 added is closed.
    let pool = Arc::new(Pool::new(1, connect, |connection: &u32| *connection > 100));
    let take = |pool: &Pool<u32, Error>| pool.with(FOREVER, |connection| Ok(*connection));
    assert_eq!(take(&pool), Err(Error::Refused));
    assert_eq!(take(&pool), Ok(1));
    assert_eq!(take(&pool), Ok(1));
    let panicking = Arc::clone(&pool);
    let panicked = go! {
        std::panic::set_hook(Box::new(|_| {}));
        panicking.with(FOREVER, |_| -> Result<(), Error> { panic!("on purpose") })
    };
    assert!(panicked.join().is_err());
    let _ = std::panic::take_hook();
    assert_eq!(take(&pool), Ok(2));
    let closed = pool.with(FOREVER, |connection| {
        *connection += 100;
        // The only connection is in use.
        Ok(pool.with(Duration::from_millis(1), |_| Ok(())))
    });
    assert_eq!(closed, Ok(Err(Error::Late)));
    assert_eq!(take(&pool), Ok(3));
}

fn ureq_timeouts(world: &'static World) {
    let requests = go! {
        let agent = ureq_net::agent(ureq::config::Config::default());
        for _ in 0..3 {
            let mut answer = agent.get(world.url(&Wait::Time)).call().unwrap();
            assert_eq!(answer.body_mut().read_to_string().unwrap(), BODY);
        }
        let never = world.shut(Needs::Nothing);
        let request = agent.get(world.url(&never)).config();
        let late = request.timeout_global(Some(Duration::from_millis(20))).build().call();
        assert!(matches!(late, Err(ureq::Error::Timeout(_))), "{late:?}");
        world.open(&never, Needs::Nothing);
        let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let refused = agent.get(format!("http://{refused}/")).call();
        assert!(matches!(refused, Err(ureq::Error::Io(_))), "{refused:?}");
    };
    requests.join().unwrap();

    // Three requests over one connection; a server that closes it gets a new one.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = go! {
        let mut requests = Vec::new();
        for requests_of_connection in [2, 1] {
            let (mut stream, _) = listener.accept().unwrap();
            for _ in 0..requests_of_connection {
                let mut request = [0; 1024];
                let length = stream.read(&mut request).unwrap();
                requests.push(request[..length].to_vec());
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            }
        }
        requests
    };
    let client = go! {
        let agent = ureq_net::agent(ureq::config::Config::default());
        (0..3).for_each(|_| assert_eq!(agent.get(&url).call().unwrap().status(), 204));
    };
    client.join().unwrap();
    let requests = server.join().unwrap();
    assert!(
        requests
            .iter()
            .all(|request| request.starts_with(b"GET / HTTP/1.1\r\n"))
    );
}

fn redis_pipelines(world: &'static World) {
    let commands = go! {
        let mut connection = NetConnection::connect(world.redis()).unwrap();
        assert!(connection.check_connection());
        let (a, b): (u32, u32) = redis::pipe()
            .atomic()
            .del("pipelines")
            .ignore()
            .cmd("INCR").arg("pipelines")
            .cmd("INCRBY").arg("pipelines").arg(41)
            .query(&mut connection)
            .unwrap();
        assert_eq!((a, b), (1, 42));
        let big = "x".repeat(1 << 20);
        redis::cmd("SET").arg("big").arg(&big).exec(&mut connection).unwrap();
        let back: String = redis::cmd("GET").arg("big").query(&mut connection).unwrap();
        assert_eq!(back, big);
        let wrong = redis::cmd("LPOP").arg("big").query::<Option<String>>(&mut connection);
        assert_eq!(wrong.unwrap_err().code(), Some("WRONGTYPE"));
        // An error reply of the server is an answer like any other.
        assert!(connection.is_open());
        redis::cmd("DEL").arg("big").arg("pipelines").exec(&mut connection).unwrap();
    };
    commands.join().unwrap();
}

fn redis_broken(_: &'static World) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = go! {
        let mut connection = NetConnection::connect(address).unwrap();
        let cut = redis::cmd("GET").arg("a").query::<String>(&mut connection);
        assert!(cut.is_err() && !connection.is_open());
        assert!(redis::cmd("GET").arg("a").query::<String>(&mut connection).is_err());
    };
    let (mut stream, _) = listener.accept().unwrap();
    let _ = stream.read(&mut [0; 64]).unwrap();
    stream.write_all(b"$5\r\nhal").unwrap();
    drop(stream);
    client.join().unwrap();
}

fn axum_stops(_: &'static World) {
    let (stop, stopped) = channel::bounded::<()>(0);
    let (address_tx, address) = channel::bounded(1);
    let server = go! {
        block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            address_tx.send(listener.local_addr().unwrap()).unwrap();
            axum_front::serve(listener, async move { let _ = stopped.recv_async().await; }).await
        })
    };
    let address = address.recv().unwrap();
    let clients: Vec<_> = (0..8)
        .map(|number| {
            go! {
                let mut stream = TcpStream::connect(address).unwrap();
                let request = format!("GET /greet/{number} HTTP/1.0\r\nHost: a\r\n\r\n");
                stream.write_all(request.as_bytes()).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
                assert!(answer.ends_with(&format!("\r\n\r\nhello, {number}\n")), "{answer}");
            }
        })
        .collect();
    clients
        .into_iter()
        .for_each(|client| client.join().unwrap());
    drop(stop);
    server.join().unwrap().unwrap();
    assert!(TcpStream::connect(address).is_err());
}
