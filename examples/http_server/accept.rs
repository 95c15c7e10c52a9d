//! Takes connections, and starts a goroutine for each.
//!
//! While the process has no file descriptors left (or no memory for a goroutine) it takes none, and those that are open go on.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use go_runtime::channel::{Sender, after};
use go_runtime::{Builder, select};

use crate::connection::{Server, serve};
use go_runtime::net::{self, TcpListener, TcpStream};

const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Failures that are not further apart than this are told as one.
const BURST: Duration = Duration::from_secs(2);

/// Takes connections until the server is to stop. Each has a clone of `running`, until it ends.
///
/// # Errors
/// What is wrong with the listener.
pub(crate) fn accept(
    listener: &TcpListener,
    server: &Arc<Server>,
    running: &Sender<Infallible>,
) -> io::Result<()> {
    let listener = listener.with_done(&server.done);
    let mut pause = SHORTEST_PAUSE;
    let mut last: Option<Instant> = None;
    loop {
        let error = match listener.accept().map(|(stream, _)| stream) {
            Ok(stream) => match start(stream, server, running) {
                Ok(()) => {
                    pause = SHORTEST_PAUSE;
                    continue;
                }
                Err(error) => error,
            },
            Err(error) if net::is_done(&error) => return Ok(()),
            // The client has gone before its turn came.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) if is_temporary(&error) => error,
            Err(error) => return Err(error),
        };
        if last.is_none_or(|last| last.elapsed() > BURST + pause) {
            eprintln!("accept: {error}; trying again");
        }
        last = Some(Instant::now());
        select! {
            recv(after(pause)) -> _ => pause = LONGEST_PAUSE.min(pause * 2),
            recv(server.done) -> _ => return Ok(()),
        }
    }
}

fn start(stream: TcpStream, server: &Arc<Server>, running: &Sender<Infallible>) -> io::Result<()> {
    let (server, running) = (Arc::clone(server), running.clone());
    Builder::new()
        .spawn(move || {
            serve(&server, &stream);
            // The connection is closed before it counts as ended.
            drop(stream);
            drop(running);
        })
        .map(drop)
}

/// It goes away when others give something back.
fn is_temporary(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}
