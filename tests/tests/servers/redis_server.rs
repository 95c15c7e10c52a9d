//! The example `redis_server`: its replies, the clients that it refuses, and how it stops. Clients
//! are threads with plain sockets, redis-cli, and redis-benchmark.
#![cfg(target_os = "linux")]

mod commands;
mod subscribers;

use std::process::Command;
use std::thread;

use go_tests::support::{client::Client, programs, server::Server, tools::is_installed};

/// Runs the test with 1 worker and with one for each CPU. The server must end well each time, and
/// print no error.
fn with_server(test: impl Fn(&Server)) {
    for workers in ["1", ""] {
        let server = Server::start("redis_server", &[], workers);
        test(&server);
        server.stop();
    }
}

/// Returns a request as clients write it.
fn request<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words.iter().map(AsRef::as_ref) {
        request.extend(format!("${}\r\n", word.len()).bytes());
        request.extend(word);
        request.extend(b"\r\n");
    }
    request
}

/// Returns the request of these words, which contain no spaces.
fn words(text: &str) -> Vec<u8> {
    request(&text.split(' ').collect::<Vec<_>>())
}

/// Reads the next reply, and returns its text with `|` in place of each line's end. The reply's
/// strings must not contain such ends.
fn reply(client: &mut Client) -> String {
    let line = client.line();
    let (kind, rest) = line.split_at(1);
    let parts = match kind {
        "$" if rest != "-1" => 1,
        "*" => rest.parse().expect("a length"),
        _ => 0,
    };
    let mut whole = line.clone();
    for _ in 0..parts {
        let part = match kind {
            "$" => client.line(),
            _ => reply(client),
        };
        whole += "|";
        whole += &part;
    }
    whole
}

fn ask(client: &mut Client, text: &str) -> String {
    reply(client.send(words(text)))
}

fn lives(server: &Server) {
    assert_eq!(ask(&mut Client::new(server.address), "PING"), "+PONG");
}

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

#[test]
fn values_are_bytes() {
    let all: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    with_server(|server| {
        let mut client = Client::new(server.address);
        for value in [&all, &large] {
            client.send(request(&[b"SET", &all[..], value]));
            assert_eq!(reply(&mut client), "+OK");
            client.send(request(&[b"GET", &all[..]]));
            let expected = [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat();
            assert!(client.bytes(expected.len()) == expected);
        }
        // An error that quotes line ends is still one line.
        client.send(request(&["\r\n+OK\r\n"]));
        assert_eq!(reply(&mut client), "-ERR unknown command '  +OK  '");
        client.send(request(&["x".repeat(100_000)]));
        let error = reply(&mut client);
        assert!(error.len() < 200, "{error}");
    });
}

/// The bytes come one by one, and in two parts split at every place.
#[test]
fn requests_may_come_in_pieces() {
    let bytes = [
        words("SET key value"),
        b"GET key\r\n".to_vec(),
        words("DEL key"),
    ]
    .concat();
    let replies = b"+OK\r\n$5\r\nvalue\r\n:1\r\n";
    with_server(|server| {
        let mut client = Client::new(server.address);
        for byte in &bytes {
            client.send([*byte]);
        }
        assert_eq!(client.bytes(replies.len()), replies);
        for at in 1..bytes.len() {
            client.send(&bytes[..at]).send(&bytes[at..]);
            assert_eq!(client.bytes(replies.len()), replies, "{at}");
        }
    });
}

#[test]
fn a_batch_is_answered_in_order_and_at_once() {
    with_server(|server| {
        let mut client = Client::new(server.address);
        for round in 0..20 {
            // A single write, which one read returns whole, because a packet of the loopback device
            // holds 64 KiB.
            let batch: Vec<_> = (0..100).map(|n| format!("ECHO {round}.{n}\r\n")).collect();
            let got = client.send(batch.concat()).read_once();
            let texts: Vec<_> = (0..100).map(|n| format!("{round}.{n}")).collect();
            let expected: String = texts
                .iter()
                .map(|text| format!("${}\r\n{text}\r\n", text.len()))
                .collect();
            assert_eq!(String::from_utf8(got).unwrap(), expected);
        }
        // Sends more than all buffers hold, from a client that reads at the same time.
        let many = words("INCR n").repeat(20_000);
        let mut sender = Client {
            stream: client.stream.try_clone().unwrap(),
            unread: Vec::new(),
        };
        let sending = thread::spawn(move || {
            sender.send(many);
        });
        for n in 1..=20_000 {
            assert_eq!(client.line(), format!(":{n}"));
        }
        sending.join().unwrap();
    });
}

#[test]
fn what_cannot_be_understood_is_refused() {
    let long_line = "a".repeat(20_000);
    let cases = [
        ("*1048577\r\n", "invalid multibulk length"),
        ("*99999999999999999999\r\n", "invalid multibulk length"),
        ("*x\r\n", "invalid multibulk length"),
        ("*1.5\r\n", "invalid multibulk length"),
        ("*1\r\n$-1\r\n", "invalid bulk length"),
        ("*1\r\n$-9223372036854775808\r\n", "invalid bulk length"),
        ("*1\r\n$99999999999\r\n", "invalid bulk length"),
        ("*1\r\n$9223372036854775807\r\n", "invalid bulk length"),
        ("*1\r\n$x\r\n", "invalid bulk length"),
        ("*2\r\n$1\r\na\r\n$67108864\r\n", "too big request"),
        ("*1\r\n:1\r\n", "expected '$'"),
        ("*1\r\nPING\r\n", "expected '$'"),
        ("*1\r\n$1\r\nabc\r\n", "expected CRLF after a bulk string"),
        (
            "*11111111111111111111111111111111111111111",
            "too long a length",
        ),
        (&*long_line, "too big inline request"),
    ];
    with_server(|server| {
        lives(server);
        let before = server.sockets();
        for (bytes, why) in cases {
            // The requests before the error are answered, and those after it are not read.
            let mut client = Client::new(server.address);
            client.try_send(format!("PING\r\n{bytes}PING\r\n"));
            assert_eq!(reply(&mut client), "+PONG");
            let error = format!("-ERR Protocol error: {why}");
            assert_eq!(reply(&mut client), error, "{bytes:?}");
            client.is_at_its_end();
        }
        // Empty arrays are no requests.
        let mut client = Client::new(server.address);
        client.send("*0\r\n*-1\r\n\r\n");
        assert_eq!(ask(&mut client, "PING"), "+PONG");
        drop(client);
        server.wait_for_sockets(before);
    });
}

/// A length that a client has announced takes no memory before the data comes.
#[test]
fn promises_cost_nothing() {
    with_server(|server| {
        lives(server);
        let before = server.memory();
        let clients: Vec<_> = (0..50)
            .map(|n| {
                let mut client = Client::new(server.address);
                client.send(match n % 2 {
                    0 => "PING\r\n*1048576\r\n$67000000\r\n",
                    _ => "PING\r\n*2\r\n$3\r\nGET\r\n$67000000\r\nabc",
                });
                assert_eq!(reply(&mut client), "+PONG");
                client
            })
            .collect();
        lives(server);
        let more = server.memory().saturating_sub(before);
        assert!(more < 32 << 20, "{more} bytes for {}", clients.len());
    });
}

/// A short request can ask for a reply larger than the memory.
#[test]
fn a_reply_has_a_limit() {
    let server = Server::start("redis_server", &[], "2");
    let mut client = Client::new(server.address);
    client.send(request(&[
        b"SET".to_vec(),
        b"a".to_vec(),
        vec![b'x'; 1 << 20],
    ]));
    assert_eq!(reply(&mut client), "+OK");
    let mut request = String::from("*10001\r\n$4\r\nMGET\r\n");
    request += &"$1\r\na\r\n".repeat(10_000);
    client.send(&request);
    assert_eq!(reply(&mut client), "-ERR the reply would be too large");
    assert_eq!(ask(&mut client, "PING"), "+PONG");
    server.stop();
}

#[test]
fn clients_that_go() {
    with_server(|server| {
        lives(server);
        let before = server.sockets();
        // The client shuts down only its writing side: complete requests are answered.
        let mut client = Client::new(server.address);
        client.send([words("PING"), b"*1\r\n$4\r\nPI".to_vec()].concat());
        assert_eq!(reply(client.close_half()), "+PONG");
        client.is_at_its_end();
        for round in 0..100 {
            let mut client = Client::new(server.address);
            match round % 5 {
                0 => client.send("*2\r\n$3\r\nGE"),
                1 => client.send("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1000000\r\nabc"),
                2 => client.send(words("PING").repeat(1000)),
                3 => client.send(words("SUBSCRIBE a b c")),
                _ => &mut client,
            };
            if round % 2 == 0 {
                client.reset();
            }
        }
        lives(server);
        server.wait_for_sockets(before);
        let mut client = Client::new(server.address);
        assert_eq!(ask(&mut client, "PUBLISH a x"), ":0");
    });
}

#[test]
fn a_stop_ends_all() {
    for (workers, signal) in [("1", libc::SIGINT), ("", libc::SIGTERM)] {
        let server = Server::start("redis_server", &[], workers);
        let mut idle = Client::new(server.address);
        let mut half = Client::new(server.address);
        assert_eq!(reply(half.send("PING\r\n*1\r\n$4\r\nPI")), "+PONG");
        let mut subscriber = Client::new(server.address);
        ask(&mut subscriber, "SUBSCRIBE a");
        assert_eq!(ask(&mut idle, "PUBLISH a x"), ":1");
        server.signal(signal);
        assert_eq!(reply(&mut subscriber), "*3|$7|message|$1|a|$1|x");
        for client in [&mut idle, &mut half, &mut subscriber] {
            client.is_at_its_end();
        }
        let stopped = server.ended();
        assert_eq!((stopped.status.code(), stopped.errors.len()), (Some(0), 0));
    }
}

#[test]
fn arguments_that_are_refused() {
    programs::helps("redis_server");
    programs::refuses("redis_server", &["a", "b"], "usage: redis_server");
    programs::refuses("redis_server", &["--nonsense"], "usage: redis_server");
}

#[test]
fn redis_cli_gets_along_with_it() {
    if !is_installed("redis-cli") {
        return;
    }
    with_server(|server| {
        let cli = |args: &[&str]| {
            let output = Command::new("redis-cli")
                .args(["-p", &server.address.port().to_string()])
                .args(args)
                .output()
                .expect("redis-cli starts");
            assert!(output.status.success(), "{args:?}: {output:?}");
            String::from_utf8(output.stdout).expect("UTF-8")
        };
        assert_eq!(cli(&["set", "a b", "c d", "EX", "100"]), "OK\n");
        assert_eq!(cli(&["get", "a b"]), "c d\n");
        assert_eq!(cli(&["ttl", "a b"]), "100\n");
        assert_eq!(cli(&["rpush", "l", "x", "y"]), "2\n");
        assert_eq!(cli(&["lrange", "l", "0", "-1"]), "x\ny\n");
        assert_eq!(cli(&["get", "l"]).trim_end(), &WRONG_TYPE[1..]);
        assert_eq!(cli(&["-r", "50", "incr", "n"]).lines().last(), Some("50"));
    });
}

#[test]
fn redis_benchmark_gets_along_with_it() {
    if !is_installed("redis-benchmark") {
        return;
    }
    with_server(|server| {
        lives(server);
        let before = server.sockets();
        let others = "ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,mset";
        for (depth, tests, requests, lines) in [
            ("1", others, "3000", 13),
            ("16", others, "20000", 13),
            ("1", "lrange", "300", 5),
            ("16", "lrange", "1000", 5),
        ] {
            let output = Command::new("redis-benchmark")
                .args(["-p", &server.address.port().to_string()])
                .args(["-q", "-n", requests, "-c", "50", "-P", depth, "-t", tests])
                .output()
                .expect("redis-benchmark starts");
            let text = String::from_utf8_lossy(&output.stdout).replace('\r', "\n");
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{text}{errors}");
            assert!(
                !(text.clone() + &errors).to_lowercase().contains("error"),
                "{text}{errors}"
            );
            let results = text
                .lines()
                .filter(|line| line.contains(" requests per second"));
            assert_eq!(results.count(), lines, "{text}");
        }
        server.wait_for_sockets(before);
        lives(server);
    });
}
