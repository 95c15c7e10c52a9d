//! A buffer lets senders go ahead: up to the channel's capacity they need not wait for a receiver.
//!
//! Go: `make(chan string, 2)`, `len(ch)`, `cap(ch)`. Here `bounded(2)`; and `unbounded()`, which Go
//! does not have: its sends never wait, so use it only where something else bounds what is sent.

use go_runtime::channel;

#[go_runtime::main]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (tx, rx) = channel::bounded(2);
    tx.send("first")?;
    tx.send("second")?; // Nobody has received yet.
    println!("waiting: {} of at most {:?}", rx.len(), rx.capacity());

    // A third `send` would wait. `try_send` does not, and gives the message back.
    println!("a third: {:?}", tx.try_send("third"));

    println!("received: {}, {}", rx.recv()?, rx.recv()?);

    let (tx, rx) = channel::unbounded();
    for n in 1..=1000 {
        tx.send(n)?;
    }
    println!("waiting: {} of at most {:?}", rx.len(), rx.capacity());
    Ok(())
}
