//! The example `tls_echo`: which clients get their bytes back, which clients are refused, and how
//! the server stops. Clients are `openssl s_client`, and rustls on threads and in goroutines.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use go_runtime::{go, net};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use go_tests::support::{
    self, Scratch,
    client::Client,
    programs, scratch, server,
    server::{LIMIT, Server},
    tools::is_installed,
};

/// The server's certificate and key, and a configuration for clients that trust them.
struct Identity {
    cert: String,
    key: String,
    client: Arc<ClientConfig>,
}

fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let made = generate_simple_self_signed(["localhost".to_owned()]);
        let CertifiedKey { cert, signing_key } = made.unwrap();
        Identity {
            cert: cert.pem(),
            key: signing_key.serialize_pem(),
            client: trusting(cert.der().clone()),
        }
    })
}

/// Writes the certificate and the key into files, which exist as long as the returned `Scratch`.
fn files() -> (Scratch, String, String) {
    let scratch = scratch("tls_echo");
    let file = |name: &str, text: &str| {
        let path = scratch.path().join(name);
        fs::write(&path, text).unwrap();
        path.into_os_string().into_string().unwrap()
    };
    let Identity { cert, key, .. } = identity();
    let (cert, key) = (file("cert.pem", cert), file("key.pem", key));
    (scratch, cert, key)
}

fn trusting(cert: CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(cert).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots);
    Arc::new(config.with_no_client_auth())
}

fn start(args: &[&str], workers: &str) -> Server {
    // The files are removed when this function returns: a listening server has read them already.
    let (_scratch, cert, key) = files();
    let files = ["--cert", &cert, "--key", &key];
    Server::start("tls_echo", &[&files, args].concat(), workers)
}

/// Runs the test with 1 worker and with 4. The server must end well each time, and print no error.
fn with_server(args: &[&str], test: impl Fn(&Server)) {
    for workers in ["1", "4"] {
        let server = start(args, workers);
        test(&server);
        server.stop();
    }
}

type Tls<S> = StreamOwned<ClientConnection, S>;

fn session() -> ClientConnection {
    let name = ServerName::try_from("localhost").unwrap();
    ClientConnection::new(Arc::clone(&identity().client), name).unwrap()
}

/// Connects a client on a thread; its handshake is yet to come.
fn tls(address: SocketAddr) -> Tls<TcpStream> {
    StreamOwned::new(session(), connect(address))
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Returns the first bytes that a client sends.
fn hello() -> Vec<u8> {
    let mut bytes = Vec::new();
    session().write_tls(&mut bytes).unwrap();
    bytes
}

fn echoes(stream: &mut (impl Read + Write), text: &[u8]) {
    stream.write_all(text).expect("it is taken");
    stream.flush().unwrap();
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).expect("it comes back");
    assert!(back == text);
}

fn lives(server: &Server) {
    echoes(&mut tls(server.address), b"are you there?");
}

fn some_bytes(n: u32) -> Vec<u8> {
    (0..n).map(|n| (n % 251) as u8).collect()
}

/// Returns the output of `s_client` while it sends `input`.
fn s_client(address: SocketAddr, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &address.to_string()])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl starts");
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut back = vec![0; input.len()];
    let read = thread::scope(|s| {
        // At the end of its input `s_client` does not wait for outstanding bytes, so the input ends
        // only when all have come back.
        let writer = s.spawn(move || stdin.write_all(input).map(|()| stdin));
        let read = stdout.read_exact(&mut back);
        drop(writer.join());
        read
    });
    // (The child may have ended by itself.)
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(read.is_ok(), "s_client {args:?}: {read:?}: {errors}");
    back
}

#[test]
fn openssl_gets_along_with_it() {
    if !is_installed("openssl") {
        return;
    }
    let (_scratch, cert, _) = files();
    let checks = ["-CAfile", &cert, "-verify_return_error"];
    let named = ["-verify_hostname", "localhost"];
    with_server(&[], |server| {
        for version in ["-tls1_2", "-tls1_3"] {
            let args = [&[version], &checks[..], &named[..]].concat();
            for input in [&b"hello\n"[..], &some_bytes(1 << 20)] {
                assert!(s_client(server.address, &args, input) == input);
            }
        }
    });
    // A server without arguments makes its own certificate, which clients do not know.
    server::with_one_and_four("tls_echo", &[], |server| {
        assert_eq!(s_client(server.address, &[], b"hello\n"), b"hello\n");
    });
}

#[test]
fn many_clients_in_goroutines() {
    with_server(&[], |server| {
        lives(server);
        let (before, address) = (server.sockets(), server.address);
        let clients: Vec<_> = (0..50_u8)
            .map(|n| {
                go!(move || {
                    let stream = net::TcpStream::connect(address).unwrap();
                    let mut tls = StreamOwned::new(session(), stream);
                    for size in [1, 100, 20_000] {
                        echoes(&mut tls, &vec![n; size]);
                    }
                    tls.conn.send_close_notify();
                    tls.flush().unwrap();
                    // The client sees the end of the TLS session, and not only that of the
                    // connection.
                    assert_eq!(tls.read(&mut [0]).unwrap(), 0);
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        server.wait_for_sockets(before);
    });
}

/// A client may send as much as the buffers of both sides hold before it reads.
#[test]
fn a_mebibyte_comes_back() {
    let all = some_bytes(1 << 20);
    with_server(&[], |server| {
        let mut client = tls(server.address);
        for part in all.chunks(50_000) {
            echoes(&mut client, part);
        }
        let (all, address) = (all.clone(), server.address);
        support::in_goroutine(move || {
            let stream = net::TcpStream::connect(address).unwrap();
            let mut client = StreamOwned::new(session(), stream);
            for part in all.chunks(50_000) {
                echoes(&mut client, part);
            }
        });
    });
}

/// A stream that writes each byte by itself.
struct ByteByByte(TcpStream);

impl Read for ByteByByte {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let one = buf.len().min(1);
        self.0.read(&mut buf[..one])
    }
}

impl Write for ByteByByte {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        let one = buf.len().min(1);
        self.0.write(&buf[..one])
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn records_may_come_byte_by_byte() {
    with_server(&[], |server| {
        let stream = connect(server.address);
        stream.set_nodelay(true).unwrap();
        let mut client = StreamOwned::new(session(), ByteByByte(stream));
        for text in ["a", "bc", "all of this"] {
            echoes(&mut client, text.as_bytes());
        }
    });
}

#[test]
fn what_is_no_handshake_is_refused() {
    let mut torn = hello();
    torn.truncate(60);
    torn[20..].fill(0xff);
    with_server(&[], |server| {
        lives(server);
        let before = server.sockets();
        for nonsense in [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &torn[..], &[0; 500]] {
            let mut client = Client::new(server.address);
            let alert = client.send(nonsense).close_half().read_once();
            assert!(alert.is_empty() || alert[0] == 21, "{alert:?}");
            client.is_at_its_end();
        }
        let mut client = Client::new(server.address);
        let alert = client.send("this is no TLS\n").read_once();
        assert_eq!(alert[0], 21, "{alert:?}");
        client.is_at_its_end();
        lives(server);
        server.wait_for_sockets(before);
    });
}

/// A client that does not trust the certificate says so, and disconnects.
#[test]
fn clients_that_do_not_trust_it() {
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let others = trusting(made.cert.der().clone());
    with_server(&[], |server| {
        lives(server);
        let before = server.sockets();
        for name in ["localhost", "elsewhere"] {
            let name = ServerName::try_from(name).unwrap();
            let session = ClientConnection::new(Arc::clone(&others), name).unwrap();
            let mut client = StreamOwned::new(session, connect(server.address));
            let error = client.write_all(b"hello").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        }
        lives(server);
        server.wait_for_sockets(before);
    });
}

#[test]
fn slow_handshakes_are_cut_off() {
    with_server(&["--handshake-timeout-ms", "200"], |server| {
        Client::new(server.address).is_at_its_end();
        let mut client = Client::new(server.address);
        client.send(&hello()[..40]).is_at_its_end();
        // A client that sends a byte now and then is cut off all the same.
        let mut client = Client::new(server.address);
        client.send(&hello()[..5]);
        while !client.has_news(Duration::from_millis(10)) {
            client.try_send([0]);
        }
        // A client that has completed its handshake has more time.
        let mut client = tls(server.address);
        echoes(&mut client, b"in time");
        Client::new(server.address).is_at_its_end();
        echoes(&mut client, b"still there");
    });
}

#[test]
fn clients_that_do_nothing_or_do_not_read() {
    let limits = ["--idle-timeout-ms", "200", "--write-timeout-ms", "200"];
    with_server(&limits, |server| {
        let mut client = tls(server.address);
        echoes(&mut client, b"hello");
        let before = server.sockets() - 1;
        assert_eq!(client.read(&mut [0]).expect("close_notify"), 0);
        drop(client);
        let mut client = tls(server.address);
        echoes(&mut client, b"hello");
        // Writes until the server has closed the connection, when the buffers of both sides are
        // full.
        while client.write_all(&[b'a'; 10_000]).is_ok() {}
        server.wait_for_sockets(before);
    });
}

#[test]
fn half_of_a_connection() {
    let text = some_bytes(20_000);
    with_server(&[], |server| {
        lives(server);
        let before = server.sockets();
        let mut client = tls(server.address);
        client.write_all(&text).unwrap();
        client.conn.send_close_notify();
        client.flush().unwrap();
        client.sock.shutdown(Shutdown::Write).unwrap();
        let mut back = Vec::new();
        client.read_to_end(&mut back).expect("close_notify");
        assert!(back == text);
        // A client that does not end its session may have been cut short by an attacker, so the
        // server does not end the session properly either.
        let mut client = tls(server.address);
        client.write_all(&text).unwrap();
        client.flush().unwrap();
        client.sock.shutdown(Shutdown::Write).unwrap();
        let mut back = Vec::new();
        let error = client.read_to_end(&mut back).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
        assert!(back == text);
        server.wait_for_sockets(before);
    });
}

#[test]
fn clients_that_go() {
    with_server(&[], |server| {
        lives(server);
        let before = server.sockets();
        for round in 0..50 {
            let mut client = Client::new(server.address);
            match round % 4 {
                0 => client.send(&hello()[..40]),
                1 => client.send(hello()),
                2 => {
                    client.send(hello()).read_once();
                    &mut client
                }
                _ => &mut client,
            };
            if round % 3 != 0 {
                client.reset();
            }
        }
        for _ in 0..10 {
            let mut client = tls(server.address);
            client.write_all(&some_bytes(10_000)).unwrap();
        }
        lives(server);
        server.wait_for_sockets(before);
    });
}

#[test]
fn there_are_so_many_connections_at_most() {
    with_server(&["--max-connections", "2"], |server| {
        let (mut first, mut second) = (tls(server.address), tls(server.address));
        echoes(&mut first, b"1");
        echoes(&mut second, b"2");
        let mut third = tls(server.address);
        third
            .conn
            .complete_io(&mut Unread(&third.sock))
            .unwrap_err();
        let waits = third
            .sock
            .set_read_timeout(Some(Duration::from_millis(100)));
        waits.unwrap();
        let error = third.sock.peek(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
        third.sock.set_read_timeout(Some(LIMIT)).unwrap();
        drop(first);
        echoes(&mut third, b"3");
        echoes(&mut second, b"2");
    });
}

/// A stream that passes writes on, and has nothing to read.
struct Unread<'a>(&'a TcpStream);

impl Read for Unread<'_> {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}

impl Write for Unread<'_> {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.0.write(buf)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stop_is_told() {
    for (workers, signal) in [("1", libc::SIGINT), ("4", libc::SIGTERM)] {
        let server = start(&[], workers);
        let mut clients: Vec<_> = (0..5).map(|_| tls(server.address)).collect();
        for client in &mut clients {
            echoes(client, b"hello");
        }
        let mut fresh = Client::new(server.address);
        fresh.send(&hello()[..40]);
        server.signal(signal);
        fresh.is_at_its_end();
        for mut client in clients {
            assert_eq!(client.read(&mut [0]).expect("close_notify"), 0);
        }
        let stopped = server.ended();
        assert_eq!((stopped.status.code(), stopped.errors.len()), (Some(0), 0));
    }
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    let server = start(&["--stop-timeout-ms", "200"], "2");
    let mut client = tls(server.address);
    echoes(&mut client, b"hello");
    let waits = client
        .sock
        .set_write_timeout(Some(Duration::from_millis(200)));
    waits.unwrap();
    // Writes until neither side can write any more.
    while client
        .write_all(&[b'a'; 10_000])
        .and_then(|()| client.flush())
        .is_ok()
    {}
    server.signal(libc::SIGINT);
    let stopped = server.ended();
    assert_eq!(stopped.status.code(), Some(0));
    let errors = stopped.errors.concat();
    assert!(errors.contains("cut off"), "{errors:?}");
}

#[test]
fn arguments_that_are_refused() {
    programs::helps("tls_echo");
    programs::refuses("tls_echo", &["a", "b"], "a second address after a");
    programs::refuses("tls_echo", &["--nonsense", "1"], "no option --nonsense");
    programs::refuses("tls_echo", &["--cert", "x"], "--cert and --key go together");
    programs::refuses("tls_echo", &["--key"], "missing argument");
    programs::refuses(
        "tls_echo",
        &["--idle-timeout-ms", "0"],
        "takes a number from 1",
    );
    let (_scratch, cert, key) = files();
    let (cert, key) = (&*cert, &*key);
    for (cert, key, why) in [
        ("/nonexistent", key, "/nonexistent: "),
        (cert, "/nonexistent", "/nonexistent: "),
        (key, key, "there is no certificate in it"),
        (cert, cert, "cert.pem: "),
    ] {
        let mut command = programs::program("tls_echo");
        command.args(["127.0.0.1:0", "--cert", cert, "--key", key]);
        let ended = programs::run(command);
        assert_eq!(ended.code, Some(1));
        assert!(ended.errors.contains(why), "{}", ended.errors);
    }
}
