//! How the servers take connections, and how they part with a client that still sends.

use std::io::{self, ErrorKind, Read};
use std::time::{Duration, Instant};

use go_runtime::channel::{Receiver, after};
use go_runtime::net::{self, Shutdown, TcpListener, TcpStream};
use go_runtime::select;

const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Failures that are not further apart than this are told as one.
const BURST: Duration = Duration::from_secs(2);

/// How long a client that sends what nobody wants may take to see the answer, and stop.
const LINGER: Duration = Duration::from_millis(500);

/// Takes connections until `done` is closed, and hands each to `start`, which is to start a goroutine for it.
///
/// While the process has no file descriptors left (or `start` no memory for a goroutine) it takes none, and those that are open go on.
///
/// # Errors
/// What is wrong with the listener.
pub fn accept<D>(
    listener: &TcpListener,
    done: &Receiver<D>,
    mut start: impl FnMut(TcpStream) -> io::Result<()>,
) -> io::Result<()> {
    let listener = listener.with_done(done);
    let mut pause = SHORTEST_PAUSE;
    let mut last: Option<Instant> = None;
    loop {
        let error = match listener.accept().map(|(stream, _)| stream) {
            Ok(stream) => match start(stream) {
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
            recv(done) -> _ => return Ok(()),
        }
    }
}

/// It goes away when others give something back.
fn is_temporary(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

/// Reads what still comes, for a while. A connection that is closed while there is something to be read is reset, and the answer may be
/// lost with it.
pub fn linger(stream: &TcpStream) {
    if stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    stream.set_read_deadline(Some(Instant::now() + LINGER));
    let mut rest = [0; 1024];
    let mut stream = stream;
    loop {
        match stream.read(&mut rest) {
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
        }
    }
}
