//! One client: a goroutine that reads its lines, and one that writes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use go_example_servers::server::linger;
use go_runtime::Builder;
use go_runtime::channel::{Receiver, Sender, bounded};
use go_runtime::net::{Shutdown, TcpStream};

use crate::hub::{Event, Id, Member};

/// The longest line in bytes.
const MAX_LINE: usize = 1024;
/// As many lines may wait for a client to read them.
const OUTBOX: usize = 1024;
/// How long a client that goes may take to read its last lines.
const GRACE: Duration = Duration::from_secs(3);

/// From the first line to the last.
pub(crate) fn serve(stream: TcpStream, events: &Sender<Event>) {
    let stream = Arc::new(stream);
    let (outbox, lines) = bounded(OUTBOX);
    let (farewell, gone) = bounded(1);
    let writer = {
        let stream = Arc::clone(&stream);
        // The client is not let in if there is no memory for a second goroutine.
        let Ok(writer) = Builder::new().spawn(move || write(&stream, &lines)) else {
            return;
        };
        writer
    };

    let told = outbox.clone();
    let member = Member { outbox, farewell };
    let (id_tx, id_rx) = bounded(1);
    // (It fails when the hub has stopped.)
    if events.send(Event::Joined(member, id_tx)).is_ok()
        && let Ok(id) = id_rx.recv()
    {
        // An error is the end, as any other.
        let _ = read(&stream, id, events, &told, &gone);
        let _ = events.send(Event::Left(id));
    }
    drop(told);

    // From here on the writer has only so much time, even if it is waiting already. It ends earlier
    // if all is written: the hub lets go of the outbox when it hears that the client has left, if
    // it has not done so before. (No socket refuses a deadline.)
    let _ = stream.set_write_deadline(Some(Instant::now() + GRACE));
    // A panic there has been reported, and is its own.
    let _ = writer.join();
    if let Ok(last) = gone.try_recv() {
        // Perhaps in the midst of another line. If it cannot be written, so be it.
        let _ = (&*stream).write_all(format!("\n{last}\n").as_bytes());
    }
    linger(&stream);
}

/// Sends the client's lines to the hub, until one of them does not want any more.
fn read(
    stream: &TcpStream,
    id: Id,
    events: &Sender<Event>,
    told: &Sender<Arc<str>>,
    gone: &Receiver<&'static str>,
) -> io::Result<()> {
    let mut input = BufReader::new(stream.with_done(gone));
    let mut line = Vec::new();
    loop {
        line.clear();
        // One more is asked for, so that the end of the longest line is seen.
        let most = MAX_LINE as u64 + 1;
        if input.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.len() > MAX_LINE && !line.ends_with(b"\n") {
            input.skip_until(b'\n')?;
            // Who has no room for that does not read either.
            let _ = told.try_send(Arc::from(format!(
                "* a line has at most {MAX_LINE} bytes; that one was thrown away\n"
            )));
            continue;
        }
        let text = printable(&line);
        if !text.is_empty() && events.send(Event::Wrote(id, text)).is_err() {
            return Ok(());
        }
    }
}

/// The line without its end, and without what could change other people's terminals.
fn printable(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8_lossy(line)
        .chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

/// Writes lines until there will be no more. Those that wait together go out together.
fn write(mut stream: &TcpStream, lines: &Receiver<Arc<str>>) {
    let mut batch = Vec::new();
    for line in lines {
        batch.clear();
        batch.extend_from_slice(line.as_bytes());
        while let Ok(line) = lines.try_recv() {
            batch.extend_from_slice(line.as_bytes());
        }
        if stream.write_all(&batch).is_err() {
            // The reader is to know as well.
            let _ = stream.shutdown(Shutdown::Read);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_shown() {
        for (line, text) in [
            (&b"hello\n"[..], "hello"),
            (b"hello\r\n", "hello"),
            (b"no end", "no end"),
            (b"\n", ""),
            (b"a\tb\n", "a b"),
            (b"\x1b[2Jx\n", "\u{fffd}[2Jx"),
            (b"\xff\xfe!\n", "\u{fffd}\u{fffd}!"),
            ("grüße\n".as_bytes(), "grüße"),
        ] {
            assert_eq!(printable(line), text);
        }
    }
}
