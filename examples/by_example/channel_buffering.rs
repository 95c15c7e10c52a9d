//! A buffer lets senders run ahead: up to the channel's capacity they need not wait for a receiver.
//!
//! Go: `make(chan string, 2)`, `len(ch)`, `cap(ch)`. Here: `bounded(2)`; and `unbounded()`, which
//! Go does not have: its sends never wait, so use it only where something else limits the number of
//! messages.

use go_runtime::channel;

#[go_runtime::main]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (tx, rx) = channel::bounded(2);
    tx.send("first")?;
    tx.send("second")?; // Nothing has been received yet.
    println!("waiting: {} of at most {:?}", rx.len(), rx.capacity());

    // A third `send` would wait. `try_send` returns the message instead.
    println!("a third: {:?}", tx.try_send("third"));

    println!("received: {}, {}", rx.recv()?, rx.recv()?);

    let (tx, rx) = channel::unbounded();
    for n in 1..=1000 {
        tx.send(n)?;
    }
    println!("waiting: {} of at most {:?}", rx.len(), rx.capacity());
    Ok(())
}
