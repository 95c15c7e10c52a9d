//! The example `websocket`: the messages that it sends back, the clients that it refuses, and how
//! it stops. Clients are tungstenite's on threads and in goroutines, curl, and some that write
//! their frames by hand.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use go_runtime::{go, net};
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::{CloseFrame, WebSocket};
use tungstenite::{Bytes, Error, Message};

use go_tests::support::{
    self,
    client::Client,
    programs, server,
    server::{LIMIT, Server},
    tools::{curl, is_installed},
};

/// Runs the test with 1 worker and with 4. The server must end well each time, and print no error.
fn with_server(args: &[&str], test: impl Fn(&Server)) {
    server::with_one_and_four("websocket", args, test);
}

/// Connects a client on a thread.
fn client(address: SocketAddr) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream.set_nodelay(true).unwrap();
    shake_hands(stream)
}

fn shake_hands<S: Read + Write>(stream: S) -> WebSocket<S> {
    match tungstenite::client("ws://localhost/echo", stream) {
        Ok((socket, _)) => socket,
        Err(error) => panic!("no handshake: {error}"),
    }
}

fn echoes<S: Read + Write>(socket: &mut WebSocket<S>, message: Message) {
    socket.send(message.clone()).expect("it is taken");
    assert!(socket.read().expect("it comes back") == message);
}

/// Asserts that the server closes the connection with this code.
fn is_closed<S: Read + Write>(socket: &mut WebSocket<S>, code: CloseCode) {
    match socket.read().expect("a close frame") {
        Message::Close(Some(frame)) => assert_eq!(frame.code, code, "{frame}"),
        other => panic!("not a close frame: {other}"),
    }
    let end = socket.read().unwrap_err();
    assert!(matches!(end, Error::ConnectionClosed), "{end}");
}

fn closes<S: Read + Write>(socket: &mut WebSocket<S>) {
    let bye = CloseFrame {
        code: CloseCode::Normal,
        reason: "bye".into(),
    };
    socket.close(Some(bye)).expect("it is taken");
    is_closed(socket, CloseCode::Normal);
}

fn lives(server: &Server) {
    echoes(&mut client(server.address), Message::text("are you there?"));
}

fn some_bytes(n: u32) -> Vec<u8> {
    (0..n).map(|n| (n % 251) as u8).collect()
}

/// Sends messages of all kinds, and ends the connection properly.
fn converses<S: Read + Write>(socket: &mut WebSocket<S>) {
    for text in [
        "",
        "hello",
        "gr\u{fc}\u{df}e \u{1f980}",
        &"x".repeat(70_000),
    ] {
        echoes(socket, Message::text(text));
    }
    for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        echoes(socket, Message::binary(some_bytes(size)));
    }
    let ping = Bytes::from_static(b"are you there?");
    socket.send(Message::Ping(ping.clone())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong(ping.clone()));
    // A message in several frames, with a ping in between, which is answered first. A frame may end
    // inside a character.
    let pieces = [&b"Gr\xc3"[..], b"\xbc", b"", b"\xc3\x9fe"];
    for (n, piece) in pieces.into_iter().enumerate() {
        let kind = if n == 0 { Data::Text } else { Data::Continue };
        let last = n + 1 == pieces.len();
        let frame = Frame::message(piece, OpCode::Data(kind), last);
        socket.send(Message::Frame(frame)).unwrap();
        if n == 1 {
            socket.send(Message::Ping(ping.clone())).unwrap();
            assert_eq!(socket.read().unwrap(), Message::Pong(ping.clone()));
        }
    }
    assert_eq!(socket.read().unwrap(), Message::text("Gr\u{fc}\u{df}e"));
    // Several messages at once.
    for n in 0..50 {
        socket.write(Message::text(format!("{n}"))).unwrap();
    }
    socket.flush().unwrap();
    for n in 0..50 {
        assert_eq!(socket.read().unwrap(), Message::text(format!("{n}")));
    }
    closes(socket);
}

#[test]
fn a_client_on_a_thread() {
    with_server(&[], |server| converses(&mut client(server.address)));
}

#[test]
fn a_client_in_a_goroutine() {
    with_server(&[], |server| {
        let address = server.address;
        support::in_goroutine(move || {
            let stream = net::TcpStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            converses(&mut shake_hands(stream));
        });
    });
}

#[test]
fn many_clients_in_goroutines() {
    with_server(&[], |server| {
        lives(server);
        let (before, address) = (server.sockets(), server.address);
        let clients: Vec<_> = (0..100_u8)
            .map(|n| {
                go!(move || {
                    let stream = net::TcpStream::connect(address).unwrap();
                    let mut socket = shake_hands(stream);
                    for size in [1, 100, 20_000] {
                        echoes(&mut socket, Message::binary(vec![n; size]));
                    }
                    closes(&mut socket);
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        server.wait_for_sockets(before);
    });
}

#[test]
fn messages_that_are_too_large() {
    with_server(&["--max-message-bytes", "1000"], |server| {
        let mut socket = client(server.address);
        echoes(&mut socket, Message::binary(some_bytes(1000)));
        socket.send(Message::binary(some_bytes(1001))).unwrap();
        is_closed(&mut socket, CloseCode::Size);
        // The frames are small, but the message is not; all of it is sent before the client reads.
        let mut socket = client(server.address);
        for n in 0..10 {
            let kind = if n == 0 { Data::Binary } else { Data::Continue };
            let frame = Frame::message(some_bytes(500), OpCode::Data(kind), false);
            socket.send(Message::Frame(frame)).unwrap();
        }
        is_closed(&mut socket, CloseCode::Size);
        // A frame that only announces a large size: no memory is reserved for it.
        let mut raw = raw_client(server);
        raw.send([
            0x82, 0xff, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
        ]);
        assert_eq!(close_code(&mut raw), 1009);
        lives(server);
    });
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
/// The answer to this key, from RFC 6455, section 1.3.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Connects a client that has completed its handshake, and writes its frames by hand.
fn raw_client(server: &Server) -> Client {
    let mut raw = Client::new(server.address);
    let head = raw
        .send(format!("GET /echo HTTP/1.1\r\nHost: x\r\n{UPGRADE}\r\n"))
        .head();
    assert_eq!(head.status, 101);
    assert_eq!(head.header("Sec-WebSocket-Accept"), Some(ACCEPT));
    raw
}

/// Returns the code of the close frame with which the connection ends.
fn close_code(raw: &mut Client) -> u16 {
    let frame = raw.read_once();
    assert!(frame.len() >= 4 && frame[0] == 0x88, "{frame:?}");
    assert_eq!(frame.len(), 2 + usize::from(frame[1]), "{frame:?}");
    raw.close_half().is_at_its_end();
    u16::from_be_bytes([frame[2], frame[3]])
}

/// A ping of 126 bytes, one more than allowed.
const TOO_LARGE_A_PING: [u8; 8 + 126] = {
    let mut frame = [0; 8 + 126];
    (frame[0], frame[1], frame[3]) = (0x89, 0xfe, 126);
    frame
};

#[test]
fn frames_that_are_refused() {
    // The masks are zeros, which change nothing.
    let cases = [
        ("no mask", &b"\x81\x05hello"[..], 1002),
        ("a reserved bit", b"\xc1\x80\0\0\0\0", 1002),
        ("an unknown kind", b"\x83\x80\0\0\0\0", 1002),
        ("goes on with nothing", b"\x80\x80\0\0\0\0", 1002),
        ("a ping in pieces", b"\x09\x80\0\0\0\0", 1002),
        (
            "a message within another",
            b"\x01\x80\0\0\0\0\x81\x80\0\0\0\0",
            1002,
        ),
        ("too large a ping", &TOO_LARGE_A_PING, 1002),
        ("not UTF-8", b"\x81\x82\0\0\0\0\xff\xff", 1007),
        ("half a character", b"\x81\x81\0\0\0\0\xc3", 1007),
    ];
    with_server(&[], |server| {
        for (what, frame, code) in cases {
            let mut raw = raw_client(server);
            raw.send(frame);
            assert_eq!(close_code(&mut raw), code, "{what}");
        }
        lives(server);
    });
}

#[test]
fn frames_may_come_byte_by_byte() {
    with_server(&[], |server| {
        let mut raw = raw_client(server);
        for byte in b"\x81\x85\x01\x02\x03\x04igohn" {
            raw.send([*byte]);
        }
        assert_eq!(raw.read_once(), b"\x81\x05hello");
        // A close frame without a reason is answered by another one.
        raw.send(b"\x88\x80\0\0\0\0");
        assert_eq!(raw.read_once(), b"\x88\x00");
        raw.is_at_its_end();
    });
}

#[test]
fn requests_that_are_refused() {
    with_server(&[], |server| {
        let before = server.sockets();
        let old = UPGRADE.replace("13", "8");
        let short = UPGRADE.replace("dGhl", "");
        for (request, status) in [
            ("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400),
            (
                format!("POST /echo HTTP/1.1\r\nHost: x\r\n{UPGRADE}\r\n"),
                400,
            ),
            (format!("GET /echo HTTP/1.1\r\nHost: x\r\n{old}\r\n"), 400),
            (format!("GET /echo HTTP/1.1\r\nHost: x\r\n{short}\r\n"), 400),
            (
                format!("GET /other HTTP/1.1\r\nHost: x\r\n{UPGRADE}\r\n"),
                404,
            ),
            // A frame before the answer.
            (
                format!("GET /echo HTTP/1.1\r\nHost: x\r\n{UPGRADE}\r\n\x01"),
                400,
            ),
            ("\x16\x03\x01\x02\0\x01\r\n\r\n".to_owned(), 400),
        ] {
            let mut raw = Client::new(server.address);
            let head = raw.send(&request).head();
            assert_eq!(head.status, status, "{request:?}");
            assert!(head.closes(), "{head:?}");
        }
        // A header that never ends.
        let mut raw = Client::new(server.address);
        raw.send("GET /echo HTTP/1.1\r\n");
        while raw.try_send("a: b\r\n".repeat(1000)) {}
        lives(server);
        server.wait_for_sockets(before);
    });
}

#[test]
fn slow_clients_are_cut_off() {
    let limits = ["--handshake-timeout-ms", "200", "--idle-timeout-ms", "200"];
    with_server(&limits, |server| {
        Client::new(server.address).is_at_its_end();
        let mut raw = Client::new(server.address);
        raw.send("GET /echo HTTP/1.1\r\n").is_at_its_end();
        is_closed(&mut client(server.address), CloseCode::Policy);
        // A message that never ends, although bytes keep coming.
        let mut raw = raw_client(server);
        raw.send([0x82, 0xfe, 0xff, 0xff, 0, 0, 0, 0]);
        while !raw.has_news(Duration::from_millis(10)) {
            raw.try_send([0]);
        }
        assert_eq!(close_code(&mut raw), 1008);
        lives(server);
    });
}

/// The server does not wait for a client that reads no answers.
#[test]
fn clients_that_do_not_read() {
    with_server(&["--write-timeout-ms", "200"], |server| {
        lives(server);
        let before = server.sockets();
        let mut socket = client(server.address);
        let large = Bytes::from(some_bytes(1 << 20));
        // Sends until the server has closed the connection. The messages are larger than the
        // buffers of both sides.
        while socket.send(Message::Binary(large.clone())).is_ok() {}
        server.wait_for_sockets(before);
    });
}

#[test]
fn clients_that_go() {
    with_server(&[], |server| {
        lives(server);
        let before = server.sockets();
        for round in 0..60 {
            if round % 4 == 0 {
                let mut raw = Client::new(server.address);
                raw.send("GET /echo HTT");
                if round % 8 == 0 {
                    raw.reset();
                }
                continue;
            }
            let mut raw = raw_client(server);
            match round % 4 {
                1 => raw.send([0x82, 0xfe, 0xff, 0xff, 0, 0, 0, 0]),
                2 => raw.send(b"\x81\x85\0\0\0\0hello".repeat(100)),
                _ => &mut raw,
            };
            if round % 3 != 0 {
                raw.reset();
            }
        }
        lives(server);
        server.wait_for_sockets(before);
    });
}

#[test]
fn a_stop_is_told() {
    for (workers, signal) in [("1", libc::SIGINT), ("4", libc::SIGTERM)] {
        let server = Server::start("websocket", &[], workers);
        let mut clients: Vec<_> = (0..10).map(|_| client(server.address)).collect();
        for client in &mut clients {
            echoes(client, Message::text("hello"));
        }
        let mut fresh = Client::new(server.address);
        fresh.send("GET /echo HTT");
        // This client has sent only half of a message.
        let mut half = raw_client(&server);
        half.send(b"\x81\x85\0\0\0\0he");
        server.signal(signal);
        for mut client in clients {
            is_closed(&mut client, CloseCode::Away);
        }
        fresh.is_at_its_end();
        assert_eq!(close_code(&mut half), 1001);
        let stopped = server.ended();
        assert_eq!((stopped.status.code(), stopped.errors.len()), (Some(0), 0));
    }
}

#[test]
fn curl_gets_along_with_it() {
    if !is_installed("curl") {
        return;
    }
    with_server(&["--idle-timeout-ms", "200"], |server| {
        let url = server.url("/echo");
        let mut args = vec!["-i", "-N", "--http1.1"];
        for header in UPGRADE.lines() {
            args.extend(["-H", header]);
        }
        args.push(&url);
        let said = curl(&args, b"");
        let text = String::from_utf8_lossy(&said);
        assert!(
            text.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
            "{text}"
        );
        let accepted = text.to_lowercase();
        let accept = format!("sec-websocket-accept: {}\r\n", ACCEPT.to_lowercase());
        assert!(accepted.contains(&accept), "{text}");
        // After a long silence, the close frame arrives too.
        assert!(text.ends_with("too slow"), "{text}");
        let refused = curl(&["-o", "/dev/null", "-w", "%{http_code}", &url], b"");
        assert_eq!(refused, b"400");
    });
}

#[test]
fn arguments_that_are_refused() {
    programs::helps("websocket");
    programs::refuses("websocket", &["a", "b"], "a second address after a");
    programs::refuses("websocket", &["--nonsense", "1"], "no option --nonsense");
    for bad in ["0", "-1", "x", "", "99999999999999999999"] {
        let args = ["--max-message-bytes", bad];
        programs::refuses("websocket", &args, "takes a number from 1");
    }
}
