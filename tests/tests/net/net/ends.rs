//! The ends of a wait: timeouts, deadlines, done channels, and what the peer does.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use go_runtime::channel::{bounded, unbounded};
use go_runtime::net::{self, Shutdown, TcpListener, TcpStream, UnixStream};
use go_runtime::{go, time};

use crate::net::pair;

use go_tests::support::{in_both, in_goroutine};

#[test]
fn timeouts() {
    let (client, server) = pair();
    let check = move || {
        client
            .set_read_timeout(Some(Duration::from_millis(5)))
            .unwrap();
        let error = (&client).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // Nothing is lost, and the stream can be used again.
        (&server).write_all(b"x").unwrap();
        let mut byte = [0];
        (&client).read_exact(&mut byte).unwrap();
        client
            .set_write_timeout(Some(Duration::from_millis(5)))
            .unwrap();
        let block = vec![0; 1 << 20];
        let error = loop {
            if let Err(error) = (&client).write(&block) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let zero = client.set_read_timeout(Some(Duration::ZERO));
        assert_eq!(zero.unwrap_err().kind(), ErrorKind::InvalidInput);
    };
    go!(check()).join().unwrap();
}

/// A byte that came in time is read even if the reader's worker was held, so that the reader learns
/// of the byte after its deadline.
#[test]
fn what_has_come_in_time_is_read() {
    /// A hold that is too short for the monitor to poll in the worker's place.
    const SHORT: Duration = Duration::from_millis(2);
    const LONG: Duration = Duration::from_millis(30);

    /// Returns `None` if the byte did not come in time.
    fn round(limit: Duration, by_deadline: bool) -> Option<io::Result<usize>> {
        let (client, server) = pair();
        if !by_deadline {
            client.set_read_timeout(Some(limit)).unwrap();
        }
        let (waits, waiting) = bounded(0);
        let (written, is_written) = bounded(0);
        let writer = go! {
            waiting.recv().unwrap();
            (&server).write_all(b"x").unwrap();
            written.send(Instant::now()).unwrap();
            server
        };
        let reader = go! {
            let holds = go!(local; {
                waits.send(()).unwrap();
                let when = is_written.recv().unwrap();
                while when.elapsed() < 2 * limit {}
                when
            });
            let since = Instant::now();
            if by_deadline {
                client.set_read_deadline(Some(since + limit)).unwrap();
            }
            let read = (&client).read(&mut [0]);
            let in_time = holds.join().unwrap() < since + limit / 2;
            (in_time || read.is_ok()).then_some(read)
        };
        let read = reader.join().unwrap();
        writer.join().unwrap();
        read
    }

    for (limit, by_deadline) in [(SHORT, false), (SHORT, true), (LONG, false), (LONG, true)] {
        let mut rounds = std::iter::from_fn(|| Some(round(limit, by_deadline)));
        assert_eq!(rounds.find_map(|read| read).unwrap().unwrap(), 1);
    }
}

/// As in Go, a new deadline also ends all waits that have begun.
#[test]
fn a_deadline_ends_what_waits() {
    let (client, _server) = pair();
    let client = Arc::new(client);
    let (waits, waiting) = unbounded();
    let readers: Vec<_> = (0..10)
        .map(|_| {
            go!(clone(client, waits) {
                waits.send(()).unwrap();
                (&*client).read(&mut [0]).unwrap_err().kind()
            })
        })
        .collect();
    for _ in 0..10 {
        waiting.recv().unwrap();
    }
    client.set_deadline(Some(Instant::now())).unwrap();
    for reader in readers {
        assert_eq!(reader.join().unwrap(), ErrorKind::TimedOut);
    }
    let over = (&*client).write(b"x").unwrap_err();
    assert_eq!(over.kind(), ErrorKind::TimedOut);
    client.set_deadline(None).unwrap();
    assert_eq!((&*client).write(b"x").unwrap(), 1);
}

#[test]
fn a_deadline_can_be_put_off() {
    let (client, server) = pair();
    let client = Arc::new(client);
    client
        .set_read_deadline(Some(Instant::now() + Duration::from_millis(20)))
        .unwrap();
    let reader = go!(clone(client) {
        let mut byte = [0];
        (&*client).read_exact(&mut byte).map(|()| byte)
    });
    client.set_read_deadline(None).unwrap();
    time::sleep(Duration::from_millis(40));
    (&server).write_all(b"!").unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), *b"!");
}

#[test]
fn a_done_channel_ends_reads_and_accepts() {
    for from_thread in [false, true] {
        let (client, server) = pair();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (stop, done) = bounded::<()>(0);
        let check = move || {
            let mut buf = [0; 8];
            (&server).write_all(b"before").unwrap();
            let mut stream = client.with_done(&done);
            stream.read_exact(&mut buf[..6]).unwrap();
            assert_eq!(&buf[..6], b"before");
            drop(stop);
            assert!(net::is_done(&stream.peek(&mut buf).unwrap_err()));
            assert!(net::is_done(&stream.read(&mut buf).unwrap_err()));
            assert!(net::is_done(
                &listener.with_done(&done).accept().unwrap_err()
            ));
            assert_eq!(listener.with_done(&done).incoming().count(), 0);
            // Nothing is lost.
            (&server).write_all(b"after").unwrap();
            (&client).read_exact(&mut buf[..5]).unwrap();
            assert_eq!(&buf[..5], b"after");
        };
        if from_thread {
            check();
        } else {
            go!(check()).join().unwrap();
        }
    }
}

#[test]
fn a_done_channel_ends_what_waits() {
    let (client, _server) = pair();
    let (stop, done) = bounded::<()>(0);
    let (waits, waiting) = bounded(0);
    let reader = go! {
        waits.send(()).unwrap();
        client.with_done(&done).read(&mut [0]).unwrap_err()
    };
    waiting.recv().unwrap();
    drop(stop);
    assert!(net::is_done(&reader.join().unwrap()));
}

#[test]
fn a_peer_that_resets() {
    let (client, server) = pair();
    let reader = go! {
        let mut all = Vec::new();
        (&client).read_to_end(&mut all).map(|_| all)
    };
    socket2::SockRef::from(&server)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(server);
    let error = reader.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn shutdown_ends_a_read_that_waits() {
    let (client, _server) = pair();
    let clone = client.try_clone().unwrap();
    let (waits, waiting) = bounded(0);
    let reader = go! {
        waits.send(()).unwrap();
        (&clone).read(&mut [0])
    };
    waiting.recv().unwrap();
    client.shutdown(Shutdown::Both).unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), 0);
}

#[test]
fn connections_that_come_may_be_kept() {
    in_both(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (stop, done) = bounded::<()>(0);
        let mut connections = listener.with_done(&done).incoming();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(connections.next().unwrap().is_ok());
        drop(stop);
        assert!(connections.next().is_none());
    });
}

/// A goroutine that repeats a call that fails at once lets others of its worker run.
#[test]
fn failures_at_once_do_not_keep_others_out() {
    fn until_another_runs(mut attempt: impl FnMut() -> bool) {
        let ran = Arc::new(AtomicBool::new(false));
        go!(local; clone(ran) { ran.store(true, Ordering::Relaxed) });
        while !ran.load(Ordering::Relaxed) {
            assert!(!attempt());
        }
    }

    in_goroutine(|| {
        let (client, _server) = pair();
        client.set_nonblocking(true).unwrap();
        until_another_runs(|| (&client).read(&mut [0]).is_ok());
        client.set_nonblocking(false).unwrap();
        client.set_read_deadline(Some(Instant::now())).unwrap();
        until_another_runs(|| (&client).read(&mut [0]).is_ok());

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (stop, done) = bounded::<()>(0);
        drop(stop);
        until_another_runs(|| listener.with_done(&done).accept().is_ok());

        let address = listener.local_addr().unwrap();
        drop(listener);
        until_another_runs(|| TcpStream::connect(address).is_ok());
        until_another_runs(|| UnixStream::connect("/no/such/socket").is_ok());
    });
}
