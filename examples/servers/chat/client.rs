//! A client: a goroutine that reads the client's lines, and one that writes lines to it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use go_example_servers::server::linger;
use go_runtime::Builder;
use go_runtime::channel::{Receiver, Sender, bounded};
use go_runtime::net::{Shutdown, TcpStream};

use crate::hub::{Event, Id, Member};

/// Maximum length of a line, in bytes.
const MAX_LINE: usize = 1024;
/// Capacity of a client's outbox, in lines.
const OUTBOX: usize = 1024;
/// How long a leaving client may take to read its last lines.
const GRACE: Duration = Duration::from_secs(3);

/// Serves a client from its first line to its last.
pub(crate) fn serve(stream: TcpStream, events: &Sender<Event>) {
    let stream = Arc::new(stream);
    let (outbox, lines) = bounded(OUTBOX);
    let (farewell, gone) = bounded(1);
    let writer = {
        let stream = Arc::clone(&stream);
        // A client is refused if there is no memory for its second goroutine.
        let Ok(writer) = Builder::new().spawn(move || write(&stream, &lines)) else {
            return;
        };
        writer
    };

    let told = outbox.clone();
    let member = Member { outbox, farewell };
    let (id_tx, id_rx) = bounded(1);
    // (The send fails if the hub has stopped.)
    if events.send(Event::Joined(member, id_tx)).is_ok()
        && let Ok(id) = id_rx.recv()
    {
        // An error ends the client like anything else.
        let _ = read(&stream, id, events, &told, &gone);
        let _ = events.send(Event::Left(id));
    }
    drop(told);

    // From here on the writer's time is limited, even if it is waiting already. It ends earlier if
    // everything is written: the hub drops the outbox when it learns that the client has left, if
    // not before. (Setting a deadline cannot fail.)
    let _ = stream.set_write_deadline(Some(Instant::now() + GRACE));
    // The panic hook has reported a panic of the writer.
    let _ = writer.join();
    if let Ok(last) = gone.try_recv() {
        // The last line may interrupt another one. A failed write is ignored, because the client is
        // leaving.
        let _ = (&*stream).write_all(format!("\n{last}\n").as_bytes());
    }
    linger(&stream);
}

/// Sends the client's lines to the hub, until the hub or the client wants no more.
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
        // One byte more than the maximum is read, so that the end of a line of maximum length is
        // seen.
        let most = MAX_LINE as u64 + 1;
        if input.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.len() > MAX_LINE && !line.ends_with(b"\n") {
            input.skip_until(b'\n')?;
            // If the outbox has no room for the answer, the client does not read anyway.
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

/// Returns the line without its end, and without characters that could change other people's
/// terminals.
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

/// Writes lines until the outbox is closed. Lines that wait together are written together.
fn write(mut stream: &TcpStream, lines: &Receiver<Arc<str>>) {
    let mut batch = Vec::new();
    for line in lines {
        batch.clear();
        batch.extend_from_slice(line.as_bytes());
        while let Ok(line) = lines.try_recv() {
            batch.extend_from_slice(line.as_bytes());
        }
        if stream.write_all(&batch).is_err() {
            // Ends the goroutine that reads from this client, too.
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
