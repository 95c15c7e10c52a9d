//! Waiting for a goroutine: for a message, for the end of its sender, for its result.
//!
//! Go: `done <- true`, or `close(done)` under a `defer`. Here the sender is dropped however the
//! goroutine ends, even by a panic, and that closes the channel: no receiver waits forever. For one
//! goroutine `join` is simplest.

use std::time::Duration;

use go_runtime::channel::{self, Sender};
use go_runtime::{go, time};

fn develop(photo: &str) -> usize {
    println!("developing {photo}");
    time::sleep(Duration::from_millis(5));
    photo.len()
}

fn develop_and_tell(photo: &str, done: Sender<()>) {
    develop(photo);
    done.send(()).unwrap();
}

#[go_runtime::main]
fn main() {
    // A message reports the end.
    let (tx, done) = channel::bounded(0);
    go!(develop_and_tell("a harbour", tx));
    println!("a message: {:?}", done.recv());

    // Dropping the sender reports the end, and cannot be forgotten.
    let (tx, done) = channel::bounded::<()>(0);
    go! {
        let _until_the_end = tx;
        develop("a lighthouse");
    };
    println!("the end of the sender: {:?}", done.recv());

    // The handle reports the end, and returns the result.
    let developed = go!(develop("a gull"));
    println!("the handle: {:?}", developed.join().unwrap());
}
