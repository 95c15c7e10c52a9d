//! Datagrams: their bounds, answers to the sender, and senders that wait for room.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use go_runtime::channel::{Receiver, bounded};
use go_runtime::go;
use go_runtime::net::{self, Shutdown, UnixDatagram};

use crate::net_unix::place;

use go_tests::support::{in_both, no_process_starts};

#[test]
fn datagrams_keep_their_bounds() {
    in_both(|| {
        let (client, server) = UnixDatagram::pair().unwrap();
        client.send(b"a long one").unwrap();
        client.send(b"").unwrap();
        client.send(b"short").unwrap();
        let mut buf = [0; 6];
        assert_eq!(server.recv(&mut buf).unwrap(), 6);
        assert_eq!(&buf, b"a long");
        // The rest of the datagram is lost; an empty datagram is received too.
        assert_eq!(server.recv(&mut buf).unwrap(), 0);
        assert_eq!(server.recv(&mut buf).unwrap(), 5);
        server.set_nonblocking(true).unwrap();
        let empty = server.recv(&mut buf).unwrap_err();
        assert_eq!(empty.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn datagrams_are_answered() {
    in_both(|| {
        let _alone = no_process_starts();
        let (directory, path) = place();
        let server = UnixDatagram::bind(&path).unwrap();
        let client = UnixDatagram::bind(directory.path().join("client")).unwrap();
        let unconnected = client.peer_addr().unwrap_err();
        assert_eq!(unconnected.kind(), ErrorKind::NotConnected);
        assert!(client.send(b"to whom?").is_err());
        client.connect(&path).unwrap();
        client.send(b"question").unwrap();
        let mut buf = [0; 16];
        let (n, from) = server.recv_from(&mut buf).unwrap();
        assert_eq!(&buf[..n], b"question");
        server.send_to_addr(b"one", &from).unwrap();
        server
            .send_to(b"three", from.as_pathname().unwrap())
            .unwrap();
        assert_eq!(client.recv(&mut buf).unwrap(), 3);
        let (n, from) = client.recv_from(&mut buf).unwrap();
        assert_eq!((n, from.as_pathname()), (5, Some(&*path)));
        drop(server);
        let gone = client.send_to(b"x", &path).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::ConnectionRefused);
    });
}

/// Both ways of sending wait for room, and no datagram is lost or out of order.
#[test]
pub(crate) fn a_full_queue_holds_the_sender() {
    const MESSAGES: u32 = 3000;
    for connected in [true, false] {
        let (_directory, path) = place();
        let receiver = UnixDatagram::bind(&path).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect(&path).unwrap();
        let sends = go! {
            let unconnected = UnixDatagram::unbound().unwrap();
            for n in 0..MESSAGES {
                let bytes = n.to_le_bytes();
                let sent = if connected {
                    sender.send(&bytes)
                } else {
                    unconnected.send_to(&bytes, &path)
                };
                assert_eq!(sent.unwrap(), 4);
            }
        };
        let receives = go! {
            let mut buf = [0; 8];
            for n in 0..MESSAGES {
                assert_eq!(receiver.recv(&mut buf).unwrap(), 4);
                assert_eq!(buf[..4], n.to_le_bytes());
            }
        };
        sends.join().unwrap();
        receives.join().unwrap();
    }
}

/// A timeout, a deadline and a done channel end each way of sending a datagram.
#[test]
fn sends_that_wait_end() {
    in_both(|| {
        let (_directory, path) = place();
        let receiver = UnixDatagram::bind(&path).unwrap();
        let address = receiver.local_addr().unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect(&path).unwrap();
        sender.set_nonblocking(true).unwrap();
        let full = loop {
            if let Err(error) = sender.send(b"x") {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        let full = sender.send_to(b"x", &path).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        sender.set_nonblocking(false).unwrap();

        let kinds = || {
            [
                sender.send(b"x"),
                sender.send_to(b"x", &path),
                sender.send_to_addr(b"x", &address),
            ]
            .map(|sent| sent.unwrap_err().kind())
        };
        sender
            .set_write_timeout(Some(Duration::from_millis(5)))
            .unwrap();
        assert_eq!(kinds(), [ErrorKind::TimedOut; 3]);
        sender.set_write_timeout(None).unwrap();
        sender.set_deadline(Some(Instant::now())).unwrap();
        assert_eq!(kinds(), [ErrorKind::TimedOut; 3]);
        sender.set_deadline(None).unwrap();

        let (sender, path) = (Arc::new(sender), Arc::new(path));
        let blocked = |done: Receiver<()>| {
            (0..2)
                .map(|n| {
                    go!(clone(sender, path, done) {
                        let with_done = sender.with_done(&done);
                        match n {
                            0 => with_done.send(b"x").unwrap_err(),
                            _ => with_done.send_to(b"x", &**path).unwrap_err(),
                        }
                    })
                })
                .collect::<Vec<_>>()
        };
        let (stop, done) = bounded::<()>(0);
        let waiting = blocked(done.clone());
        drop(stop);
        for sender in waiting {
            assert!(net::is_done(&sender.join().unwrap()));
        }
        let with_done = sender.with_done(&done);
        let over = with_done.send_to_addr(b"x", &address).unwrap_err();
        assert!(net::is_done(&over));

        let (_open, done) = bounded::<()>(0);
        let waiting = blocked(done.clone());
        sender.set_write_deadline(Some(Instant::now())).unwrap();
        for sender in waiting {
            let kind = sender.join().unwrap().kind();
            assert_eq!(kind, ErrorKind::TimedOut);
        }
        // The waiting senders have sent nothing: only older datagrams are left.
        receiver.set_nonblocking(true).unwrap();
        while receiver.recv(&mut [0]).is_ok() {}
        sender.set_deadline(None).unwrap();
        sender.send(b"last").unwrap();
        let mut buf = [0; 8];
        assert_eq!(receiver.recv(&mut buf).unwrap(), 4);
        assert!(receiver.recv(&mut buf).is_err());
    });
}

#[test]
fn what_has_arrived_survives_a_shutdown() {
    in_both(|| {
        let (datagram, other) = UnixDatagram::pair().unwrap();
        other.send(b"last").unwrap();
        datagram.shutdown(Shutdown::Read).unwrap();
        let mut buf = [0; 8];
        assert_eq!(datagram.recv(&mut buf).unwrap(), 4);
        assert_eq!(datagram.recv(&mut buf).unwrap(), 0);
        let broken = other.send(b"x").unwrap_err();
        assert_eq!(broken.kind(), ErrorKind::BrokenPipe);
        datagram.send(b"answer").unwrap();
        assert_eq!(other.recv(&mut buf).unwrap(), 6);
    });
}
