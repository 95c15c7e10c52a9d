//! Signals: Ctrl-C is a message on a channel, and the program ends when it is ready to.
//!
//! Go: `signal.Notify(ch, syscall.SIGINT, syscall.SIGTERM)`, with a buffered channel that the
//! program makes. Here `notify` makes the channel, and dropping it is Go's `signal.Stop`.
//! (`signal::notify_context` returns a context instead.)

use std::error::Error;
use std::time::Duration;

use go_runtime::signal::{self, SIGINT, SIGTERM};
use go_runtime::{select, time};

#[go_runtime::main]
fn main() -> Result<(), Box<dyn Error>> {
    let signals = signal::notify(&[SIGINT, SIGTERM])?;
    let seconds = time::tick(Duration::from_secs(1));
    eprintln!("the shop is open: press Ctrl-C to close it");
    let signal = loop {
        select! {
            recv(seconds) -> _ => eprintln!("still open"),
            recv(signals) -> signal => break signal?,
        }
    };
    drop(signals); // From now on a second Ctrl-C ends the program at once.

    println!("closing: {signal}");
    println!("the till is counted, the lights are off");
    Ok(())
}
