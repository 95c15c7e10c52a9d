//! The example `crawler`, on the pages of the example `http_server`, and on servers with wrong
//! answers.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use go_tests::support::{
    programs,
    programs::{Ended, Running},
    server::Server,
};

fn crawler(args: &[&str], workers: &str) -> Command {
    let mut command = programs::program("crawler");
    command.args(args).env("GOMAXPROCS", workers);
    command
}

fn crawls(args: &[&str], workers: &str) -> Ended {
    programs::run(crawler(args, workers))
}

/// Starts a server that gives each connection this answer.
fn site(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer);
        }
    });
    format!("http://{address}/")
}

/// The site is a tree of 200 pages with links in both directions; every tenth page has a dead link.
#[test]
fn a_whole_site() {
    let server = Server::start("http_server", &[], "2");
    let start = server.url("/links?n=0");
    let mut outputs = Vec::new();
    for (at_once, workers) in [("1", "1"), ("8", "1"), ("8", "4"), ("1000", "4")] {
        let ended = crawls(&["--at-once", at_once, &start], workers);
        assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.errors);
        assert_eq!(ended.errors, "");
        outputs.push(ended.out);
    }
    assert!(outputs.iter().all(|out| *out == outputs[0]), "{outputs:?}");
    let lines: Vec<_> = outputs[0].lines().collect();
    // 199 links lead down, 199 lead up, and 20 are dead.
    let (last, broken) = lines.split_last().unwrap();
    assert!(last.starts_with("200 pages with "), "{last}");
    assert!(last.ends_with(" bytes and 418 links, 20 broken"), "{last}");
    assert_eq!(broken.len(), 20);
    let dead_end = format!("broken: {}: status 404", server.url("/nowhere/190"));
    assert!(broken.contains(&&*dead_end), "{broken:?}");
    server.stop();
}

/// The crawler makes exactly as many connections at once as are allowed.
#[test]
fn so_many_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = format!("http://{}/", listener.local_addr().unwrap());
    let crawler = Running::start(crawler(&["--at-once", "3", &start], "4"));
    let next = || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        stream
    };
    let answer = |mut stream: std::net::TcpStream, body: &str| {
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
    };
    let links: String = (0..9).map(|n| format!("<a href=\"/{n}\">")).collect();
    answer(next(), &links);
    for _ in 0..3 {
        let three = [next(), next(), next()];
        // A fourth connection would have come by now, in the time of the first three.
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err());
        listener.set_nonblocking(false).unwrap();
        for stream in three {
            answer(stream, "");
        }
    }
    let ended = crawler.end();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(ended.out.starts_with("10 pages "), "{}", ended.out);
}

/// The crawler waits for a silent server until its timeout, or until Ctrl-C.
#[test]
fn it_ends_early() {
    let server = Server::start("http_server", &[], "2");
    let slow = server.url("/slow?ms=600000");
    let ended = crawls(&["--timeout-ms", "100", &slow], "1");
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        ended.out,
        "0 pages with 0 bytes and 0 links, 0 broken\n\
         ended early, with 1 pages to go: context deadline exceeded\n"
    );

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = format!("http://{}/", listener.local_addr().unwrap());
    let crawler = Running::start(crawler(&[&start], "1"));
    let (asked, was_asked) = mpsc::channel();
    let silent = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        asked.send(()).unwrap();
        // Waits until the crawler has gone.
        let _ = stream.read(&mut [0; 1024]);
    });
    was_asked.recv().unwrap();
    crawler.press_ctrl_c();
    let ended = crawler.end();
    silent.join().unwrap();
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.out.contains("1 pages to go: interrupt signal"),
        "{}",
        ended.out
    );
    server.stop();
}

#[test]
fn answers_that_are_none() {
    for (answer, reason) in [
        (&b""[..], "unexpected end of file"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            "unexpected end of file",
        ),
        (b"nonsense\r\n\r\n", "the answer is malformed"),
        (b"HTTP/1.1 500 Oh\r\n\r\n", "status 500"),
    ] {
        let url = site(answer);
        let ended = crawls(&[&url], "2");
        assert_eq!(ended.code, Some(1), "{}", ended.out);
        let line = format!("broken: {url}: {reason}\n");
        assert!(ended.out.starts_with(&line), "{line}{}", ended.out);
    }
    // No server listens at this address.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", gone.local_addr().unwrap());
    drop(gone);
    let ended = crawls(&[&url], "2");
    assert_eq!(ended.code, Some(1));
    assert!(ended.out.contains("refused"), "{}", ended.out);
}

#[test]
fn arguments_that_are_refused() {
    programs::helps("crawler");
    programs::refuses("crawler", &[], "where to start?");
    programs::refuses("crawler", &["https://x/"], "does not begin with http://");
    programs::refuses("crawler", &["http://x/", "http://y/"], "a second address");
    programs::refuses(
        "crawler",
        &["--at-once", "0", "http://x/"],
        "a number from 1 to 1000",
    );
    programs::refuses("crawler", &["--at-once"], "missing argument");
    programs::refuses(
        "crawler",
        &["--nonsense", "http://x/"],
        "no option --nonsense",
    );
}
