//! `select!` waits for several channels at once, and takes the first message.
//!
//! Go: `select { case v, ok := <-ch: ... }`, with a nil channel to switch a case off. Here
//! `channel::never()` does that. A body may `break`, `return` and use `?`, and the `select!` has a
//! value. (In both languages, a random one of several ready arms is taken.)

use std::time::Duration;

use go_runtime::channel::{self, Receiver};
use go_runtime::{go, select, time};

fn courier(parcels: &'static [&str], each: Duration) -> Receiver<&'static str> {
    let (tx, rx) = channel::bounded(0);
    go! {
        for parcel in parcels {
            time::sleep(each);
            tx.send(*parcel).unwrap();
        }
    };
    rx
}

#[go_runtime::main]
fn main() {
    let mut road = courier(&["bread", "milk", "post"], Duration::from_millis(2));
    let mut sea = courier(&["tea", "oranges"], Duration::from_millis(3));
    let mut open = 2;
    while open > 0 {
        select! {
            recv(road) -> parcel => match parcel {
                Ok(parcel) => println!("by road: {parcel}"),
                // A closed channel is always ready. Replace it by a channel that never is.
                Err(_) => (road, open) = (channel::never(), open - 1),
            },
            recv(sea) -> parcel => match parcel {
                Ok(parcel) => println!("by sea: {parcel}"),
                Err(_) => (sea, open) = (channel::never(), open - 1),
            },
        }
    }
    println!("everything has come");
}
