//! A TLS echo server: rustls, unchanged, on the streams of goroutines.
//!
//! ```sh
//! cargo run --example tls_echo -- 127.0.0.1:8443
//! openssl s_client -quiet -connect 127.0.0.1:8443
//! ```
//!
//! It creates its certificate at the start, for tests only; `--cert FILE --key FILE` name others,
//! in PEM.
//!
//! Ctrl-C or SIGTERM stops it: each client gets a `close_notify` when it has got back what it sent.
//! A second signal ends the server at once.

mod certificate;

use std::io::{self, ErrorKind, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

use go_example_servers::server::{self, Args, Connection, Limits, Refused};
use go_runtime::net::{self, TcpStream, WithDone};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The default address to listen at.
const ADDRESS: &str = "127.0.0.1:8443";
const USAGE: &str = "\
usage: tls_echo [ADDRESS] [--cert FILE --key FILE] [--handshake-timeout-ms N]
                [--idle-timeout-ms N] [--write-timeout-ms N] [--stop-timeout-ms N]
                [--max-connections N]
Sends back what comes, over TLS. ADDRESS is 127.0.0.1:8443 if there is none; without
--cert and --key it makes a certificate of its own.
N is 10000 for the handshake, 120000 for idle connections, 30000 for writes, 5000 for
the stop, and 10000 connections.";

#[go_runtime::main]
fn main() -> ExitCode {
    let options = [&Limits::OPTIONS[..], &["--cert", "--key"]].concat();
    let read = Args::new(&options).and_then(|args| {
        let limits = Limits::new(&args)?;
        let files = match (args.value("--cert"), args.value("--key")) {
            (Some(cert), Some(key)) => Some((cert.to_owned(), key.to_owned())),
            (None, None) => None,
            _ => return Err(Refused::Wrong("--cert and --key go together".to_owned())),
        };
        Ok((args, limits, files))
    });
    let (args, limits, files) = match read {
        Ok(read) => read,
        Err(refused) => return refused.exit("tls_echo", USAGE),
    };
    let config = match certificate::config(files) {
        Ok(config) => Arc::new(config),
        Err(what) => {
            eprintln!("tls_echo: {what}");
            return ExitCode::FAILURE;
        }
    };
    let timeouts = limits.clone();
    let address = args.address().unwrap_or(ADDRESS);
    let served = server::run(address, &limits, move |connection| {
        // The connection has ended, so an error cannot be reported to the client.
        let _ = serve(&config, &timeouts, connection);
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tls_echo: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

type Tls<'a> = StreamOwned<ServerConnection, WithDone<'a, TcpStream, ()>>;

fn serve(
    config: &Arc<ServerConfig>,
    limits: &Limits,
    connection: &Connection<'_>,
) -> io::Result<()> {
    let session = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    let mut tls = StreamOwned::new(session, connection.until_stop());
    connection.within(limits.handshake_timeout);
    while tls.conn.is_handshaking() {
        if let Err(error) = tls.conn.complete_io(&mut tls.sock) {
            if error.kind() == ErrorKind::InvalidData {
                // rustls has sent an alert, which `finish` lets the client receive.
                connection.finish();
            }
            return Err(error);
        }
    }
    match echo(&mut tls, limits, connection) {
        Ok(()) => {}
        Err(error) if net::is_done(&error) || error.kind() == ErrorKind::TimedOut => {
            tls.sock = connection.to_the_end();
        }
        // rustls itself has sent an alert, if this error calls for one.
        Err(error) => return Err(error),
    }
    connection.within(limits.write_timeout);
    tls.conn.send_close_notify();
    tls.flush()?;
    connection.finish();
    Ok(())
}

/// Sends back everything that the client sends, until its stream ends.
fn echo(tls: &mut Tls<'_>, limits: &Limits, connection: &Connection<'_>) -> io::Result<()> {
    let mut buffer = [0; 4 << 10];
    loop {
        connection.within(limits.idle_timeout);
        let n = tls.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        connection.within(limits.write_timeout);
        tls.write_all(&buffer[..n])?;
        // A write alone would not report that the connection has failed.
        tls.flush()?;
    }
}
