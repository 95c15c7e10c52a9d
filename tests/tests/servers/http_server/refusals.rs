//! Refused requests: those that could be read in two ways, bodies that are too large, and arguments
//! without a meaning.

use crate::http_server::{GET, lives, with_server};

use go_tests::support::{client::Client, programs};

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let long = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n",
        "b".repeat(20_000)
    );
    let endless = "A".repeat(20_000);
    let many = format!(
        "GET / HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "a: b\r\n".repeat(200)
    );
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        ("nonsense\r\n\r\n", 400),
        ("\x16\x03\x01\x02\0\x01\n", 400),
        ("GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
        (
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: \
             chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: \
             1\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            400,
        ),
        (
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\na",
            400,
        ),
        (
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            400,
        ),
        (
            "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
            501,
        ),
        (
            "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            400,
        ),
        (
            "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
            400,
        ),
        (
            "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \
             chunked\r\n\r\nffffffffffffffffff\r\n",
            400,
        ),
        (
            "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
            413,
        ),
        (
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n",
            413,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n",
            413,
        ),
        (&*long, 431),
        (&*endless, 431),
        (&*many, 431),
    ];
    with_server(&[], |server| {
        for (request, status) in cases {
            // The bytes that follow are not taken for a request.
            let mut client = Client::new(server.address);
            client.try_send(format!("{request}{GET}"));
            let answer = client.answer();
            let shown = &request[..request.len().min(200)];
            assert_eq!(answer.status, status, "{shown:?}: {answer:?}");
            assert!(answer.closes(), "{shown:?}");
            client.is_at_its_end();
        }
        lives(server);
    });
}

/// A client that sends the whole of a body that is too large gets the answer, not a reset.
#[test]
fn bodies_that_are_too_large() {
    with_server(&["--max-body-bytes", "1000"], |server| {
        let post = "POST /echo HTTP/1.1\r\nHost: x\r\n";
        let body = "b".repeat(100_000);
        let lengths = format!("{post}Content-Length: 100000\r\n\r\n{body}");
        let chunks =
            format!("{post}Transfer-Encoding: chunked\r\n\r\n186a0\r\n{body}\r\n0\r\n\r\n");
        let small = "200\r\n".to_owned() + &"b".repeat(512) + "\r\n";
        let many = format!(
            "{post}Transfer-Encoding: chunked\r\n\r\n{}",
            small.repeat(50)
        );
        for request in [&lengths, &chunks, &many] {
            let mut client = Client::new(server.address);
            let answer = client.send(request).answer();
            assert_eq!(answer.status, 413);
            client.close_half().is_at_its_end();
        }
        let largest = format!("{post}Content-Length: 1000\r\n\r\n{}", &body[..1000]);
        let answer = Client::new(server.address).send(largest).answer();
        assert_eq!((answer.status, answer.body.len()), (200, 1000));
    });
}

#[test]
fn arguments_that_are_refused() {
    programs::helps("http_server");
    programs::refuses("http_server", &["a", "b"], "a second address after a");
    programs::refuses("http_server", &["--nonsense", "1"], "no option --nonsense");
    programs::refuses("http_server", &["--idle-timeout-ms"], "missing argument");
    for bad in ["0", "-1", "x", "", "99999999999999999999"] {
        programs::refuses(
            "http_server",
            &["--idle-timeout-ms", bad],
            "takes a number from 1",
        );
    }
    let ended = programs::run({
        let mut command = programs::program("http_server");
        command.arg("nonsense");
        command
    });
    assert_eq!(ended.code, Some(1));
    assert!(ended.errors.contains("nonsense"), "{}", ended.errors);
}
