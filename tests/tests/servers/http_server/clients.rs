//! Clients that disappear, stall, are too many, or do nothing at all: the server goes on, and loses
//! no resources to them.

use std::thread;
use std::time::Duration;

use crate::http_server::{GET, lives, with_server};

use go_tests::support::{client::Client, server::Server};

#[test]
fn clients_that_go() {
    with_server(&[], |server| {
        lives(server);
        let before = server.sockets();
        // The client shuts down only its writing side, so there is an answer.
        let mut client = Client::new(server.address);
        assert_eq!(client.send(GET).close_half().answer().status, 200);
        client.is_at_its_end();
        for part in [
            "GET / HTT",
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
        ] {
            let mut client = Client::new(server.address);
            let answer = client.send(part).close_half().answer();
            assert_eq!(answer.status, 400);
            client.is_at_its_end();
        }
        for round in 0..100 {
            let mut client = Client::new(server.address);
            match round % 5 {
                0 => client.send("GET / HTT"),
                1 => client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"),
                2 => client.send(GET.repeat(100)),
                3 => client.send("GET /slow?ms=20 HTTP/1.1\r\nHost: x\r\n\r\n"),
                _ => &mut client,
            };
            if round % 2 == 0 {
                client.reset();
            }
        }
        lives(server);
        server.wait_for_sockets(before);
    });
}

/// A client that sends a byte now and then is cut off all the same.
#[test]
fn slow_clients_are_cut_off() {
    let limits = [
        "--header-timeout-ms",
        "300",
        "--body-timeout-ms",
        "300",
        "--idle-timeout-ms",
        "100",
    ];
    let trickle = |client: &mut Client, byte: &str| {
        while !client.has_news(Duration::from_millis(10)) {
            client.try_send(byte);
        }
    };
    with_server(&limits, |server| {
        let post = "POST /echo HTTP/1.1\r\nHost: x\r\n";
        for (beginning, byte) in [
            ("GET / HTTP/1.1\r\nA: ".to_owned(), "a"),
            ("GET / HTTP/1.1\r\n".to_owned(), "a: b\r\n"),
            (format!("{post}Content-Length: 100000\r\n\r\n"), "a"),
            (
                format!("{post}Transfer-Encoding: chunked\r\n\r\n"),
                "1\r\na\r\n",
            ),
        ] {
            let mut client = Client::new(server.address);
            trickle(client.send(&beginning), byte);
            let answer = client.answer();
            assert!(answer.status == 408 && answer.closes(), "{answer:?}");
            client.is_at_its_end();
        }
        // A client that has sent nothing gets no answer.
        Client::new(server.address).is_at_its_end();
        let mut client = Client::new(server.address);
        assert_eq!(client.send(GET).answer().status, 200);
        client.is_at_its_end();
        lives(server);
    });
}

/// The server does not wait for a client that reads no answers.
#[test]
fn clients_that_do_not_read() {
    with_server(&["--write-timeout-ms", "200"], |server| {
        lives(server);
        let before = server.sockets();
        let mut client = Client::new(server.address);
        let body = "b".repeat(1 << 20);
        let post =
            format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n{body}");
        // Sends until the server has closed the connection. A body is larger than the buffers of
        // both sides.
        while client.try_send(&post) {}
        server.wait_for_sockets(before);
    });
}

#[test]
fn without_file_descriptors_it_waits_for_some() {
    for workers in ["1", "4"] {
        let server = Server::start_with_fds("http_server", 40, workers);
        let clients: Vec<_> = (0..100).map(|_| Client::new(server.address)).collect();
        server.says("trying again");
        drop(clients);
        for _ in 0..10 {
            lives(&server);
        }
        server.signal(libc::SIGINT);
        let stopped = server.ended();
        assert_eq!(stopped.status.code(), Some(0));
        // One burst is reported in one line. (If the machine stalls for seconds it may look like
        // two bursts.)
        assert!(stopped.errors.len() <= 2, "{:?}", stopped.errors);
    }
}

#[test]
fn idle_connections_cost_no_time() {
    let server = Server::start("http_server", &[], "2");
    let mut clients: Vec<_> = (0..20).map(|_| Client::new(server.address)).collect();
    for client in &mut clients {
        assert_eq!(client.send(GET).answer().status, 200);
    }
    let before = server.cpu_time();
    // This is not a wait for an event: the test measures the CPU time of this second.
    thread::sleep(Duration::from_secs(1));
    let used = server.cpu_time() - before;
    assert!(used < Duration::from_millis(500), "{used:?} of a second");
    server.stop();
}

/// Twenty thousand clients, or as many as the system has descriptors for, each get an answer and
/// then stay silent. When the last one has come all are still connected, and others are served
/// beside them. In the end no trace of them is left.
#[cfg(target_os = "linux")]
#[test]
fn very_many_idle_connections() {
    const CLIENTS: u32 = 20_000;
    const OTHERS: u32 = 200;

    let files = raise_limit_of_files((CLIENTS + OTHERS).into());
    let files = u32::try_from(files).unwrap_or(u32::MAX);
    let count = files.saturating_sub(OTHERS).min(CLIENTS);
    if count < CLIENTS {
        eprintln!("only {count} clients: the limit of files is {files}");
    }
    let server = Server::start_with_fds("http_server", files, "2");
    lives(&server);
    let before = server.sockets();
    let mut clients: Vec<_> = (0..count)
        .map(|number| {
            let mut client = Client::one_of_many(number, server.address);
            assert_eq!(client.send(GET).answer().status, 200);
            client
        })
        .collect();
    assert!(server.sockets() >= count as usize);
    lives(&server);
    for client in clients.iter_mut().step_by(97) {
        assert_eq!(client.send(GET).answer().status, 200);
    }
    // The clients reset their connections, so that the system does not keep the addresses in use
    // for a while.
    clients.into_iter().for_each(Client::reset);
    server.wait_for_sockets(before);
    lives(&server);
    server.stop();
}

/// Raises the limit of open files of this process, and of those that it starts, to `wanted` if the
/// system permits that. Returns the limit.
#[cfg(target_os = "linux")]
fn raise_limit_of_files(wanted: u64) -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `getrlimit` only writes to `limit`, which is valid for that.
    let asked = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    assert_eq!(asked, 0);
    if limit.rlim_cur >= wanted {
        return limit.rlim_cur;
    }
    // Only a privileged process may exceed the hard limit.
    for most in [limit.rlim_max.max(wanted), limit.rlim_max] {
        let raised = libc::rlimit {
            rlim_cur: wanted.min(most),
            rlim_max: most,
        };
        // SAFETY: `setrlimit` only reads `raised`, which is valid.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) } == 0 {
            return raised.rlim_cur;
        }
    }
    limit.rlim_cur
}
