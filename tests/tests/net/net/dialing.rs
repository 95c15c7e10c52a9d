//! `Dialer`: one limit for all addresses, and done channels.

use std::io::{ErrorKind, Read, Write};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use go_runtime::channel::bounded;
use go_runtime::go;
use go_runtime::net::{Dialer, SocketAddr, TcpListener, TcpStream, is_done};

use go_tests::support::in_both;

const LONG: Duration = Duration::from_secs(100);

/// A listener whose queue is full: the system drops requests to connect, as a firewall does.
struct BlackHole {
    _listener: socket2::Socket,
    _queued: Vec<TcpStream>,
    address: SocketAddr,
}

fn black_hole() -> BlackHole {
    let listener =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    // Two attempts must hang, as one may do so only because the machine is slow.
    let mut hung = 0;
    while hung < 2 {
        match TcpStream::connect_timeout(&address, Duration::from_millis(10)) {
            Ok(stream) => queued.push(stream),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                hung += 1;
            }
        }
    }
    BlackHole {
        _listener: listener,
        _queued: queued,
        address,
    }
}

/// Returns an address at which connections are refused.
fn refused() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn names_and_addresses() {
    in_both(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (_stop, done) = bounded::<()>(0);
        for dialer in [
            Dialer::new(),
            Dialer::new().timeout(LONG),
            Dialer::new()
                .deadline(Instant::now() + LONG)
                .timeout(Duration::MAX),
        ] {
            let streams = [
                dialer.connect(("localhost", address.port())),
                dialer
                    .with_done(&done)
                    .connect(format!("localhost:{}", address.port())),
                dialer.connect(&[refused(), address][..]),
            ];
            for stream in streams {
                let mut accepted = listener.accept().unwrap().0;
                accepted.write_all(b"x").unwrap();
                // The limits were for connecting only.
                stream.unwrap().read_exact(&mut [0]).unwrap();
            }
        }
    });
}

#[test]
fn errors_name_the_addresses() {
    in_both(|| {
        let (first, second) = (refused(), refused());
        let error = Dialer::new().connect(&[first, second][..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let text = error.to_string();
        let refused = "Connection refused (os error 111)";
        assert_eq!(text, format!("{first}: {refused}; {second}: {refused}"));
        assert!(!is_done(&error));
        let error = Dialer::new().connect("no port").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(
            error.to_string().starts_with("looking up no port: "),
            "{error}"
        );
        let nothing: &[SocketAddr] = &[];
        let error = Dialer::new().connect(nothing).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

/// An address that does not answer takes its share of the time, and no more.
#[test]
fn each_address_has_its_share() {
    in_both(|| {
        let hole = black_hole();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [hole.address, listener.local_addr().unwrap()];
        // Tries longer and longer timeouts, in case the machine is slow.
        let connects = |ms| {
            let dialer = Dialer::new().timeout(Duration::from_millis(ms));
            dialer.connect(&addresses[..]).is_ok()
        };
        assert!([100, 1000, 10_000].into_iter().any(connects));
    });
}

#[test]
fn the_time_is_over() {
    in_both(|| {
        let hole = black_hole();
        let short = Duration::from_millis(4);
        for dialer in [
            Dialer::new().timeout(short).deadline(Instant::now() + LONG),
            Dialer::new().deadline(Instant::now() + short),
            Dialer::new().deadline(Instant::now()),
        ] {
            let error = dialer.connect(&[hole.address; 3][..]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            let text = error.to_string();
            assert!(
                text.starts_with(&format!("{}: timed out", hole.address)),
                "{text}"
            );
        }
    });
}

#[test]
fn a_done_channel_ends_it() {
    in_both(|| {
        let hole = black_hole();
        let address = hole.address;
        // A done channel may have any type; a message ends the call, and stays.
        let (messages, done) = bounded::<String>(1);
        let dialing = go!(clone(done) {
            Dialer::new().with_done(&done).connect(&[address; 3][..])
        });
        go_runtime::yield_now();
        messages.send("enough".into()).unwrap();
        let error = dialing.join().unwrap().unwrap_err();
        assert!(is_done(&error), "{error}");
        assert_eq!(
            error.to_string(),
            format!("{address}: ended by its done channel")
        );
        assert_eq!(done.recv().unwrap(), "enough");
        drop(messages);
        for asked in [address.to_string(), "localhost:80".into()] {
            let error = Dialer::new().with_done(&done).connect(asked).unwrap_err();
            assert!(is_done(&error), "{error}");
        }
    });
}

/// As in Go, small writes are sent at once; std's streams keep their setting.
#[test]
fn nodelay_is_on() {
    in_both(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        assert!(client.nodelay().unwrap() && server.nodelay().unwrap());
        client.set_nodelay(false).unwrap();
        assert!(!client.nodelay().unwrap());
        assert!(Dialer::new().connect(address).unwrap().nodelay().unwrap());
        let listener = TcpListener::from(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let address = listener.local_addr().unwrap();
        let client = TcpStream::from(std::net::TcpStream::connect(address).unwrap());
        let (server, _) = listener.accept().unwrap();
        assert!(!client.nodelay().unwrap() && !server.nodelay().unwrap());
    });
}
