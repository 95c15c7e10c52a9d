//! Runs programs, and collects their output.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Maximum number of characters of a program's error output in a note.
const COMPLAINT: usize = 200;

/// Returns the output of a command that ends in time and successfully.
pub fn output(command: &mut Command, limit: Duration) -> Result<String, String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    // Blocking threads read both, so that this program uses no CPU time beside what is measured.
    let errors = reader(child.stderr.take());
    let lines = reader(child.stdout.take());
    let (ended, end) = mpsc::channel();
    let lines = thread::spawn(move || {
        let text = lines.join().unwrap_or_default();
        // If the time is over, the receiver no longer waits.
        let _ = ended.send(());
        text
    });
    let in_time = end.recv_timeout(limit).is_ok();
    if !in_time {
        // An error means that the child has just ended.
        let _ = child.kill();
    }
    finish(child, in_time, limit)
        .map(|()| lines.join().unwrap_or_default())
        .map_err(|why| {
            let errors = errors.join().unwrap_or_default();
            match complaint(&errors).as_str() {
                "" => why,
                complaint => format!("{why}: {complaint}"),
            }
        })
}

/// Returns the beginning of a program's error output, on one line.
fn complaint(errors: &str) -> String {
    // Rust's hint after a panic is of no use in a note.
    let errors = errors.split("note: run with").next().unwrap_or_default();
    let words: Vec<&str> = errors.split_whitespace().map(without_registry).collect();
    words.join(" ").chars().take(COMPLAINT).collect()
}

/// Returns the part of a panic's location that is the same on every machine.
fn without_registry(word: &str) -> &str {
    let in_registry = word.split_once("/registry/src/");
    let in_crate = in_registry.and_then(|(_, path)| path.split_once('/'));
    in_crate.map_or(word, |(_, path)| path)
}

fn finish(mut child: Child, in_time: bool, limit: Duration) -> Result<(), String> {
    let status = child.wait().map_err(|error| error.to_string())?;
    match (in_time, status.success()) {
        (false, _) => Err(format!("not done after {} s", limit.as_secs_f64())),
        (true, true) => Ok(()),
        (true, false) => Err(status.to_string()),
    }
}

fn reader(stream: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // After an error, the bytes that were read before it are used.
            let _ = stream.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(40);

    fn shell(script: &str, limit: Duration) -> Result<String, String> {
        output(Command::new("sh").arg("-c").arg(script), limit)
    }

    #[test]
    fn a_program_that_ends_well_has_its_output_taken() {
        assert_eq!(shell("echo a; echo b >&2", LIMIT), Ok("a\n".into()));
    }

    #[test]
    fn one_that_fails_says_why() {
        let error = shell("echo out of memory >&2; exit 4", LIMIT).unwrap_err();
        assert_eq!(error, "exit status: 4: out of memory");
    }

    #[test]
    fn complaints_are_short_and_name_no_directory_of_this_machine() {
        let panic = "\nthread panicked at /home/me/registry/src/index-1/may-0.3/src/lib.rs:5:\n  \
                     boo\nnote: run with x";
        assert_eq!(
            complaint(panic),
            "thread panicked at may-0.3/src/lib.rs:5: boo"
        );
        assert_eq!(complaint(&"long ".repeat(100)).len(), COMPLAINT);
    }

    #[test]
    fn one_that_hangs_is_ended() {
        let error = shell("exec sleep 600", Duration::from_millis(100)).unwrap_err();
        assert_eq!(error, "not done after 0.1 s");
    }
}
