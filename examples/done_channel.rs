//! How goroutines are told to end: `cargo run --release --example done_channel`

use std::time::Duration;

use go_runtime::channel::{bounded, tick, unbounded};
use go_runtime::{go, select};

#[go_runtime::main]
fn main() {
    // One that works until it is told to stop.
    let (stop, done) = bounded::<()>(0);
    let (beat, beats) = unbounded();
    let worker = go! {
        let ticker = tick(Duration::from_millis(1));
        let mut count = 0;
        loop {
            select! {
                recv(ticker) -> _ => {
                    count += 1;
                    if beat.send(count).is_err() { break count }
                }
                recv(done) -> _ => break count,
            }
        }
    };
    let seen = beats.iter().take(3).count();
    drop(stop);
    println!(
        "saw {seen} ticks; the worker then ended: {}",
        worker.join().is_ok_and(|n| n >= 3)
    );

    // The first error cancels all the others.
    let (cancel, cancelled) = bounded::<()>(0);
    let (report, reports) = unbounded();
    for id in 0..10_000 {
        drop(go!(clone(cancelled, report) {
            let outcome = if id == 4321 {
                Err(format!("task {id} has failed"))
            } else {
                let _ = cancelled.recv();
                Ok(())
            };
            let _ = report.send(outcome);
        }));
    }
    drop(report);
    let first = reports.recv();
    println!("first report: {first:?}");
    drop(cancel);
    println!("{} others were released", reports.iter().count());
}
