//! Channels: one goroutine sends, another receives. Without a buffer the two meet.
//!
//! Go: `make(chan string)`, `ch <- s`, `s := <-ch`. Here a channel has two ends, a sender and a
//! receiver. A message is moved, so there is nothing left to race for; and an operation returns an
//! error when the other end is gone, where Go waits for ever.

use go_runtime::channel::{self, RecvError};
use go_runtime::go;

#[go_runtime::main]
fn main() -> Result<(), RecvError> {
    let (tx, rx) = channel::bounded(0);
    let writer = go! {
        let mut letter = String::from("Dear main,");
        letter.push_str(" all is well.");
        // Waits until the receiver takes the letter, which is the receiver's from here on: to use
        // it below would not compile.
        tx.send(letter)
    };

    println!("received: {}", rx.recv()?);
    println!("and sent: {:?}", writer.join().unwrap());

    // The only sender went with its goroutine, so there is nothing to wait for.
    println!("then: {:?}", rx.recv());
    Ok(())
}
