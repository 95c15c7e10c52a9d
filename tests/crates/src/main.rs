//! Prints the table of the page on crates: how long a ticker is delayed while eight goroutines use
//! a crate for 100 ms each, on one worker.

use std::env;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use go_crates::cases::{self, Case};
use go_crates::pools;
use go_crates::world::{Servers, Wait, World};
use go_runtime::{go, spawn, time::sleep};

const GOROUTINES: usize = 8;
const TICK: Duration = Duration::from_millis(1);
/// The row that measures pools and is not a case.
const POOLS: &str = "pools";
/// Number of measurements of a row.
const RUNS: usize = 5;
/// How long a user of a pool waits for a connection.
const POOL_TIMEOUT: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    match env::args().nth(1) {
        None => table(),
        Some(name) => row(&name),
    }
}

fn table() -> ExitCode {
    let servers = Servers::start();
    servers.report();
    println!("{GOROUTINES} goroutines of 100 ms on one worker, beside a ticker of 1 ms\n");
    println!("| crate | way | longest gap of the ticker | all done after |");
    println!("|---|---|---:|---:|");
    let child = |row: &str| {
        let mut child = Command::new(env::current_exe().expect("this program has a path"));
        child
            .arg(row)
            .envs(servers.variables())
            .env("GOMAXPROCS", "1")
            .stderr(Stdio::inherit());
        let output = child.output().expect("it starts again");
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let mut missing = Vec::new();
    for (row, case) in cases::all().into_iter().enumerate() {
        let start = format!("| {} | {} |", case.name, case.way.name());
        // Other programs on the machine also cause gaps, so the smallest of several gaps is the
        // crate's. Each measurement has its own process, because the runtime spawns goroutines
        // elsewhere when a spawned goroutine has held its worker before.
        let runs: Option<Vec<String>> = (0..RUNS).map(|_| child(&row.to_string())).collect();
        let Some(runs) = runs else {
            println!("{start} not measured: needs {:?} | |", case.needs);
            missing.push(case.name);
            continue;
        };
        let runs = runs.iter().filter_map(|run| {
            let (gap, time) = run.trim().split_once(' ')?;
            Some((gap.parse::<u32>().ok()?, time.parse::<u32>().ok()?))
        });
        let (gap, time) = runs.min().expect("each run says two numbers");
        println!(
            "{start} {:.1} ms | {} ms |",
            f64::from(gap) / 1e3,
            time / 1000
        );
    }
    print!("{}", child(POOLS).expect("it needs nothing"));
    if missing.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!(
        "\nrows not measured: {} ({})",
        missing.len(),
        missing.join(", ")
    );
    ExitCode::FAILURE
}

/// Prints the gap and the time of a case for the parent, in microseconds.
fn row(row: &str) -> ExitCode {
    if row == POOLS {
        for (name, way, (missed, gets)) in [
            ("r2d2", "as it is", pools::r2d2(POOL_TIMEOUT, spawn)),
            (
                "r2d2",
                "in `go!(thread; ...)`",
                pools::r2d2(POOL_TIMEOUT, cases::thread),
            ),
            (
                "a channel of connections",
                "as it is",
                pools::recipe(POOL_TIMEOUT),
            ),
        ] {
            println!("| {name} | {way} | {missed} of {gets} gets time out | |");
        }
        return ExitCode::SUCCESS;
    }
    let case = cases::all()[row.parse::<usize>().expect("the number of a row")];
    let world: &'static World = Box::leak(Box::new(World::from_env()));
    if !world.has(case.needs) {
        return ExitCode::FAILURE;
    }
    // Runs the task once before the measurement, which then does not include what a crate
    // initializes at its first use.
    (case.task)(world)(&Wait::Time);
    let (gap, time) = measure(world, case);
    println!("{} {}", gap.as_micros(), time.as_micros());
    ExitCode::SUCCESS
}

fn measure(world: &'static World, case: Case) -> (Duration, Duration) {
    let stop = Arc::new(AtomicBool::new(false));
    let ticker = {
        let stop = Arc::clone(&stop);
        go! {
            let mut longest = Duration::ZERO;
            let mut last = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                sleep(TICK);
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            longest
        }
    };
    let start = Instant::now();
    let tasks: Vec<_> = (0..GOROUTINES)
        .map(|_| case.start(world, Wait::Time, || {}, || {}))
        .collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    let time = start.elapsed();
    stop.store(true, Ordering::Relaxed);
    (ticker.join().unwrap(), time)
}
