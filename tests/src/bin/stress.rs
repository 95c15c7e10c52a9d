//! The long version of the stress tests: `stress [MESSAGES]`. By default it sends ten million
//! messages on each kind of channel, and runs as many selects on long-lived channels.

use std::process::ExitCode;
use std::time::Instant;

use go_tests::stress::{Flavor, at, long_lived, run, tick};

fn main() -> ExitCode {
    let messages = match std::env::args().nth(1).map(|text| text.parse()) {
        None => 10_000_000,
        Some(Ok(messages)) => messages,
        Some(Err(error)) => {
            eprintln!("usage: stress [MESSAGES] ({error})");
            return ExitCode::from(2);
        }
    };
    let timed = |what: &dyn Fn() -> String| {
        let start = Instant::now();
        println!("{} ({:.1} s)", what(), start.elapsed().as_secs_f64());
    };
    for flavor in [
        Flavor::Bounded(0),
        Flavor::Bounded(1),
        Flavor::Bounded(128),
        Flavor::Unbounded,
    ] {
        timed(&|| run(flavor, messages, 10_000));
    }
    timed(&|| at(messages));
    timed(&|| tick(messages));
    timed(&|| long_lived(messages));
    ExitCode::SUCCESS
}
