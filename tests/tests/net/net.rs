//! Sockets: they behave as std's, park only the goroutine, and lose neither a byte nor a wake-up.
#![cfg(unix)]

mod descriptors;
mod dialing;
mod ends;

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use go_runtime::channel::{bounded, unbounded};
use go_runtime::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use go_runtime::{go, gomaxprocs, scope, time};

use go_tests::support::in_both;

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Starts a server that echoes its input, with a goroutine for each connection; it ends when the
/// sender is dropped.
fn echo_server() -> (SocketAddr, go_runtime::channel::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, done) = bounded::<()>(0);
    go! {
        for stream in listener.with_done(&done).incoming() {
            let stream = stream.unwrap();
            go! {
                let mut buf = [0; 512];
                loop {
                    match (&stream).read(&mut buf) {
                        Ok(0) | Err(_) => return,
                        Ok(n) => (&stream).write_all(&buf[..n]).unwrap(),
                    }
                }
            };
        }
    };
    (address, stop)
}

fn talk(address: SocketAddr, messages: u32) {
    let mut stream = TcpStream::connect(address).unwrap();
    for n in 0..messages {
        stream.write_all(&n.to_le_bytes()).unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(u32::from_le_bytes(answer), n);
    }
}

#[test]
fn more_connections_than_workers() {
    let (address, _stop) = echo_server();
    scope(|s| {
        for _ in 0..50 * gomaxprocs() {
            go!(s; talk(address, 50));
        }
    });
}

#[test]
fn plain_threads_and_goroutines_meet() {
    let (address, _stop) = echo_server();
    thread::scope(|s| {
        for _ in 0..8 {
            s.spawn(|| talk(address, 100));
        }
    });
}

#[test]
fn a_thread_serves_goroutines() {
    let (client, server) = pair();
    let served = thread::spawn(move || {
        let mut all = Vec::new();
        (&server).read_to_end(&mut all).unwrap();
        all
    });
    go! {
        for byte in 0..=255 {
            (&client).write_all(&[byte]).unwrap();
            go_runtime::yield_now();
        }
    }
    .join()
    .unwrap();
    assert_eq!(served.join().unwrap(), (0..=255).collect::<Vec<u8>>());
}

/// The last bytes and the end of the stream arrive together, so there is one event for both.
#[test]
fn the_end_is_seen_after_a_partial_read() {
    go! {
        for _ in 0..200 {
            let (client, server) = pair();
            let reader = go! {
                let mut buf = [0; 64];
                let mut all = Vec::new();
                loop {
                    match (&server).read(&mut buf).unwrap() {
                        0 => return all,
                        n => all.extend_from_slice(&buf[..n]),
                    }
                }
            };
            go_runtime::yield_now();
            (&client).write_all(b"bye").unwrap();
            drop(client);
            assert_eq!(reader.join().unwrap(), b"bye");
        }
    }
    .join()
    .unwrap();
}

#[test]
fn much_data_both_ways_at_once() {
    const BYTES: usize = 8 << 20;
    let (client, server) = pair();
    let (client, server) = (Arc::new(client), Arc::new(server));
    let write = |stream: Arc<TcpStream>| {
        go! {
            let block: Vec<u8> = (0..=255).cycle().take(1 << 16).collect();
            for _ in 0..BYTES >> 16 {
                (&*stream).write_all(&block).unwrap();
            }
            stream.shutdown(Shutdown::Write).unwrap();
        }
    };
    let read = |stream: Arc<TcpStream>| {
        go! {
            let mut all = Vec::new();
            (&*stream).read_to_end(&mut all).unwrap();
            assert_eq!(all.len(), BYTES);
            assert!(all.iter().enumerate().all(|(i, byte)| *byte == i as u8));
        }
    };
    let all = [
        write(client.clone()),
        write(server.clone()),
        read(client),
        read(server),
    ];
    for goroutine in all {
        goroutine.join().unwrap();
    }
}

/// A stream may be used by a goroutine on another worker than the one that first waited for it.
#[test]
fn a_stream_goes_from_hand_to_hand() {
    let (client, server) = pair();
    let (tx, rx) = unbounded();
    tx.send(server).unwrap();
    let readers: Vec<_> = (0..100u8)
        .map(|_| {
            go!(clone(tx, rx) {
                let server: TcpStream = rx.recv().unwrap();
                let mut byte = [0];
                (&server).read_exact(&mut byte).unwrap();
                tx.send(server).unwrap();
                byte[0]
            })
        })
        .collect();
    for byte in 0..100 {
        (&client).write_all(&[byte]).unwrap();
        thread::yield_now();
    }
    let mut got: Vec<u8> = readers.into_iter().map(|r| r.join().unwrap()).collect();
    got.sort();
    assert_eq!(got, (0..100).collect::<Vec<u8>>());
}

/// All goroutines wait for the same direction; each wake-up is for one of them, and none is left
/// behind.
#[test]
fn many_accept_on_one_listener() {
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    let acceptors: Vec<_> = (0..50)
        .map(|_| go!(clone(listener) { listener.accept().unwrap() }))
        .collect();
    let clients: Vec<_> = (0..50)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    for acceptor in acceptors {
        acceptor.join().unwrap();
    }
    drop(clients);
}

#[test]
fn connections_are_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let kinds = [
        go!(TcpStream::connect(address)).join().unwrap(),
        TcpStream::connect(address),
        TcpStream::connect_timeout(&address, Duration::from_secs(10)),
    ];
    for result in kinds {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
    let none: &[SocketAddr] = &[];
    assert_eq!(
        TcpStream::connect(none).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    let zero = TcpStream::connect_timeout(&address, Duration::ZERO).unwrap_err();
    assert_eq!(zero.kind(), ErrorKind::InvalidInput);
}

#[test]
fn names_are_looked_up() {
    let listener = TcpListener::bind("localhost:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connected = go!(TcpStream::connect(("localhost", port))).join().unwrap();
    assert_eq!(connected.unwrap().peer_addr().unwrap().port(), port);
    assert!(go!(TcpStream::connect("no port")).join().unwrap().is_err());
    in_both(|| {
        let mut addresses = ("localhost", 80).to_socket_addrs().unwrap();
        assert!(addresses.all(|address| address.ip().is_loopback() && address.port() == 80));
        assert!("no port".to_socket_addrs().is_err());
    });
}

#[test]
fn peek_leaves_what_it_reads() {
    let (client, server) = pair();
    go! {
        (&server).write_all(b"abc").unwrap();
        let mut buf = [0; 3];
        while client.peek(&mut buf).unwrap() < 3 {
            go_runtime::yield_now();
        }
        assert_eq!(&buf, b"abc");
        let mut again = [0; 3];
        (&client).read_exact(&mut again).unwrap();
        assert_eq!(&again, b"abc");
    }
    .join()
    .unwrap();
}

#[test]
fn to_std_and_back() {
    let (client, server) = pair();
    let client = std::net::TcpStream::from(client);
    let reader = thread::spawn(move || {
        let mut byte = [0];
        // The stream blocks again, in the system call.
        (&client).read_exact(&mut byte).unwrap();
        (client, byte)
    });
    (&server).write_all(b"1").unwrap();
    let (client, byte) = reader.join().unwrap();
    assert_eq!(&byte, b"1");
    let client = TcpStream::from(client);
    let reader = go! {
        let mut byte = [0];
        (&client).read_exact(&mut byte).unwrap();
        byte
    };
    (&server).write_all(b"2").unwrap();
    assert_eq!(&reader.join().unwrap(), b"2");
}

/// A goroutine that unwinds blocks its thread, and with it the worker's poller.
#[test]
fn a_drop_reads_during_a_panic() {
    struct Reads(TcpStream, go_runtime::channel::Sender<[u8; 1]>);
    impl Drop for Reads {
        fn drop(&mut self) {
            let mut byte = [0];
            (&self.0).read_exact(&mut byte).unwrap();
            self.1.send(byte).unwrap();
        }
    }
    let (client, server) = pair();
    let (tx, rx) = unbounded();
    let unwinding = go! {
        let _reads = Reads(client, tx);
        panic!("on purpose");
    };
    (&server).write_all(b"!").unwrap();
    assert_eq!(rx.recv().unwrap(), *b"!");
    assert!(unwinding.join().is_err());
}

/// A stream that is registered with a worker that computes is still waited for elsewhere.
#[test]
fn a_held_worker_holds_no_stream_of_others() {
    let (client, server) = pair();
    let client = Arc::new(client);
    let (tx, rx) = bounded(0);
    let (free, held) = bounded::<()>(0);
    // This goroutine registers the stream with its worker, and then blocks the worker.
    let holder = go!(clone(client) {
        client.set_read_deadline(Some(Instant::now() + Duration::from_millis(1))).unwrap();
        (&*client).read(&mut [0]).unwrap_err();
        client.set_read_deadline(None).unwrap();
        tx.send(()).unwrap();
        thread::spawn(move || held.recv()).join().unwrap().unwrap_err();
    });
    rx.recv().unwrap();
    let reader = thread::spawn(move || (&*client).read(&mut [0]));
    (&server).write_all(b"!").unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), 1);
    drop(free);
    holder.join().unwrap();
}

/// A read ends at urgent data, even if more bytes follow.
#[test]
fn urgent_data() {
    for _ in 0..20 {
        let (client, server) = pair();
        let (waits, waiting) = bounded(0);
        let reader = go! {
            waits.send(()).unwrap();
            let (mut all, mut buf) = (Vec::new(), [0; 64]);
            while all.len() < 6 {
                let n = (&server).read(&mut buf).unwrap();
                all.extend_from_slice(&buf[..n]);
            }
            all
        };
        waiting.recv().unwrap();
        (&client).write_all(b"abc").unwrap();
        socket2::SockRef::from(&client)
            .send_out_of_band(b"!")
            .unwrap();
        (&client).write_all(b"def").unwrap();
        assert_eq!(reader.join().unwrap(), b"abcdef");
    }
}

/// Crowds of connections come and go, and each message is answered.
#[test]
fn connections_come_and_go() {
    let (address, _stop) = echo_server();
    scope(|s| {
        for _ in 0..20 {
            go!(s; {
                for _ in 0..50 {
                    talk(address, 1);
                }
            });
        }
    });
}

/// Channels, timers and sockets share the same workers.
#[test]
fn all_kinds_of_waiting_together() {
    let (address, _stop) = echo_server();
    let (tx, rx) = bounded(0);
    scope(|s| {
        for _ in 0..20 {
            go!(s; talk(address, 200));
        }
        go!(s; {
            for n in 0..10_000 {
                tx.send(n).unwrap();
            }
            drop(tx);
        });
        go!(s; assert_eq!(rx.iter().sum::<u64>(), 10_000 * 9_999 / 2));
        for _ in 0..20 {
            go!(s; {
                for _ in 0..50 {
                    time::sleep(Duration::from_micros(100));
                }
            });
        }
    });
}
