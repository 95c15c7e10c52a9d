//! A job queue that spans several machines: a Redis stream carries the jobs to workers, which are
//! ordinary goroutines in any number of processes.
//!
//! ```sh
//! redis-server --appendonly yes --appendfsync always
//! alias job_queue='cargo run --manifest-path tests/crates/Cargo.toml --release --bin job_queue --'
//! job_queue enqueue 127.0.0.1:6379 --jobs 100 --work-ms 50 --failures 1
//! job_queue work 127.0.0.1:6379 --name a      # in as many terminals as you like
//! job_queue state 127.0.0.1:6379
//! ```
//!
//! # What is promised
//!
//! - **No job is lost** that `enqueue` has counted: Redis has written it to its file before it
//!   answers (`appendfsync always`), and it stays in the stream until a worker has *confirmed* it,
//!   or it is a dead letter. A worker or the broker may be killed at any time.
//! - **A job runs at least once.** While it runs, its worker renews its *lease*. If the worker is
//!   killed, or does not reach the broker for the time of a lease, another worker runs the job as
//!   well. So a job's effects have to be idempotent by the job's id, which is the same each time.
//! - **A job is confirmed once**, by the worker that has the lease then. A worker that has lost
//!   the lease is told so (`late`).
//! - **Enqueuing is idempotent**: a job whose id was enqueued within a day is not added again.
//! - **A job that fails runs again** when its lease has lapsed. After the maximum number of
//!   attempts, including those that ended with a killed worker, the job is a dead letter, in a
//!   stream of its own.
//! - **Back-pressure**: a worker takes a job only when a goroutine is free to run it, and `enqueue`
//!   waits while the backlog is full.
//!
//! Ctrl-C or SIGTERM stops a worker, which first finishes the jobs that it has begun.

mod broker;
mod job;
mod worker;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use go_runtime::time::sleep;
use lexopt::{Arg, Parser, ValueExt};

use crate::broker::Broker;
use crate::job::Job;
use crate::worker::Settings;

const USAGE: &str = "usage: job_queue enqueue ADDRESS [--jobs N] [--first ID] [--work-ms MS]
                         [--failures N] [--backlog N]
       job_queue work ADDRESS [--name NAME] [--goroutines N] [--lease-ms MS] [--attempts N]
       job_queue state ADDRESS";

/// How often a producer checks whether the backlog has become smaller.
const PAUSE: Duration = Duration::from_millis(10);

/// The options of the command line.
struct Options {
    command: String,
    address: String,
    jobs: u64,
    first: u64,
    job: Job,
    backlog: u64,
    settings: Settings,
}

#[go_runtime::main]
fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("job_queue: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let done = match options.command.as_str() {
        "enqueue" => enqueue(&options),
        "work" => worker::work(&options.address, &options.settings),
        "state" => state(&options.address),
        other => {
            eprintln!("job_queue: no command: {other}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("job_queue: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Adds jobs, and prints a line for each job that the broker has stored durably.
fn enqueue(options: &Options) -> io::Result<()> {
    let mut broker = Broker::new(&options.address)?;
    for id in options.first..options.first + options.jobs {
        let job = Job { id, ..options.job };
        while !broker.enqueue(&job, options.backlog)? {
            sleep(PAUSE);
        }
        writeln!(io::stdout(), "enqueued {id}")?;
    }
    Ok(())
}

/// Prints the lengths of the streams.
fn state(address: &str) -> io::Result<()> {
    let (backlog, in_work, dead) = Broker::new(address)?.state()?;
    writeln!(
        io::stdout(),
        "backlog {backlog}, of these in work {in_work}, dead {dead}"
    )
}

fn options() -> Result<Options, lexopt::Error> {
    let mut parser = Parser::from_env();
    let mut words = Vec::new();
    let mut options = Options {
        command: String::new(),
        address: String::new(),
        jobs: 1,
        first: 1,
        job: Job {
            id: 0,
            work_ms: 100,
            failures: 0,
        },
        backlog: 1000,
        settings: Settings {
            name: format!("worker-{}", std::process::id()),
            goroutines: 8,
            lease: Duration::from_secs(30),
            attempts: 3,
        },
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Value(word) => words.push(word.string()?),
            Arg::Long("jobs") => options.jobs = parser.value()?.parse()?,
            Arg::Long("first") => options.first = parser.value()?.parse()?,
            Arg::Long("work-ms") => options.job.work_ms = parser.value()?.parse()?,
            Arg::Long("failures") => options.job.failures = parser.value()?.parse()?,
            Arg::Long("backlog") => options.backlog = parser.value()?.parse()?,
            Arg::Long("name") => options.settings.name = parser.value()?.string()?,
            Arg::Long("goroutines") => options.settings.goroutines = parser.value()?.parse()?,
            Arg::Long("lease-ms") => {
                options.settings.lease = Duration::from_millis(parser.value()?.parse()?);
            }
            Arg::Long("attempts") => options.settings.attempts = parser.value()?.parse()?,
            other => return Err(other.unexpected()),
        }
    }
    let words: Result<[String; 2], _> = words.try_into();
    [options.command, options.address] = words.map_err(|_| "a command and an address")?;
    Ok(options)
}
