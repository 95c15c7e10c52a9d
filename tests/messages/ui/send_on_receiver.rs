#![allow(unused_imports)]
use go_runtime::channel::bounded;
use go_runtime::{go, golang, select};

fn main() {
    let (_tx, rx) = bounded::<i32>(0);
    let _ = rx.send(1);
}
