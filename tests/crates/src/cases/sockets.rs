//! Protocols over the runtime's sockets. The server is a goroutine that answers after the wait.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use go_runtime::channel::{Receiver, bounded};
use go_runtime::go;
use go_runtime::net::{TcpListener, TcpStream};

use super::Task;
use crate::world::{Wait, World};

const ANSWER: &[u8] = b"hello, gopher";
const HOST: &str = "localhost";

/// A self-signed certificate for [`HOST`], and its key.
struct Identity {
    certificate: rcgen::Certificate,
    key: rcgen::KeyPair,
}

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    Identity {
        certificate: made.cert,
        key: made.signing_key,
    }
});

/// Starts a server for one connection, which gets the task's wait.
fn serve(
    serve: impl FnOnce(TcpStream, Receiver<Wait>) + Send + 'static,
) -> (SocketAddr, go_runtime::channel::Sender<Wait>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (waits, wait_of) = bounded(1);
    go! {
        let (stream, _) = listener.accept().unwrap();
        serve(stream, wait_of);
    };
    (address, waits)
}

/// Runs the server's side of a connection, with any protocol.
fn answer(mut stream: impl Read + Write, wait_of: &Receiver<Wait>) {
    wait_of.recv().unwrap().park();
    stream.write_all(ANSWER).unwrap();
    stream.flush().unwrap();
    // Waits until the client has read the answer and closes the connection.
    let _ = stream.read(&mut [0]);
}

/// Runs the client's side.
fn ask(mut stream: impl Read + Write) {
    let mut answer = [0; ANSWER.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, ANSWER);
}

pub(super) fn rustls(_: &'static World) -> Task {
    use ::rustls::pki_types::{PrivateKeyDer, ServerName};
    use ::rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};
    use ::rustls::{ServerConnection, StreamOwned};
    let certificate = IDENTITY.certificate.der().clone();
    let key = PrivateKeyDer::try_from(IDENTITY.key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let (address, waits) = serve(move |stream, wait_of| {
        let session = ServerConnection::new(Arc::new(config)).unwrap();
        answer(StreamOwned::new(session, stream), &wait_of);
    });
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Box::new(move |wait| {
        waits.send(wait.clone()).unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        ask(StreamOwned::new(
            session,
            TcpStream::connect(address).unwrap(),
        ));
    })
}

pub(super) fn tungstenite(_: &'static World) -> Task {
    use ::tungstenite::{Message, accept, client};
    let (address, waits) = serve(|stream, wait_of| {
        let mut socket = accept(stream).unwrap();
        wait_of.recv().unwrap().park();
        socket.send(Message::binary(ANSWER)).unwrap();
        let _ = socket.read();
    });
    Box::new(move |wait| {
        waits.send(wait.clone()).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        let (mut socket, _) = client(format!("ws://{address}/"), stream).unwrap();
        assert_eq!(socket.read().unwrap(), Message::binary(ANSWER));
    })
}

#[cfg(feature = "native-tls")]
pub(super) fn native_tls(_: &'static World) -> Task {
    use ::native_tls::{Certificate, Identity, TlsAcceptor, TlsConnector};
    let certificate = IDENTITY.certificate.pem();
    let key = IDENTITY.key.serialize_pem();
    let identity = Identity::from_pkcs8(certificate.as_bytes(), key.as_bytes()).unwrap();
    let acceptor = TlsAcceptor::new(identity).unwrap();
    let (address, waits) =
        serve(move |stream, wait_of| answer(acceptor.accept(stream).unwrap(), &wait_of));
    let root = Certificate::from_pem(certificate.as_bytes()).unwrap();
    let connector = TlsConnector::builder()
        .add_root_certificate(root)
        .build()
        .unwrap();
    Box::new(move |wait| {
        waits.send(wait.clone()).unwrap();
        ask(connector
            .connect(HOST, TcpStream::connect(address).unwrap())
            .unwrap());
    })
}

#[cfg(feature = "openssl")]
pub(super) fn openssl(_: &'static World) -> Task {
    use ::openssl::pkey::PKey;
    use ::openssl::ssl::{SslAcceptor, SslConnector, SslMethod, SslVerifyMode};
    use ::openssl::x509::X509;
    let certificate = X509::from_der(IDENTITY.certificate.der()).unwrap();
    let key = PKey::private_key_from_der(&IDENTITY.key.serialize_der()).unwrap();
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor.set_private_key(&key).unwrap();
    acceptor.set_certificate(&certificate).unwrap();
    let acceptor = acceptor.build();
    let (address, waits) =
        serve(move |stream, wait_of| answer(acceptor.accept(stream).unwrap(), &wait_of));
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_verify(SslVerifyMode::PEER);
    connector.cert_store_mut().add_cert(certificate).unwrap();
    let connector = connector.build();
    Box::new(move |wait| {
        waits.send(wait.clone()).unwrap();
        ask(connector
            .connect(HOST, TcpStream::connect(address).unwrap())
            .unwrap());
    })
}
