#![allow(unused_imports)]
use go_runtime::channel::{Receiver, Select, bounded};
use go_runtime::{go, golang, select};

fn main() {
    let (tx, rx) = bounded::<i32>(0);
    rx.close();
    drop((tx, rx));
}
