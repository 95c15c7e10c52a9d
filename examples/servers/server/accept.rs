//! Accepts connections.
//!
//! While the process has no file descriptors left (or no memory for a goroutine, which `incoming`
//! cannot know), it accepts none, and open connections continue.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use go_runtime::channel::{Receiver, after};
use go_runtime::net::{self, TcpListener, TcpStream};
use go_runtime::select;

const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Failures within this time of each other are reported once.
const BURST: Duration = Duration::from_secs(2);

/// Accepts connections until `done` is closed, and calls `start`, which starts a goroutine for
/// each. When resources are lacking it reports that on stderr, pauses, and tries again.
///
/// # Errors
/// The listener's error, if the listener cannot be used.
pub(super) fn accept<D>(
    listener: &TcpListener,
    done: &Receiver<D>,
    mut start: impl FnMut(TcpStream) -> io::Result<()>,
) -> io::Result<()> {
    let listener = listener.with_done(done);
    let mut pause = SHORTEST_PAUSE;
    let mut last: Option<Instant> = None;
    loop {
        let error = match listener.accept() {
            Ok((stream, _)) => match start(stream) {
                Ok(()) => {
                    pause = SHORTEST_PAUSE;
                    continue;
                }
                Err(error) => error,
            },
            Err(error) if net::is_done(&error) => return Ok(()),
            // The client closed its connection before the server accepted it.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) if is_final(&error) => return Err(error),
            // Either resources are short until another connection ends, or the error concerns only
            // the new connection.
            Err(error) => error,
        };
        if last.is_none_or(|last| last.elapsed() > BURST + pause) {
            eprintln!("accept: {error}; trying again");
        }
        last = Some(Instant::now());
        select! {
            recv(after(pause)) -> _ => pause = LONGEST_PAUSE.min(pause * 2),
            recv(done) -> _ => return Ok(()),
        }
    }
}

/// Returns whether the error says that this is no listener.
fn is_final(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP)
    )
}
