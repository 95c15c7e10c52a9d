//! An example that serves, in a process of its own, and what the system knows about that process.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::programs;

/// Far longer than anything here takes: who needs more hangs.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A server in a process of its own, which is killed when this is dropped.
pub struct Server {
    child: Child,
    /// Where the server listens.
    pub address: SocketAddr,
    stderr: mpsc::Receiver<String>,
}

/// A server that has ended.
pub struct Stopped {
    /// How the server ended.
    pub status: ExitStatus,
    /// The lines that it wrote to its standard error.
    pub errors: Vec<String>,
}

/// Tries it with 1 worker and with 4. The server ends well each time, and complains about nothing.
pub fn with_one_and_four(name: &str, args: &[&str], test: impl Fn(&Server)) {
    for workers in ["1", "4"] {
        let server = Server::start(name, args, workers);
        test(&server);
        server.stop();
    }
}

impl Server {
    /// Starts it at a port of its own, and waits until it listens.
    pub fn start(name: &str, args: &[&str], workers: &str) -> Server {
        let mut command = programs::program(name);
        command.arg("127.0.0.1:0").args(args);
        Server::start_command(command, workers)
    }

    /// The same with so many file descriptors at most.
    pub fn start_with_fds(name: &str, fds: u32, workers: &str) -> Server {
        let program = programs::program(name);
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("ulimit -n {fds} && exec \"$0\" 127.0.0.1:0"))
            .arg(program.get_program());
        Server::start_command(command, workers)
    }

    fn start_command(mut command: Command, workers: &str) -> Server {
        // What the test has open (other tests' sockets: they are closed on exec) is not the
        // server's.
        let mut child = command
            .env("GOMAXPROCS", workers)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("the server starts");
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let err = BufReader::new(child.stderr.take().unwrap());
        let (line, stderr) = mpsc::channel();
        thread::spawn(move || {
            err.lines()
                .map_while(Result::ok)
                .try_for_each(|text| line.send(text))
        });
        let mut first = String::new();
        out.read_line(&mut first).expect("it says where it listens");
        thread::spawn(move || out.read_to_end(&mut Vec::new()));
        let address = first
            .trim_end()
            .strip_prefix("listening on ")
            .and_then(|address| address.parse().ok());
        let Some(address) = address else {
            let errors: Vec<_> = stderr.iter().collect();
            panic!("{command:?} says {first:?} and {errors:?}");
        };
        Server {
            child,
            address,
            stderr,
        }
    }

    /// Returns the URL of a path on this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends a signal to the server.
    pub fn signal(&self, signal: i32) {
        // SAFETY: a signal touches nothing of ours, and the child has not been waited for: the
        // number is its own.
        let sent = unsafe { libc::kill(self.child.id().cast_signed(), signal) };
        assert_eq!(sent, 0);
    }

    /// Waits for a line on stderr.
    pub fn says(&self, part: &str) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.stderr.recv_timeout(left);
            if line.expect("the line comes").contains(part) {
                return;
            }
        }
    }

    /// Waits for its end.
    pub fn ended(mut self) -> Stopped {
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                break status;
            }
            assert!(Instant::now() < deadline, "the server does not end");
            thread::sleep(Duration::from_millis(2));
        };
        Stopped {
            status,
            errors: self.stderr.iter().collect(),
        }
    }

    /// Stops it as Ctrl-C does; it ends well, and has had nothing to complain about.
    pub fn stop(self) {
        self.signal(libc::SIGINT);
        let stopped = self.ended();
        assert_eq!(stopped.errors, [""; 0]);
        assert_eq!(stopped.status.code(), Some(0));
    }

    fn proc(&self, what: &str) -> String {
        format!("/proc/{}/{what}", self.child.id())
    }

    /// The bytes of memory that it uses.
    pub fn memory(&self) -> usize {
        let status = fs::read_to_string(self.proc("status")).expect("it lives");
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"))
            .and_then(|kib| kib.trim().parse::<usize>().ok());
        kib.expect("a number") << 10
    }

    /// How many sockets it has. (Other descriptors are the runtime's, which has more of them when
    /// more workers have come to wait.)
    pub fn sockets(&self) -> usize {
        fs::read_dir(self.proc("fd"))
            .expect("it lives")
            // One that is closed in this moment is none.
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .filter(|link| link.as_os_str().as_bytes().starts_with(b"socket:"))
            .count()
    }

    /// Waits until it has no more sockets than that.
    pub fn wait_for_sockets(&self, most: usize) {
        let deadline = Instant::now() + LIMIT;
        while self.sockets() > most {
            let sockets = self.sockets();
            assert!(Instant::now() < deadline, "{sockets} sockets, not {most}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The CPU time that it has used.
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(self.proc("stat")).expect("it lives");
        // The name, in brackets, may have spaces in it. After it come the state, as the third
        // field, and the times as 14th and 15th.
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().expect("a number"))
            .sum();
        // SAFETY: asks only.
        let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
        Duration::from_secs_f64(ticks as f64 / per_second as f64)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
