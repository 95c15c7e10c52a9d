//! Sockets of the Unix domain: they behave as std's, park only the goroutine, and lose neither a
//! byte, a datagram nor a wake-up.
#![cfg(unix)]

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net as std_net;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use go_runtime::channel::{bounded, unbounded};
use go_runtime::go;
use go_runtime::net::{self, Shutdown, UnixDatagram, UnixListener, UnixStream};

use go_tests::support::{
    Scratch, at_several_gomaxprocs, in_both, in_goroutine, no_process_starts, scratch,
};

mod addresses;
mod datagrams;
mod streams;

fn place() -> (Scratch, PathBuf) {
    let directory = scratch("unix");
    let path = directory.path().join("socket");
    (directory, path)
}

/// A socket may be used by a goroutine on another worker than the one that first waited for it.
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
    listener.set_deadline(now).unwrap();
    stream.set_deadline(now).unwrap();
    datagram.set_read_deadline(now).unwrap();
    for goroutine in blocked {
        assert_eq!(goroutine.join().unwrap(), ErrorKind::TimedOut);
    }
    listener.set_deadline(None).unwrap();
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

/// A shutdown ends all writes that wait.
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

/// A write fails when the peer has shut down its reading side, although the system does not report
/// that.
#[test]
fn writes_fail_when_the_peer_has_ended_reading() {
    in_both(|| {
        let (client, server) = UnixStream::pair().unwrap();
        client
            .set_write_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        while (&client).write(&[0; 1 << 16]).is_ok() {}
        client.set_write_timeout(None).unwrap();
        server.shutdown(Shutdown::Read).unwrap();
        let error = (&client).write(b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

/// The peer sees the end when the last handle has been dropped, even if a goroutine had waited for
/// that handle.
#[test]
fn the_last_clone_closes() {
    in_goroutine(|| {
        let _alone = no_process_starts();
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
        // Datagrams that were sent before can still be received.
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
        // The sockets block again, in the system call.
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
#[ignore = "run by `at_several_numbers_of_workers`"]
fn workers_meet() {
    for _ in 0..3 {
        streams::goroutines_and_threads_talk();
        streams::connecting_waits_for_the_queue();
        sockets_go_from_hand_to_hand();
        streams::many_accept_on_one_listener();
        datagrams::a_full_queue_holds_the_sender();
        a_deadline_ends_what_waits();
        a_done_channel_ends_what_waits();
        shutdown_ends_what_waits();
    }
}

#[test]
fn at_several_numbers_of_workers() {
    at_several_gomaxprocs(&["workers_meet"]);
}
