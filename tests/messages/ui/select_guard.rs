use go_runtime::{channel, select};

fn main() {
    let (tx, rx) = channel::bounded::<i32>(1);
    let is_on = true;
    select! {
        recv(rx) -> msg if is_on => drop(msg),
        send(tx, 1) -> sent if is_on => drop(sent),
    }
}
