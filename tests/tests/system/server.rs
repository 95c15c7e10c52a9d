//! The page of `debug::serve`, over plain TCP: its paths, what it refuses, and its limits.
#![cfg(target_os = "linux")]

use std::collections::HashMap;
use std::fs;
use std::hint;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use go_runtime::debug::{self, ServeOptions};
use go_runtime::sync::{Mutex, WaitGroup};
use go_runtime::{Builder, channel, go, gomaxprocs, time, trace};

use go_tests::support::client::Client;
use go_tests::support::http::Answer;
use go_tests::support::server::Server;
use go_tests::support::{child, eventually};

/// Returns the address of a server that the tests of this process share.
fn shared() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| debug::serve("127.0.0.1:0").unwrap())
}

/// Returns the answer to a request with these lines of a head, and then the connection's end.
fn ask(address: SocketAddr, head: &str) -> Answer {
    let mut client = Client::new(address);
    client.send(format!("{head}\r\n\r\n"));
    let answer = whole(&mut client);
    client.is_at_its_end();
    answer
}

/// Reads an answer, also one whose body comes in chunks.
fn whole(client: &mut Client) -> Answer {
    let mut answer = client.head();
    if let Some(length) = answer.header("Content-Length") {
        let length = length.parse().unwrap();
        answer.body = client.bytes(length);
        return answer;
    }
    assert_eq!(answer.header("Transfer-Encoding"), Some("chunked"));
    loop {
        let size = usize::from_str_radix(&client.line(), 16).unwrap();
        answer.body.extend(client.bytes(size));
        assert_eq!(client.line(), "");
        if size == 0 {
            return answer;
        }
    }
}

fn get(address: SocketAddr, target: &str) -> Answer {
    ask(
        address,
        &format!("GET {target} HTTP/1.1\r\nHost: localhost:6060"),
    )
}

/// Returns the body of the answer to a good request.
#[track_caller]
fn body(address: SocketAddr, target: &str) -> String {
    let answer = get(address, target);
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, 200, "{target}: {body}");
    body
}

/// Returns the number of threads of the servers in this process: one, and one for each connection.
fn server_threads() -> usize {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|one| fs::read_to_string(one.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "go-debug").count()
}

#[test]
fn paths() {
    let address = shared();
    go!({}).join().unwrap();
    for (target, content_type, part) in [
        ("/", "text/html; charset=utf-8", "<!doctype html>"),
        (
            "/metrics",
            "text/plain; version=0.0.4; charset=utf-8",
            "# HELP go_sched_goroutines",
        ),
        (
            "/debug/state",
            "application/json",
            "\"metrics\":{\"goroutines\":",
        ),
        ("/debug/state?q=x", "application/json", "\"workers\":[{"),
        ("/debug/goroutines", "text/plain; charset=utf-8", ""),
        (
            "/debug/goroutines?format=text",
            "text/plain; charset=utf-8",
            "",
        ),
        (
            "/debug/goroutines?format=json",
            "application/json",
            "{\"total\":",
        ),
        (
            "/debug/group?state=chan+receive",
            "application/json",
            "{\"count\":",
        ),
        (
            "/debug/group?site=a.rs:1:2&state=running",
            "application/json",
            "\"goroutines\":[]",
        ),
        (
            "/debug/deadlocks",
            "application/json",
            "{\"available\":true,",
        ),
        ("/debug/leaks", "application/json", "{\"took\":"),
        ("/debug/dump", "text/plain; charset=utf-8", ""),
        ("/debug/dump?all=1", "text/plain; charset=utf-8", ""),
    ] {
        let answer = get(address, target);
        assert_eq!(answer.status, 200, "{target}");
        assert_eq!(
            answer.header("Content-Type"),
            Some(content_type),
            "{target}"
        );
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        let policy = answer.header("Content-Security-Policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
        assert!(answer.closes());
        let text = String::from_utf8(answer.body).unwrap();
        assert!(text.contains(part), "{target}: {text}");

        let head = format!("HEAD {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        let mut client = Client::new(address);
        let head = client.send(head).head();
        assert_eq!(
            (head.status, head.header("Content-Type")),
            (200, Some(content_type))
        );
        client.is_at_its_end();
    }
}

#[test]
fn the_page_runs_its_own_script_only() {
    let pages = [get(shared(), "/"), get(shared(), "/")];
    let nonces = pages.map(|page| {
        let policy = page.header("Content-Security-Policy").unwrap().to_owned();
        let nonce = policy
            .split("'nonce-")
            .nth(1)
            .unwrap()
            .split('\'')
            .next()
            .unwrap()
            .to_owned();
        assert!(!policy.contains("unsafe"), "{policy}");
        let text = String::from_utf8(page.body).unwrap();
        let with_nonce = [
            format!("<script nonce=\"{nonce}\">"),
            format!("<style nonce=\"{nonce}\">"),
        ];
        assert!(with_nonce.iter().all(|tag| text.contains(tag)));
        assert_eq!(
            (
                text.matches("<script").count(),
                text.matches("<style").count()
            ),
            (1, 1)
        );
        // What comes from the program never becomes markup.
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "//cdn",
        ] {
            assert!(!text.contains(word), "{word}");
        }
        nonce
    });
    assert_ne!(nonces[0], nonces[1]);
}

#[test]
fn refusals() {
    let address = shared();
    let host = "Host: localhost";
    let long = "x".repeat(9000);
    let many = "a: b\r\n".repeat(100);
    for (head, status, part) in [
        (
            format!("GET /nowhere HTTP/1.1\r\n{host}"),
            404,
            "no such path",
        ),
        (
            format!("GET /../etc/passwd HTTP/1.1\r\n{host}"),
            404,
            "no such path",
        ),
        (
            format!("GET //metrics HTTP/1.1\r\n{host}"),
            404,
            "no such path",
        ),
        (
            format!("GET /metrics/ HTTP/1.1\r\n{host}"),
            404,
            "no such path",
        ),
        (
            format!("POST / HTTP/1.1\r\n{host}"),
            405,
            "only GET and HEAD",
        ),
        (
            format!("DELETE /nowhere HTTP/1.1\r\n{host}"),
            405,
            "only GET and HEAD",
        ),
        (format!("OPTIONS * HTTP/1.1\r\n{host}"), 400, "no path"),
        (
            format!("GET http://localhost/ HTTP/1.1\r\n{host}"),
            400,
            "no path",
        ),
        (
            format!("GET / HTTP/1.1\r\n{host}\r\nContent-Length: 1"),
            400,
            "has a body",
        ),
        (
            format!("GET / HTTP/1.1\r\n{host}\r\nTransfer-Encoding: chunked"),
            400,
            "has a body",
        ),
        (format!("GET / HTTP/1.1\r\n{host}\r\n{host}"), 400, "twice"),
        (
            format!("GET / HTTP/1.1\r\n{host}\r\nbad header"),
            400,
            "no HTTP request",
        ),
        (format!("GET / HTTP/3.0\r\n{host}"), 505, "HTTP/1.1"),
        ("\u{16}\u{3}\u{1}\r\n".to_owned(), 400, "no HTTP request"),
        ("GET / HTTP/1.1".to_owned(), 400, "no Host"),
        ("GET / HTTP/1.0".to_owned(), 400, "no Host"),
        (format!("GET /{long} HTTP/1.1\r\n{host}"), 431, "8 KiB"),
        (
            format!("GET / HTTP/1.1\r\n{host}\r\n{many}x: y"),
            431,
            "64 headers",
        ),
        (
            format!("GET /?x=1 HTTP/1.1\r\n{host}"),
            400,
            "does not know",
        ),
        (
            format!("GET /debug/state?q=%zz HTTP/1.1\r\n{host}"),
            400,
            "not URL-encoded",
        ),
        (
            format!("GET /debug/state?q=a&q=b HTTP/1.1\r\n{host}"),
            400,
            "twice",
        ),
        (
            format!("GET /debug/goroutines?format=xml HTTP/1.1\r\n{host}"),
            400,
            "json or text",
        ),
        (
            format!("GET /debug/goroutines?q=a HTTP/1.1\r\n{host}"),
            400,
            "filter",
        ),
        (
            format!("GET /debug/group HTTP/1.1\r\n{host}"),
            400,
            "the state",
        ),
        (
            format!("GET /debug/group?state=a&site=b HTTP/1.1\r\n{host}"),
            400,
            "a file, a line",
        ),
        (
            format!("GET /debug/group?state=a&offset=-1 HTTP/1.1\r\n{host}"),
            400,
            "the offset",
        ),
        (
            format!("GET /debug/dump?all=yes HTTP/1.1\r\n{host}"),
            400,
            "0 or 1",
        ),
        (
            format!("GET /debug/profile?seconds=61 HTTP/1.1\r\n{host}"),
            400,
            "1 to 60",
        ),
        (
            format!("GET /debug/profile?format=x HTTP/1.1\r\n{host}"),
            400,
            "folded",
        ),
        (
            format!("GET /debug/trace?seconds=0 HTTP/1.1\r\n{host}"),
            400,
            "1 to 30",
        ),
    ] {
        let answer = ask(address, &head);
        let text = String::from_utf8(answer.body.clone()).unwrap();
        assert_eq!(answer.status, status, "{head}: {text}");
        assert!(
            text.contains(part) && text.ends_with('\n'),
            "{head}: {text}"
        );
        assert_eq!(
            answer.header("Content-Type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(
            answer.header("Allow"),
            (status == 405).then_some("GET, HEAD")
        );
        // It repeats nothing that the request has said.
        assert!(!text.contains("nowhere") && !text.contains("zz"), "{text}");
    }
}

#[test]
fn other_sites_are_refused() {
    let address = shared();
    let own = format!("127.0.0.1:{}", address.port());
    let request = |path: &str, headers: &str| {
        ask(
            address,
            &format!("GET {path} HTTP/1.1\r\nHost: {own}{headers}"),
        )
        .status
    };
    for (headers, of_page, of_work) in [
        ("", 200, 200),
        ("\r\nSec-Fetch-Site: same-origin", 200, 200),
        ("\r\nSec-Fetch-Site: none", 200, 200),
        // A link to the page is followed; it is no work.
        ("\r\nSec-Fetch-Site: cross-site", 200, 403),
        ("\r\nSec-Fetch-Site: same-site", 200, 403),
        ("\r\nOrigin: https://evil.example", 403, 403),
        ("\r\nOrigin: null", 403, 403),
        ("\r\nOrigin: http://127.0.0.1:1", 403, 403),
    ] {
        assert_eq!(request("/", headers), of_page, "{headers}");
        assert_eq!(request("/debug/state", headers), of_work, "{headers}");
    }
    assert_eq!(
        request("/debug/state", &format!("\r\nOrigin: http://{own}")),
        200
    );

    for host in [
        "evil.example",
        "evil.example:6060",
        "localhost.evil.example",
        "10.0.0.1",
        "",
    ] {
        let answer = ask(address, &format!("GET /metrics HTTP/1.1\r\nHost: {host}"));
        assert_eq!(answer.status, 421, "{host}");
    }
}

#[test]
fn addresses() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let error = debug::serve(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("allow_remote"), "{error}");
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = debug::serve(taken.local_addr().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);

    // Any name of this machine is all right then, and other sites still are not.
    let any = ServeOptions::new()
        .allow_remote(true)
        .serve("0.0.0.0:0")
        .unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], any.port()));
    let ask = |more: &str| {
        ask(
            address,
            &format!("GET /metrics HTTP/1.1\r\nHost: some.name{more}"),
        )
        .status
    };
    assert_eq!(ask(""), 200);
    assert_eq!(ask("\r\nOrigin: http://evil.example"), 403);
    assert_eq!(ask("\r\nSec-Fetch-Site: cross-site"), 403);
}

#[test]
fn names_are_escaped() {
    let name = "</script><script>alert(\"1\")</script>\u{2028}\n\\";
    let (stop, done) = channel::bounded::<()>(0);
    let handle = Builder::new()
        .name(name)
        .spawn(move || done.recv())
        .unwrap();
    let q = "%3C%2Fscript%3E%3Cscript%3Ealert";
    let escaped = concat!(
        r#""\u003c/script\u003e\u003cscript\u003ealert(\"1\")\u003c/script\u003e"#,
        r#"\u2028\n\\""#
    );
    eventually(|| body(shared(), &format!("/debug/state?q={q}")).contains(escaped));
    let group = body(shared(), &format!("/debug/goroutines?format=json&q={q}"));
    assert!(group.contains(escaped) && !group.contains('<'), "{group}");
    drop(stop);
    assert!(handle.join().unwrap().is_err());
}

/// Starts goroutines that wait until `done` is closed, all at one spawn site.
fn spawn_many(count: usize, done: &channel::Receiver<()>) -> WaitGroup {
    let all = WaitGroup::new();
    for n in 0..count {
        let done = done.clone();
        let name = format!("member {n} of a group");
        let group = all.clone();
        all.add(1);
        let spawned = Builder::new().name(name).spawn(move || {
            let _ = done.recv();
            group.done();
        });
        drop(spawned.unwrap());
    }
    all
}

#[test]
fn groups_and_their_pages() {
    let (stop, done) = channel::bounded::<()>(0);
    let all = spawn_many(45, &done);
    let count = r#""matching":45,"#;
    let target = "/debug/goroutines?format=json&q=of+a+group";
    let waiting = r#""state":"chan receive","count":45,"#;
    eventually(|| {
        let text = body(shared(), target);
        text.contains(count) && text.contains(waiting)
    });
    let text = body(shared(), target);
    assert_eq!(text.matches(r#"{"site":"#).count(), 1, "{text}");
    let site = text
        .split(r#"{"site":""#)
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert!(site.contains("server.rs:"), "{site}");

    let mut numbers = Vec::new();
    for (offset, length) in [(0, 20), (20, 20), (40, 5), (60, 0)] {
        let target = format!("/debug/group?site={site}&state=chan%20receive&offset={offset}");
        let page = body(shared(), &target);
        assert!(
            page.starts_with(&format!("{{\"count\":45,\"offset\":{offset},")),
            "{page}"
        );
        let goroutines = page.split(r#""number":"#).skip(1);
        let found: Vec<_> = goroutines
            .map(|one| one.split(',').next().unwrap().to_owned())
            .collect();
        assert_eq!(found.len(), length, "{page}");
        assert_eq!(
            page.matches(r#""location":"./tests/system/server.rs:"#)
                .count(),
            length,
            "{page}"
        );
        numbers.extend(found);
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 45);
    drop(stop);
    all.wait();
}

#[test]
#[ignore = "run by recordings_alone"]
fn recordings() {
    let address = shared();
    let stop = Arc::new(AtomicBool::new(false));
    let (begin, begun) = channel::bounded(1);
    let stopped = Arc::clone(&stop);
    let busy = Builder::new().name("busy").spawn(move || {
        begin.send(()).unwrap();
        while !stopped.load(Ordering::Relaxed) {
            hint::spin_loop();
        }
    });
    // Not on the same worker, which would not run it.
    begun.recv().unwrap();
    let stopped = Arc::clone(&stop);
    let ticking = Builder::new().name("ticking").spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            time::sleep(Duration::from_millis(1));
        }
    });
    // One at a time: of those that are asked for together, one is made at least.
    let statuses = Arc::new(Mutex::new(HashMap::new()));
    let threads = [(); 3].map(|()| {
        let statuses = Arc::clone(&statuses);
        std::thread::spawn(move || {
            let answer = get(address, "/debug/profile?seconds=1");
            let text = String::from_utf8(answer.body).unwrap();
            statuses
                .lock()
                .unwrap()
                .entry(answer.status)
                .or_insert_with(Vec::new)
                .push(text);
        })
    });
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    let statuses = statuses.lock().unwrap();
    let (made, refused) = (&statuses[&200], statuses.get(&409));
    assert!(
        made[0].starts_with("Duration: ") && made[0].contains("{name: busy}"),
        "{made:?}"
    );
    assert!(refused.is_none_or(|all| all.iter().all(|text| text.contains("try again"))));
    assert_eq!(made.len() + refused.map_or(0, Vec::len), 3);

    // A trace of the program's own is active.
    trace::start(std::io::sink()).unwrap();
    let answer = get(address, "/debug/trace?seconds=1");
    assert_eq!(answer.status, 409);
    trace::stop().unwrap();
    // A client that goes away ends its trace early.
    let mut client = Client::new(address);
    client.send("GET /debug/trace?seconds=30 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.head().status, 200);
    client.reset();
    let mut trace = Answer {
        status: 409,
        head: String::new(),
        body: Vec::new(),
    };
    eventually(|| {
        trace = get(address, "/debug/trace?seconds=1");
        trace.status == 200
    });
    assert_eq!(
        trace.header("Content-Type"),
        Some("application/octet-stream")
    );
    // A packet of Perfetto's format begins with this byte; names stand in it as they are.
    assert_eq!(trace.body[0], 0x0a);
    assert!(trace.body.windows(7).any(|bytes| bytes == b"ticking"));
    stop.store(true, Ordering::Relaxed);
    busy.unwrap().join().unwrap();
    ticking.unwrap().join().unwrap();
}

#[test]
fn recordings_alone() {
    child::succeed_with(&["1", "4"], &["recordings"]);
}

/// The server answers while goroutines hold all workers, and while all but one are held.
#[test]
#[ignore = "run by held_workers_do_not_matter"]
fn held_workers() {
    let address = shared();
    for held in [gomaxprocs() - 1, gomaxprocs()] {
        let stop = Arc::new(AtomicBool::new(false));
        let begun = Arc::new(AtomicUsize::new(0));
        let (pipes, handles): (Vec<_>, Vec<_>) = (0..held)
            .map(|n| {
                let (stop, begun) = (Arc::clone(&stop), Arc::clone(&begun));
                // Half of them compute, and half of them block in a system call.
                let (reader, writer) = std::io::pipe().unwrap();
                let handle = go! {
                    begun.fetch_add(1, Ordering::Relaxed);
                    if n % 2 == 1 {
                        let _ = std::io::Read::read(&mut &reader, &mut [0]);
                    }
                    while !stop.load(Ordering::Relaxed) {
                        hint::spin_loop();
                    }
                };
                (writer, handle)
            })
            .unzip();
        eventually(|| begun.load(Ordering::Relaxed) == held);
        eventually(|| {
            let state = body(address, "/debug/state");
            state.matches(r#""holds_worker":true"#).count() >= held
        });
        assert!(body(address, "/").starts_with("<!doctype html>"));
        let dump = body(address, "/debug/dump");
        assert_eq!(dump.contains("has held worker"), held > 0, "{dump}");
        stop.store(true, Ordering::Relaxed);
        drop(pipes);
        handles
            .into_iter()
            .for_each(|handle| handle.join().unwrap());
    }
}

#[test]
fn held_workers_do_not_matter() {
    child::succeed_with(&["1", "2", "4", "8", "16"], &["held_workers"]);
}

/// Deadlocks are in the answer.
#[test]
#[ignore = "run by deadlocks_are_shown"]
fn a_deadlock() {
    let mutexes = Arc::new([Mutex::new(()), Mutex::new(())]);
    let both = WaitGroup::new();
    both.add(2);
    for first in [0, 1] {
        let (mutexes, both) = (Arc::clone(&mutexes), both.clone());
        go!(name = format!("locks {first}"); move || {
            let _first = mutexes[first].lock();
            both.done();
            both.wait();
            let _second = mutexes[1 - first].lock();
        });
    }
    eventually(|| {
        let text = body(shared(), "/debug/deadlocks");
        text.contains(r#""name":"locks 0""#) && text.contains(r#""name":"locks 1""#)
    });
}

#[test]
fn deadlocks_are_shown() {
    child::succeed_with(&["1", "4"], &["a_deadlock"]);
}

#[test]
#[ignore = "run by connections_are_limited"]
fn limits() {
    let address = shared();
    eventually(|| server_threads() == 1);
    // (Connections that say nothing, and such that say something slowly.)
    let mut silent: Vec<_> = (0..32).map(|_| Client::new(address)).collect();
    silent.iter_mut().step_by(2).for_each(|client| {
        client.send("GET / HTTP/1.1\r\nHost: ");
    });
    eventually(|| server_threads() == 33);
    let mut one_more = Client::new(address);
    let refused = one_more.answer();
    assert_eq!((refused.status, refused.closes()), (503, true));
    one_more.is_at_its_end();
    // Each that ends makes room, however it ends.
    silent.pop().unwrap().reset();
    silent.pop().unwrap().close_half();
    eventually(|| server_threads() <= 31);
    assert!(body(address, "/metrics").contains("go_sched_goroutines"));
    // One that has said a part of its request for too long is told so; its time does not begin anew
    // with each byte.
    let mut slow = silent.swap_remove(0);
    let mut silent_ones = silent;
    let mut sent = 0;
    while !slow.has_news(Duration::from_millis(100)) && slow.try_send("x") {
        sent += 1;
        assert!(sent < 500, "it has no end");
    }
    assert_eq!(slow.answer().status, 408);
    for client in silent_ones.iter_mut().skip(1).step_by(2) {
        client.is_at_its_end();
    }
    drop((slow, silent_ones));
    eventually(|| server_threads() == 1);
    assert_eq!(go_runtime::num_goroutines(), 0);
}

#[test]
fn connections_are_limited() {
    child::succeed_with(&["2"], &["limits"]);
}

#[test]
fn one_request_a_connection() {
    let get = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    // Others that follow at once are not read, and the answer arrives all the same.
    let mut client = Client::new(shared());
    client.send(get.repeat(500));
    assert_eq!(client.answer().status, 200);
    client.is_at_its_end();
    // Byte by byte.
    let mut client = Client::new(shared());
    for byte in get.bytes() {
        client.send([byte]);
    }
    assert_eq!(client.answer().status, 200);
    client.is_at_its_end();
    // A client of HTTP/1.0 gets no chunks.
    let mut client = Client::new(shared());
    client.send("GET /debug/dump?all=1 HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.head().header("Transfer-Encoding"), None);
}

/// The example that misbehaves shows each of its faults, and ends by Ctrl-C.
#[test]
fn the_example() {
    let server = Server::start("inspect", &[], "4");
    let address = server.address;
    eventually(|| {
        let state = body(address, "/debug/state");
        let waits = r#""state":"chan receive","count":10000,"#;
        state.contains(waits) && state.contains(r#""name":"hog","state":"running""#)
    });
    eventually(|| body(address, "/debug/deadlocks").contains("which goroutine"));
    let idle = r#""state":"chan receive","count":6,"#;
    eventually(|| body(address, "/debug/goroutines?format=json&q=crawler").contains(idle));
    server.signal(libc::SIGINT);
    assert_eq!(server.ended().status.code(), Some(0));
}
