//! The example `redis_server`: what it answers, whom it refuses, and how it stops. Clients are threads with plain sockets, redis-cli, and
//! redis-benchmark.
#![cfg(target_os = "linux")]

#[path = "support/client.rs"]
mod client;
#[path = "support/programs.rs"]
mod programs;
#[path = "support/server.rs"]
mod server;
#[path = "support/tools.rs"]
mod tools;

use std::process::Command;
use std::thread;

use client::Client;
use server::Server;
use tools::is_installed;

/// Tries it with 1 worker and with as many as there are CPUs. The server ends well each time, and complains about nothing.
fn with_server(test: impl Fn(&Server)) {
    for workers in ["1", ""] {
        let server = Server::start("redis_server", &[], workers);
        test(&server);
        server.stop();
    }
}

/// A request as clients write it.
fn request<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words.iter().map(AsRef::as_ref) {
        request.extend(format!("${}\r\n", word.len()).bytes());
        request.extend(word);
        request.extend(b"\r\n");
    }
    request
}

/// The request of these words, without spaces in them.
fn words(text: &str) -> Vec<u8> {
    request(&text.split(' ').collect::<Vec<_>>())
}

/// The next reply, as it is written but for `|` in place of the ends of lines. Only for strings without them.
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
const NO_INTEGER: &str = "-ERR value is not an integer or out of range";

#[test]
fn commands() {
    let dialogue = [
        ("PING", "+PONG"),
        ("ping hello", "$5|hello"),
        ("ECHO hello", "$5|hello"),
        ("SELECT 0", "+OK"),
        ("SELECT 1", "-ERR DB index is out of range"),
        ("CONFIG GET save", "*2|$4|save|$0|"),
        ("CONFIG GET appendonly", "*2|$10|appendonly|$2|no"),
        ("CONFIG GET nothing", "*0"),
        ("COMMAND DOCS", "*0"),
        // Strings and numbers.
        ("GET a", "$-1"),
        ("SET a 1", "+OK"),
        ("get a", "$1|1"),
        ("SET a 2 NX", "$-1"),
        ("SET b 2 XX", "$-1"),
        ("SET a 3 xx", "+OK"),
        ("GETSET a 4", "$1|3"),
        ("GETSET z 4", "$-1"),
        ("INCR a", ":5"),
        ("DECR a", ":4"),
        ("INCRBY a -14", ":-10"),
        ("DECRBY a 10", ":-20"),
        ("INCR new", ":1"),
        ("INCRBY a 1.5", NO_INTEGER),
        ("SET a 9223372036854775807", "+OK"),
        ("INCR a", "-ERR increment or decrement would overflow"),
        (
            "DECRBY a -9223372036854775808",
            "-ERR increment or decrement would overflow",
        ),
        ("SET a 05", "+OK"),
        ("INCR a", NO_INTEGER),
        ("APPEND a x", ":3"),
        ("APPEND b yz", ":2"),
        ("MSET c 1 d 2", "+OK"),
        (
            "MSET c 1 d",
            "-ERR wrong number of arguments for 'mset' command",
        ),
        ("MGET a c nothing d", "*4|$3|05x|$1|1|$-1|$1|2"),
        ("EXISTS a b a nothing", ":3"),
        ("DEL a b nothing", ":2"),
        ("DBSIZE", ":4"),
        // Times.
        ("TTL c", ":-1"),
        ("TTL nothing", ":-2"),
        ("EXPIRE nothing 100", ":0"),
        ("EXPIRE c 100", ":1"),
        ("TTL c", ":100"),
        ("PERSIST c", ":1"),
        ("PTTL c", ":-1"),
        ("SET c 1 EX 1000", "+OK"),
        ("TTL c", ":1000"),
        ("INCR c", ":2"),
        ("TTL c", ":1000"),
        ("SET c 1", "+OK"),
        ("TTL c", ":-1"),
        ("EXPIRE c -1", ":1"),
        ("GET c", "$-1"),
        ("SET c 1 PX 0", "-ERR invalid expire time in 'set' command"),
        (
            "SET c 1 EX 9223372036854775807",
            "-ERR invalid expire time in 'set' command",
        ),
        ("EXPIRE d 9223372036854775807", "-ERR invalid expire time"),
        ("SET c 1 EX x", NO_INTEGER),
        ("SET c 1 EX", "-ERR syntax error"),
        ("SET c 1 NX XX", "-ERR syntax error"),
        ("SET c 1 EX 1 PX 1", "-ERR syntax error"),
        // Lists.
        ("RPUSH l c d e", ":3"),
        ("LPUSH l b a", ":5"),
        ("LLEN l", ":5"),
        ("LRANGE l 0 -1", "*5|$1|a|$1|b|$1|c|$1|d|$1|e"),
        ("LRANGE l 1 2", "*2|$1|b|$1|c"),
        ("LRANGE l -2 100", "*2|$1|d|$1|e"),
        ("LRANGE l -100 0", "*1|$1|a"),
        ("LRANGE l 3 1", "*0"),
        ("LRANGE l 9 9", "*0"),
        ("LRANGE l 0 -100", "*0"),
        (
            "LRANGE l -9223372036854775808 9223372036854775807",
            "*5|$1|a|$1|b|$1|c|$1|d|$1|e",
        ),
        ("LRANGE nothing 0 -1", "*0"),
        ("LRANGE l a b", NO_INTEGER),
        ("LPOP l", "$1|a"),
        ("RPOP l", "$1|e"),
        ("LPOP nothing", "$-1"),
        ("GET l", WRONG_TYPE),
        ("INCR l", WRONG_TYPE),
        ("SADD l a", WRONG_TYPE),
        ("MGET l", "*1|$-1"),
        ("SET l a", "+OK"),
        ("LPUSH l a", WRONG_TYPE),
        // Sets and hashes.
        ("SADD s a a b", ":2"),
        ("SADD s b", ":0"),
        ("SCARD s", ":2"),
        ("SPOP nothing", "$-1"),
        ("HSET h f 1 g 2", ":2"),
        ("HSET h f 3 i 4", ":1"),
        (
            "HSET h f 3 i",
            "-ERR wrong number of arguments for 'hset' command",
        ),
        ("HGET h f", "$1|3"),
        ("HGET h nothing", "$-1"),
        ("HGET s a", WRONG_TYPE),
        // What is not there.
        ("GET", "-ERR wrong number of arguments for 'get' command"),
        (
            "GET a b",
            "-ERR wrong number of arguments for 'get' command",
        ),
        ("FLY away", "-ERR unknown command 'FLY'"),
        ("FLUSHALL", "+OK"),
        ("DBSIZE", ":0"),
    ];
    with_server(|server| {
        let mut client = Client::new(server.address);
        for (text, expected) in dialogue {
            assert_eq!(ask(&mut client, text), expected, "{text}");
        }
        // What is popped last takes its key with it.
        ask(&mut client, "SADD s a b");
        let mut popped = [ask(&mut client, "SPOP s"), ask(&mut client, "SPOP s")];
        popped.sort();
        assert_eq!(popped, ["$1|a", "$1|b"]);
        assert_eq!(ask(&mut client, "EXISTS s"), ":0");
        // A time that passes.
        assert_eq!(ask(&mut client, "SET t 1 PX 20"), "+OK");
        while ask(&mut client, "EXISTS t") == ":1" {
            thread::yield_now();
        }
        assert_eq!(ask(&mut client, "TTL t"), ":-2");
        assert_eq!(ask(&mut client, "SET t 1 NX"), "+OK");
        // People type.
        client.send("set a  b\r\nGET\ta\n\r\nquit\r\n");
        let replies: Vec<_> = (0..3).map(|_| reply(&mut client)).collect();
        assert_eq!(replies, ["+OK", "$1|b", "+OK"]);
        client.is_at_its_end();
    });
}

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
        // An error that quotes them is one line all the same, and no more than that.
        client.send(request(&["\r\n+OK\r\n"]));
        assert_eq!(reply(&mut client), "-ERR unknown command '  +OK  '");
        client.send(request(&["x".repeat(100_000)]));
        let error = reply(&mut client);
        assert!(error.len() < 200, "{error}");
    });
}

/// Bytes that come one by one, and in two parts split at every place.
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
            // All in one write: one read has it all, since a packet of the loopback device holds 64 KiB.
            let batch: Vec<_> = (0..100).map(|n| format!("ECHO {round}.{n}\r\n")).collect();
            let got = client.send(batch.concat()).read_once();
            let texts: Vec<_> = (0..100).map(|n| format!("{round}.{n}")).collect();
            let expected: String = texts
                .iter()
                .map(|text| format!("${}\r\n{text}\r\n", text.len()))
                .collect();
            assert_eq!(String::from_utf8(got).unwrap(), expected);
        }
        // More than fits anywhere, from a client that reads meanwhile.
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
            // What was asked before is answered, and what follows is not looked at.
            let mut client = Client::new(server.address);
            client.try_send(format!("PING\r\n{bytes}PING\r\n"));
            assert_eq!(reply(&mut client), "+PONG");
            let error = format!("-ERR Protocol error: {why}");
            assert_eq!(reply(&mut client), error, "{bytes:?}");
            client.is_at_its_end();
        }
        // Arrays of nothing ask for nothing.
        let mut client = Client::new(server.address);
        client.send("*0\r\n*-1\r\n\r\n");
        assert_eq!(ask(&mut client, "PING"), "+PONG");
        drop(client);
        server.wait_for_sockets(before);
    });
}

/// What clients say that they will send costs no memory before they have.
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

/// A short request can ask for more than there is memory.
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
        // Half of it: there are answers to what was complete.
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
fn subscribers() {
    with_server(|server| {
        let mut publisher = Client::new(server.address);
        assert_eq!(ask(&mut publisher, "PUBLISH a x"), ":0");
        let before = server.sockets();
        let mut both = Client::new(server.address);
        // What was asked before comes before.
        both.send([words("PING"), words("SUBSCRIBE a b"), words("PING")].concat());
        let replies: Vec<_> = (0..4).map(|_| reply(&mut both)).collect();
        assert_eq!(
            replies,
            [
                "+PONG",
                "*3|$9|subscribe|$1|a|:1",
                "*3|$9|subscribe|$1|b|:2",
                "*2|$4|pong|$0|"
            ]
        );
        let mut one = Client::new(server.address);
        assert_eq!(ask(&mut one, "SUBSCRIBE a"), "*3|$9|subscribe|$1|a|:1");
        for n in 0..500 {
            assert_eq!(ask(&mut publisher, &format!("PUBLISH a {n:03}")), ":2");
            assert_eq!(ask(&mut publisher, &format!("PUBLISH b {n:03}")), ":1");
        }
        for n in 0..500 {
            let message = |channel| format!("*3|$7|message|$1|{channel}|$3|{n:03}");
            assert_eq!(reply(&mut one), message("a"));
            assert_eq!(reply(&mut both), message("a"));
            assert_eq!(reply(&mut both), message("b"));
        }
        // Other commands have to wait.
        let error = ask(&mut both, "GET a");
        assert!(error.starts_with("-ERR Can't execute 'get'"), "{error}");
        assert_eq!(ask(&mut both, "SUBSCRIBE a"), "*3|$9|subscribe|$1|a|:2");
        assert_eq!(
            ask(&mut both, "UNSUBSCRIBE a"),
            "*3|$11|unsubscribe|$1|a|:1"
        );
        assert_eq!(ask(&mut publisher, "PUBLISH a x"), ":1");
        assert_eq!(reply(&mut one), "*3|$7|message|$1|a|$1|x");
        both.send([words("UNSUBSCRIBE"), words("GET a"), words("UNSUBSCRIBE")].concat());
        assert_eq!(reply(&mut both), "*3|$11|unsubscribe|$1|b|:0");
        assert_eq!(reply(&mut both), "$-1");
        assert_eq!(reply(&mut both), "*3|$11|unsubscribe|$-1|:0");
        assert_eq!(ask(&mut both, "SUBSCRIBE c"), "*3|$9|subscribe|$1|c|:1");
        // A long list, in one batch.
        let names: Vec<_> = (0..5000).map(|n| format!("c{n}")).collect();
        both.send(words(&format!("SUBSCRIBE {}", names.join(" "))));
        for n in 0..5000 {
            assert!(reply(&mut both).ends_with(&format!("|c{n}|:{}", n + 2)));
        }
        assert_eq!(ask(&mut both, "QUIT"), "+OK");
        both.is_at_its_end();
        drop(one);
        server.wait_for_sockets(before);
        assert_eq!(ask(&mut publisher, "PUBLISH a x"), ":0");
    });
}

/// Nobody waits for a subscriber that does not read.
#[test]
fn slow_subscribers_are_dropped() {
    with_server(|server| {
        let mut publisher = Client::new(server.address);
        let mut reader = Client::new(server.address);
        assert_eq!(ask(&mut reader, "SUBSCRIBE a"), "*3|$9|subscribe|$1|a|:1");
        let before = server.sockets();
        let mut slow = Client::new(server.address);
        assert_eq!(ask(&mut slow, "SUBSCRIBE a"), "*3|$9|subscribe|$1|a|:1");
        let text = "x".repeat(1 << 20);
        let message = words(&format!("PUBLISH a {text}"));
        let received = format!("*3|$7|message|$1|a|$1048576|{text}");
        let mut sent = 0;
        loop {
            let told = reply(publisher.send(&message));
            assert!(reply(&mut reader) == received);
            if told == ":1" {
                break;
            }
            assert_eq!(told, ":2");
            sent += 1;
            assert!(sent < 200, "it is still waited for");
        }
        server.wait_for_sockets(before);
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
