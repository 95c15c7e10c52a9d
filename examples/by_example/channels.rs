//! Channels: one goroutine sends, another receives. Without a buffer the two meet.
//!
//! Go: `make(chan string)`, `ch <- s`, `s := <-ch`. Here a channel has two ends, a sender and a
//! receiver. A message is moved, so the two goroutines cannot race for it; and an operation returns
//! an error when the other end is gone, where Go waits forever.

use go_runtime::channel::{self, RecvError};
use go_runtime::go;

#[go_runtime::main]
fn main() -> Result<(), RecvError> {
    let (tx, rx) = channel::bounded(0);
    let writer = go! {
        let mut letter = String::from("Dear main,");
        letter.push_str(" all is well.");
        // Waits until the receiver takes the letter, which belongs to the receiver from then on: to
        // use it below would not compile.
        tx.send(letter)
    };

    println!("received: {}", rx.recv()?);
    println!("and sent: {:?}", writer.join().unwrap());

    // The goroutine has dropped the only sender, so this does not wait.
    println!("then: {:?}", rx.recv());
    Ok(())
}
