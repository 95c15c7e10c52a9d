//! Addresses: paths, abstract names, and addresses that are refused.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net as std_net;
use std::path::PathBuf;
use std::thread;

use go_runtime::net::{UnixDatagram, UnixListener, UnixSocketAddr, UnixStream};

use crate::net_unix::place;

use go_tests::support::{in_both, no_process_starts};

#[test]
fn addresses() {
    in_both(|| {
        let _alone = no_process_starts();
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
        // The path stays after the listener is gone.
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
    // The same error as std's.
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
