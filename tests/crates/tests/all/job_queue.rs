//! The example `job_queue`: workers and the broker are killed in the middle of their work, and no
//! job is lost.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use go_crates::servers::Server;
use go_crates::world::{Needs, World};
use rustix::process::{Pid, Signal, kill_process};

use crate::Named;

pub(crate) const ALL: &[Named] = &[(
    "job_queue: a worker and the broker are killed, and no job is lost",
    &[Needs::Redis],
    killed,
)];

const JOBS: u64 = 240;
/// The first id of the jobs that fail at their first attempt.
const FAILING: u64 = 1001;
const FAILING_JOBS: u64 = 10;
/// The first id of the jobs that always fail.
const POISONED: u64 = 2001;
const POISONED_JOBS: u64 = 3;
const BACKLOG: u64 = 60;
const GOROUTINES: usize = 4;
const ATTEMPTS: usize = 5;
const FOREVER: Duration = Duration::from_secs(120);

/// The output of all processes in one order, each line written at once.
struct Log {
    path: PathBuf,
}

impl Log {
    fn open(&self) -> File {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .unwrap()
    }

    /// Returns the events of each job in their order: the name of the worker, and what it did.
    fn jobs(&self) -> BTreeMap<u64, Vec<(String, String)>> {
        let mut jobs: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for line in fs::read_to_string(&self.path).unwrap_or_default().lines() {
            if let [worker, what, id] = line.split(' ').collect::<Vec<_>>()[..] {
                let event = (worker.to_owned(), what.to_owned());
                jobs.entry(id.parse().unwrap()).or_default().push(event);
            }
        }
        jobs
    }

    fn ended(&self) -> usize {
        let is_end = |(_, what): &(_, String)| what == "done" || what == "dead";
        self.jobs()
            .values()
            .filter(|events| events.iter().any(is_end))
            .count()
    }

    fn wait_for(&self, jobs: usize) {
        let start = Instant::now();
        while self.ended() < jobs {
            assert!(
                start.elapsed() < FOREVER,
                "{} of {jobs} jobs: {:?}",
                self.ended(),
                self.jobs()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A process that is killed when the test ends early.
struct Process(Child);

impl Process {
    fn start(command: &str, server: &Server, args: &[&str], stdout: impl Into<Stdio>) -> Process {
        let address = server.address().to_string();
        let mut process = Command::new(env!("CARGO_BIN_EXE_job_queue"));
        process.args([command, &address]).args(args).stdout(stdout);
        Process(process.spawn().unwrap())
    }

    fn worker(server: &Server, name: &str, log: &Log) -> Process {
        let (goroutines, attempts) = (GOROUTINES.to_string(), ATTEMPTS.to_string());
        let args = [
            "--name",
            name,
            "--goroutines",
            &goroutines,
            "--attempts",
            &attempts,
        ];
        let args = [&args[..], &["--lease-ms", "1000"]].concat();
        Process::start("work", server, &args, log.open())
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn stop(&mut self) {
        kill_process(Pid::from_child(&self.0), Signal::INT).unwrap();
        assert!(self.0.wait().unwrap().success());
    }

    fn succeeds(&mut self) -> bool {
        self.0.wait().unwrap().success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn enqueue(server: &Server, first: u64, jobs: u64, failures: usize) -> Process {
    let [first, jobs, failures] = [first, jobs, failures as u64].map(|number| number.to_string());
    let backlog = BACKLOG.to_string();
    let args = ["--first", &first, "--jobs", &jobs, "--failures", &failures];
    let args = [&args[..], &["--backlog", &backlog, "--work-ms", "20"]].concat();
    Process::start("enqueue", server, &args, Stdio::null())
}

fn state(server: &Server) -> String {
    let address = server.address().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_job_queue"))
        .args(["state", &address])
        .output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

fn killed(_: &'static World) {
    let mut server = Server::redis().unwrap();
    let log = Log {
        path: std::env::temp_dir().join(format!("go-crates-jobs-{}", std::process::id())),
    };
    let mut producers = [
        enqueue(&server, 1, JOBS, 0),
        enqueue(&server, FAILING, FAILING_JOBS, 1),
        enqueue(&server, POISONED, POISONED_JOBS, usize::MAX / 4),
    ];
    let mut first = Process::worker(&server, "first", &log);
    let mut second = Process::worker(&server, "second", &log);
    log.wait_for(40);
    first.kill();
    let mut third = Process::worker(&server, "third", &log);
    log.wait_for(100);
    server.kill().unwrap();
    server.restart().unwrap();
    assert!(producers.iter_mut().all(Process::succeeds));
    // The jobs are enqueued a second time, which adds nothing.
    assert!(enqueue(&server, 1, JOBS, 0).succeeds());
    let start = Instant::now();
    while !state(&server).starts_with("backlog 0, ") {
        assert!(start.elapsed() < FOREVER, "{}", state(&server));
        thread::sleep(Duration::from_millis(20));
    }
    second.stop();
    third.stop();

    let (jobs, ends) = (log.jobs(), ends(&server));
    assert!(jobs.keys().eq(ends.keys()));
    assert_eq!(jobs.len() as u64, JOBS + FAILING_JOBS + POISONED_JOBS);
    let mut abandoned = 0;
    for (id, events) in &jobs {
        let of = |worker: &str, what: &str| {
            let is_it = |(by, event): &&(String, String)| event == what && by.starts_with(worker);
            events.iter().filter(is_it).count()
        };
        let poisoned = (POISONED..POISONED + POISONED_JOBS).contains(id);
        let failing = (FAILING..FAILING + FAILING_JOBS).contains(id);
        // Each job has ended as expected, and once.
        let (how, by) = &ends[id];
        assert_eq!(
            how,
            if poisoned { "dead" } else { "done" },
            "{id}: {events:?}"
        );
        let told = of("", "done") + of("", "dead");
        // A worker may be killed before it prints the line.
        assert!(told == 1 || told == 0 && by == "first", "{id}: {events:?}");
        // After each start except the last, something made the job run again: the job failed, its
        // lease was lost, or its worker was killed.
        let ended = ["failed", "late", "done", "dead"].map(|what| of("first", what));
        let killed = of("first", "start") - ended.iter().sum::<usize>() - (1 - told);
        let again = of("", "failed") + of("", "late") + killed;
        assert!(of("", "start") <= 1 + again, "{id}: {events:?}");
        assert!(of("", "start") <= ATTEMPTS, "{id}: {events:?}");
        assert!(
            poisoned || failing || of("", "failed") == 0,
            "{id}: {events:?}"
        );
        abandoned += killed;
    }
    assert!(abandoned <= GOROUTINES, "{abandoned}");
    let dead = format!("backlog 0, of these in work 0, dead {POISONED_JOBS}\n");
    assert_eq!(state(&server), dead);
}

/// Returns how each job has ended, and by which worker, according to the broker.
fn ends(server: &Server) -> BTreeMap<u64, (String, String)> {
    let client = redis::Client::open(format!("redis://{}", server.address())).unwrap();
    let mut connection = client.get_connection().unwrap();
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("job:*")
        .query(&mut connection)
        .unwrap();
    let end = |key: String| {
        let state: String = redis::cmd("GET").arg(&key).query(&mut connection).unwrap();
        let (how, rest) = state.split_once(':').unwrap_or((&state, ""));
        let by = rest.split(':').next().unwrap_or_default();
        let id = key.strip_prefix("job:").unwrap().parse().unwrap();
        (id, (how.to_owned(), by.to_owned()))
    };
    keys.into_iter().map(end).collect()
}
