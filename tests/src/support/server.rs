//! An example server in a process of its own, and the system's information about that process.

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

/// Far longer than anything here takes: a server that takes longer counts as hanging.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A server in a process of its own, which is killed when this is dropped.
pub struct Server {
    child: Child,
    /// The address at which the server listens.
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

/// Runs the test with 1 worker and with 4. The server must end well each time, and print no error.
pub fn with_one_and_four(name: &str, args: &[&str], test: impl Fn(&Server)) {
    for workers in ["1", "4"] {
        let server = Server::start(name, args, workers);
        test(&server);
        server.stop();
    }
}

impl Server {
    /// Starts the server at a free port, and waits until it listens.
    pub fn start(name: &str, args: &[&str], workers: &str) -> Server {
        let mut command = programs::program(name);
        command.arg("127.0.0.1:0").args(args);
        Server::start_command(command, workers)
    }

    /// Starts the server as [`start`](Server::start) does, with at most `fds` file descriptors.
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
        // The server does not inherit the test's descriptors (other tests' sockets), as they are
        // closed on exec.
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
        // SAFETY: `kill` touches no memory of this process, and the child has not been waited for,
        // so its number is still its own.
        let sent = unsafe { libc::kill(self.child.id().cast_signed(), signal) };
        assert_eq!(sent, 0);
    }

    /// Waits for a line on stderr that contains `part`.
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

    /// Waits for the server's end.
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

    /// Stops the server as Ctrl-C does, and checks that it ends well and has printed no error.
    pub fn stop(self) {
        self.signal(libc::SIGINT);
        let stopped = self.ended();
        assert_eq!(stopped.errors, [""; 0]);
        assert_eq!(stopped.status.code(), Some(0));
    }

    fn proc(&self, what: &str) -> String {
        format!("/proc/{}/{what}", self.child.id())
    }

    /// Returns the bytes of memory that the server uses.
    pub fn memory(&self) -> usize {
        let status = fs::read_to_string(self.proc("status")).expect("it lives");
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"))
            .and_then(|kib| kib.trim().parse::<usize>().ok());
        kib.expect("a number") << 10
    }

    /// Returns the number of the server's sockets. (Other descriptors are the runtime's, whose
    /// number grows with the number of its waiting workers.)
    pub fn sockets(&self) -> usize {
        fs::read_dir(self.proc("fd"))
            .expect("it lives")
            // A descriptor that is closed during the listing does not count.
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .filter(|link| link.as_os_str().as_bytes().starts_with(b"socket:"))
            .count()
    }

    /// Waits until the server has at most this number of sockets.
    pub fn wait_for_sockets(&self, most: usize) {
        let deadline = Instant::now() + LIMIT;
        while self.sockets() > most {
            let sockets = self.sockets();
            assert!(Instant::now() < deadline, "{sockets} sockets, not {most}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns the CPU time that the server has used.
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(self.proc("stat")).expect("it lives");
        // The name, in brackets, may contain spaces. It is followed by the state, which is the
        // third field; the times are the 14th and the 15th.
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().expect("a number"))
            .sum();
        // SAFETY: `sysconf` only returns a number.
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
