//! Servers under load: each is a process of its own, prints `listening on ADDR`, and is killed when
//! its [`Server`] is dropped.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::peers::read;

/// Time limit for a line that a server should print.
const LINE_TIMEOUT: Duration = Duration::from_secs(20);

pub struct Server {
    child: Child,
    address: String,
    /// The lines that the server prints after its address. A thread reads them, so that the server
    /// never blocks on a full pipe.
    lines: Receiver<String>,
}

impl Server {
    /// Starts a server that listens on a port of the system's choice, which its first line names.
    pub fn start(command: &mut Command) -> Result<Server, String> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let out = child.stdout.take();
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let out = out.into_iter().map(BufReader::new);
            for line in out.flat_map(|out| out.lines().map_while(Result::ok)) {
                // An error means that the `Server` has been dropped, so no more lines are needed.
                let _ = sender.send(line);
            }
        });
        // From here on, dropping this value ends the process.
        let mut server = Server {
            child,
            address: String::new(),
            lines,
        };
        let line = server.line("where it listens")?;
        let address = line.strip_prefix("listening on ");
        server.address = address
            .ok_or_else(|| format!("the server said: {line}"))?
            .to_string();
        Ok(server)
    }

    fn line(&self, what: &str) -> Result<String, String> {
        let line = self.lines.recv_timeout(LINE_TIMEOUT);
        line.map_err(|_| format!("the server did not say {what}"))
    }

    /// Returns what the server prints from now on, up to the line `last`.
    pub fn output(&self, last: &str) -> Result<String, String> {
        let mut text = String::new();
        loop {
            match self.line(last)? {
                line if line == last => return Ok(text),
                line => text.extend([line.as_str(), "\n"]),
            }
        }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that the server has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the CPU time that a process has used so far, in ms.
pub fn cpu_ms(process: u32) -> Result<f64, String> {
    // SAFETY: the call only asks for a constant of the system.
    let ticks_per_s = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    let ticks = ticks(&read(&format!("/proc/{process}/stat"))?)
        .ok_or_else(|| format!("/proc/{process}/stat: no times"))?;
    Ok(ticks * 1e3 / ticks_per_s)
}

/// The fields are the user and the system time. The name, which is in brackets, may contain
/// anything.
fn ticks(stat: &str) -> Option<f64> {
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let times: Vec<f64> = fields.skip(11).take(2).flat_map(str::parse).collect();
    (times.len() == 2).then(|| times.iter().sum())
}

/// Returns the resident memory of a process, in bytes.
pub fn resident(process: u32) -> Result<f64, String> {
    let status = read(&format!("/proc/{process}/status"))?;
    let kb = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
    let kb: Option<f64> = kb.and_then(|kb| kb.parse().ok());
    kb.map(|kb| kb * 1024.0)
        .ok_or_else(|| format!("/proc/{process}/status: no VmRSS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_server_says_where_it_listens_and_ends_when_dropped() {
        let server = Server::start(&mut shell(
            "printf 'listening on 1.2.3.4:5\na 1\nend\n'; exec sleep 600",
        ))
        .unwrap();
        assert_eq!(server.address(), "1.2.3.4:5");
        assert_eq!(server.output("end").unwrap(), "a 1\n");
        assert!(resident(server.id()).unwrap() > 0.0);
        let id = server.id();
        drop(server);
        assert!(resident(id).is_err());
    }

    #[test]
    fn what_is_no_server_is_an_error() {
        let error = |script| Server::start(&mut shell(script)).err().unwrap();
        assert_eq!(error("echo boo"), "the server said: boo");
        assert_eq!(error("exit 3"), "the server did not say where it listens");
    }

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 30 12 13 14";
        assert_eq!(ticks(stat), Some(42.0));
        assert_eq!(ticks("7 (a) S 1"), None);
    }
}
