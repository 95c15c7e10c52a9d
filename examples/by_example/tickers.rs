//! Tickers: a periodic event, until the ticker is stopped.
//!
//! Go: `time.NewTicker`, `Stop`, `Reset`, `time.Tick`. Here it is the same: a late receiver gets
//! one tick, and not all the missed ones. A ticker that is dropped leaves nothing behind, stopped
//! or not.

use std::time::{Duration, Instant};

use go_runtime::time::{self, Ticker};

const PERIOD: Duration = Duration::from_millis(3);

#[go_runtime::main]
fn main() {
    let start = Instant::now();
    let drum = Ticker::new(PERIOD);
    for beat in 1..=3 {
        drum.channel().recv().unwrap();
        println!("beat {beat}");
    }
    println!(
        "no faster than it should: {}",
        start.elapsed() >= 3 * PERIOD
    );

    drum.reset(2 * PERIOD);
    drum.channel().recv().unwrap();
    println!("a slow beat");

    drum.stop();
    time::sleep(3 * PERIOD);
    println!("stopped: {:?}", drum.channel().try_recv());

    // A ticker that is never stopped: only its channel, which is an iterator.
    let clock = time::tick(PERIOD);
    println!("{} ticks", clock.iter().take(2).count());
}
