//! Servers under load: each is a process of its own, prints `listening on ADDR`, and is killed when
//! its [`Server`] is dropped.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::peers::read;

pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    /// Starts a server that listens on a port of the system's choice, which its first line names.
    pub fn start(command: &mut Command) -> Result<Server, String> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        // From here on, dropping this value ends the process.
        let mut server = Server {
            child,
            address: String::new(),
        };
        let mut line = String::new();
        if let Some(out) = &mut server.child.stdout {
            let read = BufReader::new(out).read_line(&mut line);
            read.map_err(|error| error.to_string())?;
        }
        let address = line.trim().strip_prefix("listening on ");
        server.address = address
            .ok_or_else(|| format!("the server said: {line}"))?
            .into();
        Ok(server)
    }

    /// Returns the CPU time that the process has used so far, in ms.
    pub fn cpu_ms(&self) -> Result<f64, String> {
        // SAFETY: the call only asks for a constant of the system.
        let ticks_per_s = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
        let stat = read(&format!("/proc/{}/stat", self.child.id()))?;
        // The name of the process, which is in brackets, may contain anything.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        // The 12th and the 13th field after it are the user and the system time.
        let times = fields.split_whitespace().skip(11).take(2);
        let ticks: f64 = times.flat_map(str::parse::<f64>).sum();
        Ok(ticks * 1e3 / ticks_per_s)
    }

    /// Returns the resident memory of the process, in bytes.
    pub fn resident(&self) -> Result<f64, String> {
        Ok(status_kb(&self.child.id().to_string(), "VmRSS")? * 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that the server has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a field of `/proc/PROCESS/status` in KiB.
pub fn status_kb(process: &str, key: &str) -> Result<f64, String> {
    let file = format!("/proc/{process}/status");
    let status = read(&file)?;
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kb = line.and_then(|line| line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().ok());
    kb.ok_or_else(|| format!("{file}: no {key}"))
}
