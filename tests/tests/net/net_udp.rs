//! UDP sockets: they behave as std's, park only the goroutine, and each datagram that has arrived
//! is received once.
#![cfg(unix)]

use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use go_runtime::channel::{bounded, unbounded};
use go_runtime::net::{self, SocketAddr, UdpSocket};
use go_runtime::{go, gomaxprocs, scope, time};

use go_tests::support::{
    at_several_gomaxprocs, eventually, in_both, in_goroutine, no_process_starts,
};

mod options;

fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Makes two sockets that are connected with each other.
fn pair() -> (UdpSocket, UdpSocket) {
    let ((one, at_one), (other, at_other)) = (socket(), socket());
    one.connect(at_other).unwrap();
    other.connect(at_one).unwrap();
    (one, other)
}

/// Starts a server that echoes its input in `receivers` goroutines; they end when the sender is
/// dropped.
fn echo_server(receivers: usize) -> (SocketAddr, go_runtime::channel::Sender<()>) {
    let (server, address) = socket();
    let server = Arc::new(server);
    let (stop, done) = bounded::<()>(0);
    for _ in 0..receivers {
        go!(clone(server, done) {
            let mut buf = [0; 64];
            loop {
                match server.with_done(&done).recv_from(&mut buf) {
                    Ok((n, from)) => assert_eq!(server.send_to(&buf[..n], from).unwrap(), n),
                    Err(error) => return assert!(net::is_done(&error), "{error}"),
                }
            }
        });
    }
    (address, stop)
}

/// Sends and receives one message at a time, so that no buffer overflows.
fn talk(address: SocketAddr, messages: u32) {
    let (client, _) = socket();
    client.connect(address).unwrap();
    for n in 0..messages {
        assert_eq!(client.send(&n.to_le_bytes()).unwrap(), 4);
        let mut answer = [0; 8];
        assert_eq!(client.recv(&mut answer).unwrap(), 4);
        assert_eq!(answer[..4], n.to_le_bytes());
    }
}

#[test]
fn goroutines_and_threads_talk() {
    for receivers in [1, 8] {
        let (address, _stop) = echo_server(receivers);
        thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| talk(address, 50));
            }
            scope(|s| {
                for _ in 0..10 * gomaxprocs() {
                    go!(s; talk(address, 20));
                }
            });
        });
    }
}

/// All waiting goroutines share a burst: one event may stand for several datagrams.
#[test]
fn many_wait_on_one_socket() {
    let (server, address) = socket();
    let server = Arc::new(server);
    let receivers: Vec<_> = (0..20u8)
        .map(|_| {
            go!(clone(server) {
                let mut byte = [0];
                server.recv_from(&mut byte).unwrap();
                byte[0]
            })
        })
        .collect();
    let (client, _) = socket();
    for byte in 0..20 {
        client.send_to(&[byte], address).unwrap();
    }
    let mut got: Vec<u8> = receivers.into_iter().map(|r| r.join().unwrap()).collect();
    got.sort();
    assert_eq!(got, (0..20).collect::<Vec<u8>>());
}

/// A socket may be used by a goroutine on another worker than the one that first waited for it.
#[test]
fn a_socket_goes_from_hand_to_hand() {
    let (client, server) = pair();
    let (tx, rx) = unbounded();
    tx.send(server).unwrap();
    let receivers: Vec<_> = (0..50u8)
        .map(|_| {
            go!(clone(tx, rx) {
                let server: UdpSocket = rx.recv().unwrap();
                let mut byte = [0];
                server.recv(&mut byte).unwrap();
                server.send(&byte).unwrap();
                tx.send(server).unwrap();
                byte[0]
            })
        })
        .collect();
    for byte in 0..50 {
        client.send(&[byte]).unwrap();
        let mut answer = [0];
        client.recv(&mut answer).unwrap();
        assert_eq!(answer, [byte]);
    }
    let mut got: Vec<u8> = receivers.into_iter().map(|r| r.join().unwrap()).collect();
    got.sort();
    assert_eq!(got, (0..50).collect::<Vec<u8>>());
}

#[test]
fn datagrams_keep_their_bounds() {
    in_both(|| {
        let (client, server) = pair();
        client.send(b"a long one").unwrap();
        client.send(b"").unwrap();
        client.send(b"short").unwrap();
        let mut buf = [0; 6];
        assert_eq!(server.recv(&mut buf).unwrap(), 6);
        assert_eq!(&buf, b"a long");
        // The rest of the datagram is lost; an empty datagram is received too.
        assert_eq!(server.recv(&mut buf).unwrap(), 0);
        assert_eq!(server.recv(&mut buf).unwrap(), 5);
        assert_eq!(&buf[..5], b"short");
        // A UDP datagram has at most 65507 bytes.
        assert!(client.send(&[0; 65_508]).is_err());
    });
}

#[test]
fn peeking_leaves_the_datagram() {
    in_both(|| {
        let (client, server) = pair();
        let from = client.local_addr().unwrap();
        client.send(b"abc").unwrap();
        let mut buf = [0; 8];
        for _ in 0..2 {
            assert_eq!(server.peek(&mut buf).unwrap(), 3);
            assert_eq!(server.peek_from(&mut buf).unwrap(), (3, from));
        }
        let (_open, done) = bounded::<()>(0);
        let with_done = server.with_done(&done);
        assert_eq!(with_done.peek(&mut buf).unwrap(), 3);
        assert_eq!(with_done.peek_from(&mut buf).unwrap(), (3, from));
        assert_eq!(with_done.recv(&mut buf).unwrap(), 3);
        assert_eq!(&buf[..3], b"abc");
        server.set_nonblocking(true).unwrap();
        let empty = server.peek(&mut buf).unwrap_err();
        assert_eq!(empty.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn only_the_peer_is_received() {
    in_both(|| {
        let ((server, address), (peer, at_peer), (stranger, _)) = (socket(), socket(), socket());
        let unknown = server.peer_addr().unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::NotConnected);
        assert!(server.send(b"to whom?").is_err());
        server.connect(at_peer).unwrap();
        assert_eq!(server.peer_addr().unwrap(), at_peer);
        stranger.send_to(b"stranger", address).unwrap();
        peer.send_to(b"peer", address).unwrap();
        let mut buf = [0; 16];
        assert_eq!(server.recv_from(&mut buf).unwrap(), (4, at_peer));
    });
}

/// If the peer's address has no socket, the system reports that to the next send, or to a waiting
/// receive.
#[test]
fn a_connected_socket_is_refused() {
    in_both(|| {
        let _alone = no_process_starts();
        let (gone, address) = socket();
        drop(gone);
        let (client, _) = socket();
        client.connect(address).unwrap();
        client.send(b"x").unwrap();
        let refused = client.recv(&mut [0]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        // The socket can still be used.
        assert!(client.take_error().unwrap().is_none());
        let (server, address) = socket();
        client.connect(address).unwrap();
        client.send(b"y").unwrap();
        let from = server.recv_from(&mut [0]).unwrap().1;
        server.send_to(b"z", from).unwrap();
        assert_eq!(client.recv(&mut [0]).unwrap(), 1);
    });
}

#[test]
fn a_refusal_wakes_who_waits() {
    let _alone = no_process_starts();
    let (gone, address) = socket();
    let (client, _) = socket();
    client.connect(address).unwrap();
    drop(gone);
    let client = Arc::new(client);
    let (waits, waiting) = bounded(0);
    let receiver = go!(clone(client) {
        waits.send(()).unwrap();
        client.recv(&mut [0]).unwrap_err().kind()
    });
    waiting.recv().unwrap();
    client.send(b"x").unwrap();
    assert_eq!(receiver.join().unwrap(), ErrorKind::ConnectionRefused);
}

#[test]
fn timeouts() {
    in_both(|| {
        let (client, server) = pair();
        assert_eq!(client.read_timeout().unwrap(), None);
        let timeout = Some(Duration::from_millis(5));
        client.set_read_timeout(timeout).unwrap();
        client.set_write_timeout(timeout).unwrap();
        assert_eq!(client.read_timeout().unwrap(), timeout);
        assert_eq!(client.write_timeout().unwrap(), timeout);
        let late = client.recv_from(&mut [0]).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        let late = client.peek(&mut [0]).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        // The socket can be used again.
        client.set_read_timeout(None).unwrap();
        server.send(b"x").unwrap();
        assert_eq!(client.recv(&mut [0]).unwrap(), 1);
        for zero in [
            client.set_read_timeout(Some(Duration::ZERO)),
            client.set_write_timeout(Some(Duration::ZERO)),
        ] {
            assert_eq!(zero.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    });
}

#[test]
fn a_deadline_ends_what_waits() {
    let (client, server) = pair();
    let client = Arc::new(client);
    let (waits, waiting) = unbounded();
    let receivers: Vec<_> = (0..10)
        .map(|_| {
            go!(clone(client, waits) {
                waits.send(()).unwrap();
                client.recv(&mut [0]).unwrap_err().kind()
            })
        })
        .collect();
    for _ in 0..10 {
        waiting.recv().unwrap();
    }
    client.set_deadline(Some(Instant::now())).unwrap();
    for receiver in receivers {
        assert_eq!(receiver.join().unwrap(), ErrorKind::TimedOut);
    }
    assert_eq!(client.send(b"x").unwrap_err().kind(), ErrorKind::TimedOut);
    // The deadline may be extended during a wait.
    client
        .set_deadline(Some(Instant::now() + Duration::from_millis(20)))
        .unwrap();
    let receiver = go!(clone(client) { client.recv(&mut [0]) });
    client.set_deadline(None).unwrap();
    time::sleep(Duration::from_millis(40));
    server.send(b"x").unwrap();
    assert_eq!(receiver.join().unwrap().unwrap(), 1);
}

#[test]
fn a_done_channel_ends_what_waits() {
    let (client, server) = pair();
    let client = Arc::new(client);
    let (stop, done) = bounded::<()>(0);
    let (waits, waiting) = unbounded();
    let receivers: Vec<_> = (0..6)
        .map(|n| {
            go!(clone(client, done, waits) {
                waits.send(()).unwrap();
                let client = client.with_done(&done);
                match n % 3 {
                    0 => client.recv(&mut [0]).unwrap_err(),
                    1 => client.recv_from(&mut [0]).unwrap_err(),
                    _ => client.peek(&mut [0]).unwrap_err(),
                }
            })
        })
        .collect();
    for _ in 0..6 {
        waiting.recv().unwrap();
    }
    drop(stop);
    for receiver in receivers {
        assert!(net::is_done(&receiver.join().unwrap()));
    }
    let with_done = client.with_done(&done);
    let at_server = server.local_addr().unwrap();
    assert!(net::is_done(&with_done.send(b"x").unwrap_err()));
    assert!(net::is_done(
        &with_done.send_to(b"x", at_server).unwrap_err()
    ));
    // Nothing is lost: the datagram stays until it is received without the done channel.
    server.send(b"here").unwrap();
    assert!(net::is_done(&with_done.recv(&mut [0]).unwrap_err()));
    let mut buf = [0; 8];
    assert_eq!(client.recv(&mut buf).unwrap(), 4);
    assert_eq!(&buf[..4], b"here");
}

#[test]
fn clones_share_everything() {
    let (client, server) = pair();
    let clone = client.try_clone().unwrap();
    assert_eq!(clone.as_raw_fd(), client.as_raw_fd());
    clone
        .set_read_timeout(Some(Duration::from_secs(100)))
        .unwrap();
    assert_eq!(
        client.read_timeout().unwrap(),
        Some(Duration::from_secs(100))
    );
    drop(client);
    server.send(b"x").unwrap();
    assert_eq!(clone.recv(&mut [0]).unwrap(), 1);
}

/// The address can be bound again.
#[test]
fn the_last_clone_closes() {
    in_goroutine(|| {
        let _alone = no_process_starts();
        let (server, address) = socket();
        let clone = server.try_clone().unwrap();
        server
            .set_deadline(Some(Instant::now() + Duration::from_millis(1)))
            .unwrap();
        server.recv(&mut [0]).unwrap_err();
        drop(server);
        let in_use = UdpSocket::bind(address).unwrap_err();
        assert_eq!(in_use.kind(), ErrorKind::AddrInUse);
        drop(clone);
        UdpSocket::bind(address).unwrap();
    });
}

#[test]
fn to_std_and_back() {
    let (client, server) = pair();
    let client = std::net::UdpSocket::from(client);
    let receiver = thread::spawn(move || {
        // The socket blocks again, in the system call.
        client.recv(&mut [0]).unwrap();
        client
    });
    server.send(b"1").unwrap();
    let client = UdpSocket::from(OwnedFd::from(receiver.join().unwrap()));
    let raw = client.as_fd().as_raw_fd();
    assert!(
        format!("{client:?}").contains(&raw.to_string()),
        "{client:?}"
    );
    let receiver = go!(move || client.recv(&mut [0]));
    server.send(b"2").unwrap();
    assert_eq!(receiver.join().unwrap().unwrap(), 1);
}

#[test]
fn non_blocking_when_asked() {
    in_both(|| {
        let (client, server) = pair();
        server.set_nonblocking(true).unwrap();
        let empty = server.recv(&mut [0]).unwrap_err();
        assert_eq!(empty.kind(), ErrorKind::WouldBlock);
        client.send(b"x").unwrap();
        eventually(|| server.recv(&mut [0]).is_ok());
        server.set_nonblocking(false).unwrap();
        client.send(b"y").unwrap();
        assert_eq!(server.recv(&mut [0]).unwrap(), 1);
    });
}

#[test]
fn names_are_looked_up() {
    in_goroutine(|| {
        let server = UdpSocket::bind("localhost:0").unwrap();
        let address = server.local_addr().unwrap();
        let client = UdpSocket::bind((address.ip(), 0)).unwrap();
        client.send_to(b"x", ("localhost", address.port())).unwrap();
        assert_eq!(server.recv(&mut [0]).unwrap(), 1);
        assert!(client.send_to(b"x", "no port").is_err());
    });
}

#[test]
#[ignore = "run by `at_several_numbers_of_workers`"]
fn workers_echo() {
    for _ in 0..3 {
        goroutines_and_threads_talk();
        many_wait_on_one_socket();
        a_socket_goes_from_hand_to_hand();
        a_refusal_wakes_who_waits();
        a_deadline_ends_what_waits();
        a_done_channel_ends_what_waits();
    }
}

#[test]
fn at_several_numbers_of_workers() {
    at_several_gomaxprocs(&["workers_echo"]);
}
