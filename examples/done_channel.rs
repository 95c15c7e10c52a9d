//! The done channel: a goroutine cannot be ended from outside, so goroutines are told to end by
//! closing a channel that never carries a message.
//!
//! ```sh
//! cargo run --release --example done_channel
//! ```

use std::time::Duration;

use go_runtime::channel::{self, Receiver};
use go_runtime::{go, select, time};

#[go_runtime::main]
fn main() {
    until_told_to_stop();
    many_at_once();
    first_error_cancels_all();
}

/// A goroutine that works until the channel is closed.
fn until_told_to_stop() {
    let (stop, done) = channel::bounded::<()>(0);
    let clock = go! {
        let tick = channel::tick(Duration::from_millis(10));
        let mut ticks = 0;
        loop {
            select! {
                recv(tick) -> _ => ticks += 1,
                recv(done) -> _ => break ticks,
            }
        }
    };
    time::sleep(Duration::from_millis(105));
    drop(stop);
    match clock.join() {
        Ok(ticks) => println!("the clock ticked {ticks} times until it was told to stop"),
        Err(_) => println!("the clock is broken"),
    }
}

/// One drop tells all goroutines, however many wait.
fn many_at_once() {
    let (stop, done) = channel::bounded::<()>(0);
    let waiting: Vec<_> = (0..10_000)
        .map(|_| go!(clone(done) { done.recv() }))
        .collect();
    drop(stop);
    let told = waiting
        .into_iter()
        .filter_map(|goroutine| goroutine.join().ok())
        .filter(Result::is_err)
        .count();
    println!("one drop released {told} goroutines");
}

#[derive(Debug)]
enum Failure {
    Refused,
    Canceled,
}

/// Asks a mirror, until the answer is no longer wanted.
fn fetch(mirror: usize, done: &Receiver<()>) -> Result<usize, Failure> {
    let answer = match mirror {
        3 => Err(Failure::Refused),
        _ => Ok(mirror),
    };
    // Here the network would take time: far too long, except for the mirror that refuses.
    let latency = Duration::from_secs(if answer.is_ok() { 3600 } else { 0 });
    select! {
        recv(done) -> _ => Err(Failure::Canceled),
        default(latency) => answer,
    }
}

/// The first failure stops the other goroutines, because their results are no longer of use.
fn first_error_cancels_all() {
    const MIRRORS: usize = 8;
    let (stop, done) = channel::bounded::<()>(0);
    let (tx, answers) = channel::unbounded();
    for mirror in 0..MIRRORS {
        go!(clone(tx, done) {
            let _ = tx.send((mirror, fetch(mirror, &done)));
        });
    }
    drop(tx);

    let mut canceled = 0;
    for (mirror, answer) in answers {
        match answer {
            Ok(size) => println!("mirror {mirror} has sent {size} bytes"),
            Err(Failure::Canceled) => canceled += 1,
            Err(error) => {
                println!("mirror {mirror} failed: {error:?}");
                stop.close();
            }
        }
    }
    println!("{canceled} of {MIRRORS} were canceled");
}
