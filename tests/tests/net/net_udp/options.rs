//! Options of sockets, multicast groups, and addresses that are refused.

use std::io::ErrorKind;

use go_runtime::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::net_udp::socket;

#[test]
fn options() {
    let (socket, address) = socket();
    for yes in [true, false] {
        socket.set_broadcast(yes).unwrap();
        assert_eq!(socket.broadcast().unwrap(), yes);
        socket.set_multicast_loop_v4(yes).unwrap();
        assert_eq!(socket.multicast_loop_v4().unwrap(), yes);
    }
    socket.set_ttl(42).unwrap();
    assert_eq!(socket.ttl().unwrap(), 42);
    socket.set_multicast_ttl_v4(3).unwrap();
    assert_eq!(socket.multicast_ttl_v4().unwrap(), 3);
    assert!(socket.take_error().unwrap().is_none());
    // By default the system does not send to a broadcast address.
    let all = SocketAddr::from((Ipv4Addr::BROADCAST, address.port()));
    assert!(socket.send_to(b"x", all).is_err());
    let none: &[SocketAddr] = &[];
    for nowhere in [
        socket.send_to(b"x", none).map(drop),
        socket.connect(none),
        UdpSocket::bind(none).map(drop),
    ] {
        assert_eq!(nowhere.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let nobody = UdpSocket::bind("192.0.2.1:0").unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::AddrNotAvailable);
}

#[test]
fn options_of_ipv6() {
    let Ok(socket) = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)) else {
        println!("skipped: this machine has no IPv6");
        return;
    };
    for yes in [true, false] {
        socket.set_multicast_loop_v6(yes).unwrap();
        assert_eq!(socket.multicast_loop_v6().unwrap(), yes);
    }
    // The system reports that this is no multicast address.
    let wrong = Ipv6Addr::LOCALHOST;
    assert!(socket.join_multicast_v6(&wrong, 0).is_err());
    assert!(socket.leave_multicast_v6(&wrong, 0).is_err());
}

#[test]
fn multicast_on_this_machine() {
    let group = Ipv4Addr::new(239, 255, 77, 78);
    let (socket, _) = socket();
    let not_joined = socket.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST);
    assert!(not_joined.is_err());
    if let Err(error) = socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST) {
        println!("skipped: no multicast here: {error}");
        return;
    }
    let twice = socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST);
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::AddrInUse);
    socket
        .leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST)
        .unwrap();
}
