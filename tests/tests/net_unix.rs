//! Sockets of the Unix domain: they behave as std's, park only the goroutine, and lose neither a byte, a datagram nor a wake-up.
#![cfg(unix)]

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net as std_net;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use go_runtime::channel::{Receiver, Sender, bounded, unbounded};
use go_runtime::net::{self, Shutdown, UnixDatagram, UnixListener, UnixSocketAddr, UnixStream};
use go_runtime::{go, gomaxprocs, scope, time};

mod support;
use support::{Scratch, at_several_gomaxprocs, eventually, in_both, in_goroutine, scratch};

fn place() -> (Scratch, PathBuf) {
    let directory = scratch("unix");
    let path = directory.path().join("socket");
    (directory, path)
}

/// A server that sends back what comes, a goroutine a connection; it ends when the sender is dropped.
fn echo_server(path: &Path) -> Sender<()> {
    let listener = UnixListener::bind(path).unwrap();
    let (stop, done) = bounded::<()>(0);
    go! {
        for stream in listener.with_done(&done).incoming() {
            let stream = stream.unwrap();
            go!(move || std::io::copy(&mut &stream, &mut &stream));
        }
    };
    stop
}

fn talk(path: &Path, messages: u32) {
    let mut stream = UnixStream::connect(path).unwrap();
    for n in 0..messages {
        stream.write_all(&n.to_le_bytes()).unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(u32::from_le_bytes(answer), n);
    }
}

#[test]
fn goroutines_and_threads_talk() {
    let (_directory, path) = place();
    let path = &*path;
    let _stop = echo_server(path);
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| talk(path, 100));
        }
        scope(|s| {
            for _ in 0..20 * gomaxprocs() {
                go!(s; talk(path, 20));
            }
        });
    });
}

/// Who connects waits while the listener's queue is full, without holding a worker.
#[test]
fn connecting_waits_for_the_queue() {
    let (_directory, path) = place();
    // A queue for one or two, which std's does not offer.
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&socket2::SockAddr::unix(&path).unwrap())
        .unwrap();
    socket.listen(1).unwrap();
    let listener = UnixListener::from(OwnedFd::from(socket));
    let clients = 4 * gomaxprocs() + 4;
    let (tx, rx) = unbounded();
    for _ in 0..clients {
        go!(clone(tx, path) { tx.send(UnixStream::connect(&path).unwrap()).unwrap() });
    }
    // The workers are free for others.
    for _ in 0..20 {
        go!(time::sleep(Duration::from_millis(1))).join().unwrap();
    }
    for _ in 0..clients {
        let (server, _) = listener.accept().unwrap();
        (&server).write_all(b"!").unwrap();
    }
    for _ in 0..clients {
        let client = rx.recv().unwrap();
        let mut all = Vec::new();
        (&client).read_to_end(&mut all).unwrap();
        assert_eq!(all, b"!");
    }
}

#[test]
fn much_data_both_ways_at_once() {
    const BYTES: usize = 4 << 20;
    let (one, other) = UnixStream::pair().unwrap();
    let write = |stream: &UnixStream| {
        let block: Vec<u8> = (0..=255).cycle().take(1 << 16).collect();
        for _ in 0..BYTES >> 16 {
            (&mut &*stream).write_all(&block).unwrap();
        }
        stream.shutdown(Shutdown::Write).unwrap();
    };
    let read = |mut stream: &UnixStream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), BYTES);
        assert!(all.iter().enumerate().all(|(i, byte)| *byte == i as u8));
    };
    scope(|s| {
        go!(s; write(&one));
        go!(s; write(&other));
        go!(s; read(&one));
        go!(s; read(&other));
    });
}

/// Descriptors that are sent along end a read early: what comes after them is read nevertheless.
#[cfg(target_os = "linux")]
#[test]
fn a_read_that_ends_early_leaves_more() {
    let (one, other) = UnixStream::pair().unwrap();
    let reader = go! {
        let mut buf = [0; 64];
        let mut all = Vec::new();
        loop {
            match (&other).read(&mut buf).unwrap() {
                0 => return all,
                n => all.extend_from_slice(&buf[..n]),
            }
        }
    };
    for _ in 0..20 {
        go_runtime::yield_now();
        send_descriptor(&one, b"ab");
        (&one).write_all(b"cd").unwrap();
    }
    drop(one);
    assert_eq!(reader.join().unwrap(), b"abcd".repeat(20));
}

/// Sends `bytes`, and a duplicate of the stream's own descriptor.
#[cfg(target_os = "linux")]
fn send_descriptor(stream: &UnixStream, bytes: &[u8]) {
    let fd = stream.as_raw_fd();
    let mut iov = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut control = [0u64; 8];
    // SAFETY: all zero is a valid header; the pointers in it are to locals that live until the call has ended, with their lengths; `control` is
    // aligned and has room for one descriptor.
    let sent = unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_iov = &mut iov;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = libc::CMSG_SPACE(4) as _;
        let first = libc::CMSG_FIRSTHDR(&header);
        (*first).cmsg_level = libc::SOL_SOCKET;
        (*first).cmsg_type = libc::SCM_RIGHTS;
        (*first).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(first).cast::<i32>().write_unaligned(fd);
        libc::sendmsg(fd, &header, 0)
    };
    assert_eq!(sent, bytes.len() as isize);
}

#[test]
fn vectored() {
    in_both(|| {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let parts = [IoSlice::new(b"hello"), IoSlice::new(b" world")];
        assert_eq!(one.write_vectored(&parts).unwrap(), 11);
        let (mut start, mut end) = ([0; 6], [0; 6]);
        let mut parts = [IoSliceMut::new(&mut start), IoSliceMut::new(&mut end)];
        assert_eq!(other.read_vectored(&mut parts).unwrap(), 11);
        assert_eq!((&start, &end[..5]), (b"hello ", &b"world"[..]));
    });
}

/// Used by a goroutine of another worker than the one where it was waited for first.
#[test]
fn sockets_go_from_hand_to_hand() {
    let (client, stream) = UnixStream::pair().unwrap();
    let (sender, receiver) = UnixDatagram::pair().unwrap();
    let (tx, rx) = unbounded();
    tx.send((stream, receiver)).unwrap();
    let readers: Vec<_> = (0..50u8)
        .map(|_| {
            go!(clone(tx, rx) {
                let (stream, receiver) = rx.recv().unwrap();
                let (mut one, mut other) = ([0], [0]);
                (&stream).read_exact(&mut one).unwrap();
                receiver.recv(&mut other).unwrap();
                tx.send((stream, receiver)).unwrap();
                assert_eq!(one, other);
                one[0]
            })
        })
        .collect();
    for byte in 0..50 {
        (&client).write_all(&[byte]).unwrap();
        thread::yield_now();
        sender.send(&[byte]).unwrap();
    }
    let mut got: Vec<u8> = readers.into_iter().map(|r| r.join().unwrap()).collect();
    got.sort();
    assert_eq!(got, (0..50).collect::<Vec<u8>>());
}

#[test]
fn many_accept_on_one_listener() {
    let (_directory, path) = place();
    let listener = Arc::new(UnixListener::bind(&path).unwrap());
    let acceptors: Vec<_> = (0..50)
        .map(|_| go!(clone(listener) { listener.accept().unwrap() }))
        .collect();
    let clients: Vec<_> = (0..50)
        .map(|_| UnixStream::connect(&path).unwrap())
        .collect();
    for acceptor in acceptors {
        acceptor.join().unwrap();
    }
    drop(clients);
}

#[test]
fn addresses() {
    in_both(|| {
        let (_directory, path) = place();
        let listener = UnixListener::bind(&path).unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(address.as_pathname(), Some(&*path));
        let client = UnixStream::connect_addr(&address).unwrap();
        let (server, from) = listener.accept().unwrap();
        assert!(from.is_unnamed());
        assert!(client.local_addr().unwrap().is_unnamed());
        assert!(server.peer_addr().unwrap().is_unnamed());
        assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*path));
        assert_eq!(server.local_addr().unwrap().as_pathname(), Some(&*path));
        assert!(client.take_error().unwrap().is_none());
        assert!(listener.take_error().unwrap().is_none());
        // The path stays.
        drop(listener);
        let gone = UnixStream::connect(&path).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::ConnectionRefused);
        for in_use in [
            UnixListener::bind(&path).map(drop),
            UnixListener::bind_addr(&address).map(drop),
            UnixDatagram::bind(&path).map(drop),
            UnixDatagram::bind_addr(&address).map(drop),
        ] {
            assert_eq!(in_use.unwrap_err().kind(), ErrorKind::AddrInUse);
        }
    });
}

#[test]
fn bad_addresses() {
    let (_directory, path) = place();
    for (bad, kind) in [
        (path.clone(), ErrorKind::NotFound),
        (path.join("x".repeat(200)), ErrorKind::InvalidInput),
        (PathBuf::from("a\0b"), ErrorKind::InvalidInput),
        (PathBuf::from("\0b"), ErrorKind::InvalidInput),
    ] {
        let unbound = UnixDatagram::unbound().unwrap();
        for result in [
            UnixStream::connect(&bad).map(drop),
            unbound.connect(&bad),
            unbound.send_to(b"x", &bad).map(drop),
        ] {
            assert_eq!(result.unwrap_err().kind(), kind, "{bad:?}");
        }
    }
    let unnamed = UnixDatagram::unbound().unwrap().local_addr().unwrap();
    let ours = UnixStream::connect_addr(&unnamed).unwrap_err();
    let theirs = std_net::UnixStream::connect_addr(&unnamed).unwrap_err();
    assert_eq!(ours.kind(), theirs.kind());
    // As std has it too.
    assert_eq!(
        UnixStream::connect("").unwrap_err().kind(),
        std_net::UnixStream::connect("").unwrap_err().kind()
    );
}

#[cfg(target_os = "linux")]
#[test]
fn abstract_addresses() {
    use std::os::linux::net::SocketAddrExt;

    in_both(|| {
        let name = |kind: &str| {
            let name = format!(
                "go-{kind}-{}-{:?}",
                std::process::id(),
                thread::current().id()
            );
            (
                UnixSocketAddr::from_abstract_name(&name).unwrap(),
                name.into_bytes(),
            )
        };
        let (address, bytes) = name("stream");
        let listener = UnixListener::bind_addr(&address).unwrap();
        let mut client = UnixStream::connect_addr(&address).unwrap();
        let peer = client.peer_addr().unwrap();
        assert_eq!(peer.as_abstract_name(), Some(&*bytes));
        (&listener.accept().unwrap().0).write_all(b"hi").unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hi");

        let (address, bytes) = name("datagram");
        let server = UnixDatagram::bind_addr(&address).unwrap();
        let client = UnixDatagram::unbound().unwrap();
        client.send_to_addr(b"one", &address).unwrap();
        client.connect_addr(&address).unwrap();
        let peer = client.peer_addr().unwrap();
        assert_eq!(peer.as_abstract_name(), Some(&*bytes));
        client.send(b"three").unwrap();
        let mut buf = [0; 8];
        let (n, from) = server.recv_from(&mut buf).unwrap();
        assert!(from.is_unnamed());
        assert_eq!((n, server.recv(&mut buf).unwrap()), (3, 5));
    });
}

#[test]
fn incoming() {
    in_both(|| {
        let (_directory, path) = place();
        let listener = UnixListener::bind(&path).unwrap();
        let _clients = [1, 2, 3].map(|_| UnixStream::connect(&path).unwrap());
        assert_eq!(listener.incoming().take(2).flatten().count(), 2);
        let stream = (&listener).into_iter().next().unwrap().unwrap();
        assert!(stream.peer_addr().unwrap().is_unnamed());
        listener.set_nonblocking(true).unwrap();
        let none = listener.accept().unwrap_err();
        assert_eq!(none.kind(), ErrorKind::WouldBlock);
    });
}

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
        // The rest of it is lost; an empty one is one too.
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

/// Sending waits for room, by either way of sending, and nothing is lost or out of order.
#[test]
fn a_full_queue_holds_the_sender() {
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

/// All ways of sending a datagram end by a timeout, a deadline, and a done channel.
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
        sender.set_deadline(Some(Instant::now()));
        assert_eq!(kinds(), [ErrorKind::TimedOut; 3]);
        sender.set_deadline(None);

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
        sender.set_write_deadline(Some(Instant::now()));
        for sender in waiting {
            let kind = sender.join().unwrap().kind();
            assert_eq!(kind, ErrorKind::TimedOut);
        }
        // None of them has sent.
        receiver.set_nonblocking(true).unwrap();
        while receiver.recv(&mut [0]).is_ok() {}
        sender.set_deadline(None);
        sender.send(b"last").unwrap();
        let mut buf = [0; 8];
        assert_eq!(receiver.recv(&mut buf).unwrap(), 4);
        assert!(receiver.recv(&mut buf).is_err());
    });
}

#[test]
fn timeouts() {
    in_both(|| {
        let timeout = Some(Duration::from_millis(5));
        let (stream, other) = UnixStream::pair().unwrap();
        assert_eq!(stream.read_timeout().unwrap(), None);
        stream.set_read_timeout(timeout).unwrap();
        stream.set_write_timeout(timeout).unwrap();
        assert_eq!(stream.write_timeout().unwrap(), timeout);
        let late = (&stream).read(&mut [0]).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        let block = [0; 1 << 16];
        let late = loop {
            if let Err(error) = (&stream).write(&block) {
                break error;
            }
        };
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        (&other).write_all(b"x").unwrap();
        assert_eq!((&stream).read(&mut [0]).unwrap(), 1);

        let (datagram, other) = UnixDatagram::pair().unwrap();
        datagram.set_read_timeout(timeout).unwrap();
        assert_eq!(datagram.read_timeout().unwrap(), timeout);
        let late = datagram.recv_from(&mut [0]).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        other.send(b"x").unwrap();
        assert_eq!(datagram.recv(&mut [0]).unwrap(), 1);
        for zero in [
            stream.set_read_timeout(Some(Duration::ZERO)),
            stream.set_write_timeout(Some(Duration::ZERO)),
            datagram.set_read_timeout(Some(Duration::ZERO)),
            datagram.set_write_timeout(Some(Duration::ZERO)),
        ] {
            assert_eq!(zero.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    });
}

#[test]
fn a_deadline_ends_what_waits() {
    let (_directory, path) = place();
    let listener = Arc::new(UnixListener::bind(&path).unwrap());
    let (stream, _other) = UnixStream::pair().unwrap();
    let (datagram, _another) = UnixDatagram::pair().unwrap();
    let (stream, datagram) = (Arc::new(stream), Arc::new(datagram));
    let (waits, waiting) = unbounded();
    let blocked: Vec<_> = (0..9)
        .map(|n| {
            go!(clone(listener, stream, datagram, waits) {
                waits.send(()).unwrap();
                match n % 3 {
                    0 => listener.accept().unwrap_err().kind(),
                    1 => (&*stream).read(&mut [0]).unwrap_err().kind(),
                    _ => datagram.recv(&mut [0]).unwrap_err().kind(),
                }
            })
        })
        .collect();
    for _ in 0..9 {
        waiting.recv().unwrap();
    }
    let now = Some(Instant::now());
    listener.set_deadline(now);
    stream.set_deadline(now);
    datagram.set_read_deadline(now);
    for goroutine in blocked {
        assert_eq!(goroutine.join().unwrap(), ErrorKind::TimedOut);
    }
    listener.set_deadline(None);
    let _client = UnixStream::connect(&path).unwrap();
    listener.accept().unwrap();
}

#[test]
fn a_done_channel_ends_what_waits() {
    let (_directory, path) = place();
    let listener = Arc::new(UnixListener::bind(&path).unwrap());
    let (stream, other) = UnixStream::pair().unwrap();
    let (datagram, another) = UnixDatagram::pair().unwrap();
    let (stream, datagram) = (Arc::new(stream), Arc::new(datagram));
    let (stop, done) = bounded::<()>(0);
    let (waits, waiting) = unbounded();
    let blocked: Vec<_> = (0..8)
        .map(|n| {
            go!(clone(listener, stream, datagram, waits, done) {
                waits.send(()).unwrap();
                match n % 4 {
                    0 => listener.with_done(&done).accept().unwrap_err(),
                    1 => stream.with_done(&done).read(&mut [0]).unwrap_err(),
                    2 => datagram.with_done(&done).recv(&mut [0]).unwrap_err(),
                    _ => datagram.with_done(&done).recv_from(&mut [0]).unwrap_err(),
                }
            })
        })
        .collect();
    for _ in 0..8 {
        waiting.recv().unwrap();
    }
    drop(stop);
    for goroutine in blocked {
        assert!(net::is_done(&goroutine.join().unwrap()));
    }
    assert_eq!(listener.with_done(&done).incoming().count(), 0);
    let error = stream.with_done(&done).write(b"x").unwrap_err();
    assert!(net::is_done(&error));
    let error = datagram.with_done(&done).send(b"x").unwrap_err();
    assert!(net::is_done(&error));
    // Nothing is lost.
    let _client = UnixStream::connect(&path).unwrap();
    (&other).write_all(b"here").unwrap();
    another.send(b"there").unwrap();
    let error = datagram.with_done(&done).recv(&mut [0]).unwrap_err();
    assert!(net::is_done(&error));
    listener.accept().unwrap();
    let mut buf = [0; 8];
    (&*stream).read_exact(&mut buf[..4]).unwrap();
    assert_eq!(&buf[..4], b"here");
    assert_eq!(datagram.recv(&mut buf).unwrap(), 5);
    assert_eq!(&buf[..5], b"there");
}

#[test]
fn shutdown_ends_what_waits() {
    let (stream, _other) = UnixStream::pair().unwrap();
    let (datagram, _another) = UnixDatagram::pair().unwrap();
    let (stream, datagram) = (Arc::new(stream), Arc::new(datagram));
    let (waits, waiting) = unbounded();
    let reader = go!(clone(stream, waits) {
        waits.send(()).unwrap();
        (&*stream).read(&mut [0])
    });
    let receiver = go!(clone(datagram) {
        waits.send(()).unwrap();
        datagram.recv(&mut [0])
    });
    waiting.recv().unwrap();
    waiting.recv().unwrap();
    stream.shutdown(Shutdown::Both).unwrap();
    datagram.shutdown(Shutdown::Both).unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), 0);
    assert_eq!(receiver.join().unwrap().unwrap(), 0);
    let broken = (&*stream).write(b"x").unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::BrokenPipe);
    let (n, from) = datagram.recv_from(&mut [0]).unwrap();
    assert!(n == 0 && from.is_unnamed());
    let broken = datagram.send(b"x").unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::BrokenPipe);
}

/// All who wait to write.
#[test]
fn shutdown_ends_writes_that_wait() {
    let (client, _server) = UnixStream::pair().unwrap();
    let timeout = Duration::from_millis(1);
    client.set_write_timeout(Some(timeout)).unwrap();
    while (&client).write(&[0; 1 << 16]).is_ok() {}
    client.set_write_timeout(None).unwrap();
    let (waits, waiting) = bounded(0);
    let writers: Vec<_> = (0..3)
        .map(|_| {
            let (client, waits) = (client.try_clone().unwrap(), waits.clone());
            go! {
                waits.send(()).unwrap();
                (&client).write(b"x").unwrap_err().kind()
            }
        })
        .collect();
    for _ in 0..3 {
        waiting.recv().unwrap();
    }
    client.shutdown(Shutdown::Write).unwrap();
    for writer in writers {
        assert_eq!(writer.join().unwrap(), ErrorKind::BrokenPipe);
    }
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

/// The other side sees the end when the last handle has gone, also of one that was waited for.
#[test]
fn the_last_clone_closes() {
    in_goroutine(|| {
        let (stream, other) = UnixStream::pair().unwrap();
        let clone = stream.try_clone().unwrap();
        assert_eq!(clone.as_raw_fd(), stream.as_raw_fd());
        clone
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        (&stream).read(&mut [0]).unwrap_err();
        drop(stream);
        (&clone).write_all(b"x").unwrap();
        drop(clone);
        let mut all = Vec::new();
        (&other).read_to_end(&mut all).unwrap();
        assert_eq!(all, b"x");

        let (datagram, other) = UnixDatagram::pair().unwrap();
        let clone = datagram.try_clone().unwrap();
        drop(datagram);
        clone.send(b"x").unwrap();
        drop(clone);
        let gone = other.send(b"x").unwrap_err();
        // What was sent before can still be received.
        assert!(
            matches!(
                gone.kind(),
                ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
            ),
            "{gone}"
        );

        let (_directory, path) = place();
        let listener = UnixListener::bind(&path).unwrap();
        let clone = listener.try_clone().unwrap();
        drop(listener);
        drop(UnixStream::connect(&path).unwrap());
        drop(clone);
        let gone = UnixStream::connect(&path).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn to_std_and_back() {
    let (_directory, path) = place();
    let listener = std_net::UnixListener::from(UnixListener::bind(&path).unwrap());
    let (stream, other) = UnixStream::pair().unwrap();
    let (datagram, another) = UnixDatagram::pair().unwrap();
    let stream = std_net::UnixStream::from(stream);
    let datagram = std_net::UnixDatagram::from(datagram);
    let waits = thread::spawn(move || {
        // Blocking again: they wait in the system.
        listener.accept().unwrap();
        (&stream).read_exact(&mut [0]).unwrap();
        datagram.recv(&mut [0]).unwrap();
        (listener, stream, datagram)
    });
    let _client = UnixStream::connect(&path).unwrap();
    (&other).write_all(b"1").unwrap();
    another.send(b"1").unwrap();
    let (listener, stream, datagram) = waits.join().unwrap();
    let listener = UnixListener::from(listener);
    let stream = UnixStream::from(stream);
    let datagram = UnixDatagram::from(OwnedFd::from(datagram));
    for debug in [
        format!("{listener:?}{:?}", listener.as_raw_fd()),
        format!("{stream:?}{:?}", stream.as_raw_fd()),
        format!("{datagram:?}{:?}", datagram.as_raw_fd()),
    ] {
        assert!(debug.starts_with("Unix"), "{debug}");
    }
    let waits = go! {
        listener.accept().unwrap();
        (&stream).read_exact(&mut [0]).unwrap();
        datagram.recv(&mut [0]).unwrap();
    };
    let _client = UnixStream::connect(&path).unwrap();
    (&other).write_all(b"2").unwrap();
    another.send(b"2").unwrap();
    waits.join().unwrap();
}

#[test]
fn non_blocking_when_asked() {
    in_both(|| {
        let (mut stream, mut other) = UnixStream::pair().unwrap();
        stream.set_nonblocking(true).unwrap();
        let empty = stream.read(&mut [0]).unwrap_err();
        assert_eq!(empty.kind(), ErrorKind::WouldBlock);
        other.write_all(b"x").unwrap();
        eventually(|| stream.read(&mut [0]).is_ok());
        stream.set_nonblocking(false).unwrap();
        other.write_all(b"y").unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 1);
    });
}

#[test]
#[ignore = "run by `at_several_numbers_of_workers`"]
fn workers_meet() {
    for _ in 0..3 {
        goroutines_and_threads_talk();
        connecting_waits_for_the_queue();
        sockets_go_from_hand_to_hand();
        many_accept_on_one_listener();
        a_full_queue_holds_the_sender();
        a_deadline_ends_what_waits();
        a_done_channel_ends_what_waits();
        shutdown_ends_what_waits();
    }
}

#[test]
fn at_several_numbers_of_workers() {
    at_several_gomaxprocs(&["workers_meet"]);
}
