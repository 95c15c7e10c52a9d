use go_runtime::{channel, select};

fn main() {
    let (tx, rx) = channel::bounded::<i32>(1);
    let (some_tx, some_rx) = (Some(tx), Some(rx));
    select! {
        recv(some_rx) -> _ => {}
        send(some_tx, 1) -> _ => {}
    }
}
