//! A program that depends on the runtime under another name.

#[goroutines::main(crate = goroutines)]
fn main() {
    let (tx, rx) = goroutines::channel::bounded(0);
    goroutines::go!(tx.send(42));
    println!("{:?}", rx.recv());
}
