//! The example `http_server`: its answers, the clients that it refuses, and how it stops. Clients
//! are threads with plain sockets, curl, and wrk.
#![cfg(target_os = "linux")]

mod clients;
mod refusals;

use std::io::ErrorKind;
use std::net::TcpStream;
use std::process::Command;
use std::thread;

use go_tests::support::{
    client::Client,
    server,
    server::Server,
    tools::{curl, is_installed},
};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

fn with_server(args: &[&str], test: impl Fn(&Server)) {
    server::with_one_and_four("http_server", args, test);
}

fn lives(server: &Server) {
    let answer = Client::new(server.address).send(GET).answer();
    assert_eq!(answer.body, b"hello, gopher\n");
}

#[test]
fn pages() {
    with_server(&[], |server| {
        let mut client = Client::new(server.address);
        for (request, status, body) in [
            ("GET /", 200, "hello, gopher\n"),
            ("GET /?q=1", 200, "hello, gopher\n"),
            ("GET http://x:80/", 200, "hello, gopher\n"),
            ("GET /slow?ms=1", 200, "that was slow\n"),
            (
                "GET /slow?ms=x",
                400,
                "give a number of milliseconds: /slow?ms=100\n",
            ),
            ("GET /nowhere", 404, "there is no such page\n"),
            ("DELETE /", 405, "not with this method\n"),
            ("GET /echo", 405, "not with this method\n"),
        ] {
            let request = format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n");
            let answer = client.send(&request).answer();
            assert_eq!(answer.status, status, "{request}");
            assert_eq!(String::from_utf8_lossy(&answer.body), body);
            assert!(!answer.closes());
            let date = answer.header("Date").expect("a date");
            assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
            let allow = match request.split([' ', '?']).next() {
                Some("DELETE") => Some("GET, HEAD"),
                _ if request.contains("/echo") => Some("POST"),
                _ => None,
            };
            assert_eq!(answer.header("Allow"), allow);
        }
        let time = client
            .send("GET /time HTTP/1.1\r\nHost: x\r\n\r\n")
            .answer();
        assert!(time.body.ends_with(b" GMT\n"), "{time:?}");
        let links = client
            .send("GET /links?n=7 HTTP/1.1\r\nHost: x\r\n\r\n")
            .answer();
        let links = String::from_utf8(links.body).unwrap();
        for to in [15, 16, 3] {
            assert!(links.contains(&format!("\"/links?n={to}\"")), "{links}");
        }
        // A HEAD request is answered by the head of GET's answer, and the next answer follows at
        // once.
        let head = client
            .send(format!("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n{GET}"))
            .head();
        assert_eq!(
            (head.status, head.header("Content-Length")),
            (200, Some("14"))
        );
        assert_eq!(client.answer().body, b"hello, gopher\n");
    });
}

#[test]
fn connections_are_kept() {
    with_server(&[], |server| {
        for (request, kept, says) in [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", true, None),
            (
                "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                false,
                Some("close"),
            ),
            ("GET / HTTP/1.0\r\n\r\n", false, Some("close")),
            (
                "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                true,
                Some("keep-alive"),
            ),
        ] {
            let mut client = Client::new(server.address);
            for _ in 0..if kept { 50 } else { 1 } {
                let answer = client.send(request).answer();
                assert_eq!((answer.status, answer.header("Connection")), (200, says));
            }
            if !kept {
                client.is_at_its_end();
            }
        }
    });
}

#[test]
fn pipelined_requests_are_answered_in_order_and_at_once() {
    with_server(&[], |server| {
        // A single write, which one read returns whole, because a packet of the loopback device
        // holds 64 KiB.
        let mut client = Client::new(server.address);
        for _ in 0..20 {
            let got = client.send(GET.repeat(20)).read_once();
            let text = String::from_utf8(got).unwrap();
            assert_eq!(text.matches("hello, gopher\n").count(), 20, "{text}");
        }
        let mut many = String::new();
        for n in 0..500 {
            many += &format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{n:05}");
            many += &format!(
                "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \
                 chunked\r\n\r\n5\r\n{n:05}\r\n0\r\n\r\n"
            );
        }
        client.send(&many);
        for n in 0..1000 {
            let body = client.answer().body;
            assert_eq!(String::from_utf8(body).unwrap(), format!("{:05}", n / 2));
        }
        // An answer does not wait for the slow one after it.
        client.send(format!(
            "{GET}GET /slow?ms=600000 HTTP/1.1\r\nHost: x\r\n\r\n"
        ));
        assert_eq!(client.answer().status, 200);
    });
}

/// The requests arrive byte by byte, and in two parts split at every place.
#[test]
fn requests_may_come_in_pieces() {
    let request = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3;ext=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
    let body = b"abc0123456789";
    with_server(&[], |server| {
        let mut client = Client::new(server.address);
        for byte in request.as_bytes() {
            client.send([*byte]);
        }
        assert_eq!(client.answer().body, body);
        for at in 1..request.len() {
            client.send(&request[..at]).send(&request[at..]);
            assert_eq!(client.answer().body, body, "{at}");
        }
    });
}

#[test]
fn expect_100_continue() {
    with_server(&[], |server| {
        let post = |path: &str, length: u64| {
            format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: \
                 {length}\r\n\r\n"
            )
        };
        let mut client = Client::new(server.address);
        for _ in 0..2 {
            assert_eq!(client.send(post("/echo", 5)).head().status, 100);
            assert_eq!(client.send("hello").answer().body, b"hello");
        }
        // A client that has sent the body need not be told to continue.
        let answer = client.send(post("/echo", 5) + "hello").answer();
        assert_eq!((answer.status, &*answer.body), (200, &b"hello"[..]));
        for (path, length, status) in [
            ("/nowhere", 5, 404),
            ("/", 5, 405),
            ("/echo", 1_000_000_000, 413),
        ] {
            let mut client = Client::new(server.address);
            let answer = client.send(post(path, length)).answer();
            assert!(answer.status == status && answer.closes(), "{answer:?}");
            client.is_at_its_end();
        }
    });
}

/// A body that its page does not use is skipped.
#[test]
fn bodies_that_nobody_wants() {
    with_server(&[], |server| {
        let mut client = Client::new(server.address);
        let request = "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n";
        client.send(request).send("b".repeat(100_000)).send(GET);
        assert_eq!((client.answer().status, client.answer().status), (404, 200));
    });
}

#[test]
fn a_stop_lets_requests_end() {
    for (workers, signal) in [("1", libc::SIGINT), ("4", libc::SIGTERM)] {
        let server = Server::start("http_server", &[], workers);
        let mut idle = Client::new(server.address);
        assert_eq!(idle.send(GET).answer().status, 200);
        let mut fresh = Client::new(server.address);
        let mut upload = Client::new(server.address);
        upload.send(
            "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n",
        );
        assert_eq!(upload.head().status, 100);
        let mut slow = Client::new(server.address);
        slow.send(format!(
            "{GET}GET /slow?ms=600000 HTTP/1.1\r\nHost: x\r\n\r\n"
        ));
        assert_eq!(slow.answer().status, 200);

        upload.send("abc");
        server.signal(signal);
        idle.is_at_its_end();
        fresh.is_at_its_end();
        let answer = slow.answer();
        assert!(answer.status == 503 && answer.closes(), "{answer:?}");
        slow.is_at_its_end();
        // While the server waits for the request that has begun, it accepts no new connection.
        let refused = loop {
            match TcpStream::connect(server.address) {
                // The server accepted this connection just before it stopped.
                Ok(_) => thread::yield_now(),
                Err(error) => break error.kind(),
            }
        };
        assert_eq!(refused, ErrorKind::ConnectionRefused);
        let answer = upload.send("def").answer();
        assert!(answer.status == 200 && answer.closes(), "{answer:?}");
        assert_eq!(answer.body, b"abcdef");
        upload.is_at_its_end();
        let stopped = server.ended();
        assert_eq!((stopped.status.code(), stopped.errors.len()), (Some(0), 0));
    }
}

/// Requests that came before the signal, or with it, are answered, as the last ones of their
/// connections.
#[test]
fn a_stop_answers_what_has_come() {
    for workers in ["1", "4"] {
        let server = Server::start("http_server", &[], workers);
        let mut clients: Vec<_> = (0..20).map(|_| Client::new(server.address)).collect();
        for client in &mut clients {
            assert_eq!(client.send(GET).answer().status, 200);
        }
        server.signal(libc::SIGSTOP);
        for client in &mut clients {
            client.send(GET);
        }
        server.signal(libc::SIGINT);
        server.signal(libc::SIGCONT);
        for client in &mut clients {
            assert_eq!(client.answer().status, 200);
            client.is_at_its_end();
        }
        assert_eq!(server.ended().status.code(), Some(0));
    }
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    let server = Server::start("http_server", &["--stop-timeout-ms", "200"], "2");
    let mut upload = Client::new(server.address);
    upload.send(
        "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n",
    );
    assert_eq!(upload.head().status, 100);
    server.signal(libc::SIGINT);
    let stopped = server.ended();
    assert_eq!(stopped.status.code(), Some(0));
    assert!(
        stopped.errors.concat().contains("cut off"),
        "{:?}",
        stopped.errors
    );
}

#[test]
fn curl_gets_along_with_it() {
    if !is_installed("curl") {
        return;
    }
    with_server(&[], |server| {
        let (root, echo) = (server.url("/"), server.url("/echo"));
        assert_eq!(curl(&[&root], b""), b"hello, gopher\n");
        let body: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
        // (curl asks for a 100 first, as the body is large.)
        assert!(curl(&["--data-binary", "@-", &echo], &body) == body);
        let chunked = [
            "-X",
            "POST",
            "-T",
            "-",
            "-H",
            "Transfer-Encoding: chunked",
            &echo,
        ];
        assert!(curl(&chunked, &body) == body);
        // Two pages over one connection.
        let said = curl(
            &[
                "-w",
                "%{num_connects}\n",
                "-o",
                "/dev/null",
                &root,
                "-o",
                "/dev/null",
                &server.url("/time"),
            ],
            b"",
        );
        assert_eq!(String::from_utf8_lossy(&said), "1\n0\n");
        let head = String::from_utf8(curl(&["-I", &root], b"")).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("\r\nContent-Length: 14\r\n"), "{head}");
        let status = ["-o", "/dev/null", "-w", "%{http_code}"];
        let missing = server.url("/nowhere");
        assert_eq!(curl(&[&status[..], &[&missing]].concat(), b""), b"404");
        let old = curl(&["--http1.0", &root], b"");
        assert_eq!(old, b"hello, gopher\n");
    });
}

#[test]
fn wrk_gets_along_with_it() {
    if !is_installed("wrk") {
        return;
    }
    with_server(&[], |server| {
        lives(server);
        let before = server.sockets();
        let output = Command::new("wrk")
            .args(["-t1", "-c50", "-d1s", &server.url("/")])
            .output()
            .expect("wrk starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        let requests = text
            .lines()
            .find_map(|line| line.trim().split_once(" requests in "))
            .and_then(|(count, _)| count.parse::<u64>().ok());
        assert!(requests.is_some_and(|count| count > 0), "{text}");
        for trouble in ["Socket errors", "Non-2xx"] {
            assert!(!text.contains(trouble), "{text}");
        }
        server.wait_for_sockets(before);
        lives(server);
    });
}
