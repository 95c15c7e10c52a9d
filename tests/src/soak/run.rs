//! The run, from its start to its final account.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use fastrand::Rng;
use go_runtime::num_goroutines;

use super::counts::Kind;
use super::growth::Growth;
use super::inside::Inside;
use super::process::{self, Process};
use super::report::Report;
use super::watchdog::Watchdog;
use super::world::World;
use super::{expected, keeper, life};

/// The parameters of a run. A process makes at most one run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Duration of the run, after all goroutines have been started.
    pub time: Duration,
    /// Number of goroutines that live at any time.
    pub live: usize,
    /// The seed of every goroutine's choices. (It does not determine the order in which they run.)
    pub seed: u64,
    /// The operations to leave out, to find out where a failure comes from.
    pub without: Vec<Kind>,
    /// Whether the process looks into itself meanwhile, with a flight recorder on.
    pub inside: bool,
}

const REPORT: Duration = Duration::from_secs(10);

/// Runs the crowd, and reports its progress on standard output. Returns the final account.
///
/// # Errors
/// Returns an error if something was lost, if the process has grown, or if a goroutine cannot
/// start. If nothing happens for 20 seconds the process ends, with exit code 1.
pub fn run(plan: &Plan) -> Result<String, String> {
    let (world, failures) = World::new(plan.live, plan.without.clone());
    expected::install_hook(&world);
    let before = num_goroutines();
    let watchdog = Watchdog::start(&world);
    let inside = plan.inside.then(Inside::start).transpose()?;

    let mut rng = Rng::with_seed(plan.seed);
    // One count is held until the end, so that the group's count is never 0 in between.
    world.alive.add(1);
    let seed = rng.u64(..);
    world.start(Default::default(), move |world| keeper::keep(world, seed));
    let start = Instant::now();
    while world.counts.live() < plan.live && life::begin(&world, rng.u64(..)).is_some() {}
    println!(
        "{} goroutines after {:.1?}",
        world.counts.live(),
        start.elapsed()
    );

    let mut growth = Growth::new(plan.time);
    let watched = watch(plan, &world, &failures, &mut growth, inside.as_ref());

    let start = Instant::now();
    world.end();
    world.alive.done();
    world.alive.wait();
    println!("all have ended after {:.1?}", start.elapsed());
    for (_, rx) in &world.board {
        rx.try_iter().for_each(drop);
    }
    drop(watchdog);
    let mut steps = vec![
        watched,
        world.counts.close(),
        goroutines_are_back_at(before),
        growth.close(),
    ];
    // Adds failures that came after the end of the watch.
    steps.extend(failures.try_iter().next().map(Err));
    let (good, bad): (Vec<_>, Vec<_>) = steps.into_iter().partition(Result::is_ok);
    if bad.is_empty() {
        Ok(good.into_iter().flatten().collect::<Vec<_>>().join("\n"))
    } else {
        let bad = bad.into_iter().filter_map(Result::err);
        Err(bad.collect::<Vec<_>>().join("\n"))
    }
}

/// Watches until the time is over or something fails.
fn watch(
    plan: &Plan,
    world: &Arc<World>,
    failures: &mpsc::Receiver<String>,
    growth: &mut Growth,
    inside: Option<&Inside>,
) -> Result<String, String> {
    // The run fails before the system runs out of memory and kills a process.
    let most = process::available().map_or(usize::MAX, |memory| memory / 4 * 3);
    let mut report = Report::default();
    let (start, mut told) = (Instant::now(), Duration::ZERO);
    let tick = Duration::from_secs(1).min(plan.time / 20);
    let mut next = start;
    loop {
        next += tick;
        let pause = next.saturating_duration_since(Instant::now());
        match failures.recv_timeout(pause) {
            Ok(failure) => return Err(failure),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => unreachable!("the world has a sender"),
        }
        let (elapsed, process) = (start.elapsed(), Process::read());
        growth.note(elapsed, &process);
        let over = elapsed >= plan.time;
        if over || elapsed >= told + REPORT {
            println!("{}", report.line(elapsed, world, &process));
            told = elapsed;
            if let Some(inside) = inside {
                println!("         {}", inside.look()?);
            }
        }
        world.counts.check()?;
        check_crowd(world)?;
        if process.resident > most {
            return Err(format!(
                "{} MiB of memory, too much for this machine",
                process.resident >> 10
            ));
        }
        if over {
            return Ok(format!("it has run for {elapsed:.1?}"));
        }
    }
}

/// Checks that the number of goroutines is near the target.
fn check_crowd(world: &World) -> Result<(), String> {
    let (live, target) = (world.counts.live(), world.target);
    // Goroutines that only wait for a partner or a child are added to the target: up to six for ten
    // in the first seconds, in which all begin.
    if live < target / 10 * 8 || live > target * 2 + 1_000 {
        return Err(format!("{live} goroutines live instead of {target}"));
    }
    Ok(())
}

/// Waits for the number of goroutines to fall back. A goroutine that was not joined leaves the
/// count a moment after its last action.
fn goroutines_are_back_at(before: usize) -> Result<String, String> {
    let start = Instant::now();
    while num_goroutines() != before {
        if start.elapsed() > Duration::from_secs(20) {
            return Err(format!(
                "there were {before} goroutines at the start, and are {} at the end",
                num_goroutines()
            ));
        }
        std::thread::yield_now();
    }
    Ok(format!("{before} other goroutines, as at the start"))
}
