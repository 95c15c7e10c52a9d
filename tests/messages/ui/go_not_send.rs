#![allow(unused_imports)]
use go_runtime::channel::bounded;
use go_runtime::{go, golang, select};

fn main() {
    let rc = std::rc::Rc::new(1);
    let _ = go! { println!("{rc}"); };
}
