//! Streams and listeners: bytes in both directions, queues for connections, vectored calls.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use go_runtime::channel::{Sender, bounded, unbounded};
use go_runtime::net::{Shutdown, UnixListener, UnixStream};
use go_runtime::{go, gomaxprocs, scope, time};

use crate::net_unix::place;

use go_tests::support::{eventually, in_both};

/// Starts a server that echoes its input, with a goroutine for each connection; it ends when the
/// sender is dropped.
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
pub(crate) fn goroutines_and_threads_talk() {
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

/// While the listener's queue is full connecting waits, without holding a worker.
#[test]
pub(crate) fn connecting_waits_for_the_queue() {
    let (_directory, path) = place();
    // A queue for one or two connections, which std cannot set.
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
    // The workers can run other goroutines.
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

/// A read ends early at descriptors that were sent along; the bytes after them are read
/// nevertheless.
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
    // SAFETY: all zeroes is a valid header; its pointers are to locals that outlive the call, with
    // their lengths; `control` is aligned and has room for one descriptor.
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

#[test]
pub(crate) fn many_accept_on_one_listener() {
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
