//! A WebSocket echo server: tungstenite, unchanged, on the streams of goroutines.
//!
//! ```sh
//! cargo run --example websocket -- 127.0.0.1:8081
//! websocat ws://127.0.0.1:8081/echo
//! ```
//!
//! Ctrl-C or SIGTERM stops it: each client gets a close frame with the reason. A second signal ends
//! the server at once.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use go_example_servers::server::{self, Args, Connection, Limits};
use go_runtime::net::{self, TcpStream, WithDone};
use tungstenite::error::{Error, ProtocolError};
use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::http::StatusCode;
use tungstenite::http::header::{CONNECTION, HeaderValue};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Message, WebSocket, accept_hdr_with_config};

/// The default address to listen at.
const ADDRESS: &str = "127.0.0.1:8081";
const USAGE: &str = "\
usage: websocket [ADDRESS] [--handshake-timeout-ms N] [--idle-timeout-ms N] [--write-timeout-ms N]
                 [--stop-timeout-ms N] [--max-connections N] [--max-message-bytes N]
Sends back each message at /echo. ADDRESS is 127.0.0.1:8081 if there is none.
N is 10000 for the handshake, 120000 for idle connections, 30000 for writes, 5000 for
the stop, 10000 connections, and 4194304 bytes.";

/// Size in bytes of the buffer that each connection has.
const READ_BUFFER: usize = 4 << 10;

#[go_runtime::main]
fn main() -> ExitCode {
    let options = [&Limits::OPTIONS[..], &["--max-message-bytes"]].concat();
    let read = Args::new(&options).and_then(|args| {
        let limits = Limits::new(&args)?;
        let max_message = args.number("--max-message-bytes", 4 << 20, 1 << 30)?;
        Ok((args, limits, max_message as usize))
    });
    let (args, limits, max_message) = match read {
        Ok(read) => read,
        Err(refused) => return refused.exit("websocket", USAGE),
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message));
    let timeouts = limits.clone();
    let address = args.address().unwrap_or(ADDRESS);
    let served = server::run(address, &limits, move |connection| {
        serve(config, &timeouts, connection);
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("websocket: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

type Socket<'a> = WebSocket<WithDone<'a, TcpStream, ()>>;

fn serve(config: WebSocketConfig, limits: &Limits, connection: &Connection<'_>) {
    connection.within(limits.handshake_timeout);
    let accepted = accept_hdr_with_config(connection.until_stop(), only_echo, Some(config));
    let mut socket = match accepted {
        Ok(socket) => socket,
        Err(HandshakeError::Failure(error)) => return refuse(&error, connection),
        // The handshake would have to wait. This does not happen, because a goroutine's stream
        // waits itself.
        Err(HandshakeError::Interrupted(_)) => return,
    };
    let error = echo(&mut socket, limits, connection);
    if let Some(last) = last_word(&error) {
        *socket.get_mut() = connection.to_the_end();
        connection.within(limits.write_timeout);
        let said = socket.close(Some(last)).and_then(|()| socket.flush());
        if said.is_err() {
            return;
        }
    }
    connection.finish();
}

/// Sends the messages back until the connection ends, and returns the reason of the end.
/// (tungstenite answers pings and close frames itself, in the next read.)
fn echo(socket: &mut Socket<'_>, limits: &Limits, connection: &Connection<'_>) -> Error {
    loop {
        connection.within(limits.idle_timeout);
        let message = match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => message,
            Ok(_) => continue,
            Err(error) => return error,
        };
        connection.within(limits.write_timeout);
        if let Err(error) = socket.send(message) {
            return error;
        }
    }
}

/// Returns the close frame for the client, if there is a reason to send, and the client still
/// listens.
fn last_word(error: &Error) -> Option<CloseFrame> {
    let (code, reason) = match error {
        Error::Io(error) if net::is_done(error) => (CloseCode::Away, "the server stops"),
        Error::Io(error) if error.kind() == ErrorKind::TimedOut => (CloseCode::Policy, "too slow"),
        Error::Capacity(_) => (CloseCode::Size, "the message is too large"),
        Error::Utf8(_) => (CloseCode::Invalid, "text is UTF-8"),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return None,
        Error::Protocol(_) => (CloseCode::Protocol, "this is not as RFC 6455 has it"),
        _ => return None,
    };
    Some(CloseFrame {
        code,
        reason: reason.into(),
    })
}

/// Accepts requests for the server's only page.
#[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
fn only_echo(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    if request.uri().path() == "/echo" {
        return Ok(response);
    }
    let mut missing = ErrorResponse::new(Some("there is only /echo\n".to_owned()));
    *missing.status_mut() = StatusCode::NOT_FOUND;
    missing
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    Err(missing)
}

/// Answers a client that does not speak WebSocket.
fn refuse(error: &Error, connection: &Connection<'_>) {
    match error {
        // There is no answer, because there was no complete request.
        Error::Io(_) | Error::Protocol(ProtocolError::HandshakeIncomplete) => return,
        // tungstenite has answered already.
        Error::Http(_) => {}
        _ => {
            let text = format!("{error}\n");
            let answer = format!(
                "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: \
                 {}\r\nConnection: close\r\n\r\n{text}",
                text.len()
            );
            if connection
                .to_the_end()
                .write_all(answer.as_bytes())
                .is_err()
            {
                return;
            }
        }
    }
    connection.finish();
}
