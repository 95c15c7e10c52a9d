#![allow(unused_imports)]
use go_runtime::channel::bounded;
use go_runtime::{go, golang, select};

fn main() {
    let (tx, _rx) = bounded::<i32>(0);
    select! { recv(tx) -> _ => {} }
}
