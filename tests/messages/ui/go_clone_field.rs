#![allow(unused_imports)]
use go_runtime::channel::bounded;
use go_runtime::{go, golang, select};

fn main() {
    struct S { tx: i32 }
    let s = S { tx: 1 };
    let _ = go!(clone(s.tx) { 1 });
}
