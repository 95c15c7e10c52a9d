//! `go!< ... >` in its forms: `cargo run --release --example go_syntax`

use go_runtime::channel::bounded;
use go_runtime::{go, golang};

fn larger(a: i32, b: i32) -> i32 {
    if a > b { a } else { b }
}

golang! {
    fn spawn_them() {
        let (tx, rx) = bounded::<i32>(0);
        let call = go!< larger(3, 4) >;
        let block = go!< let v: Vec<i32> = (1..4).collect(); v.iter().sum::<i32>() >;
        let compared = go!< larger((2 > 1).into(), 0) >;
        let nested = go!< drop(go!< tx.send(5) >); rx.recv() >;
        println!("call {:?}", call.join());
        println!("block {:?}", block.join());
        println!("compared {:?}", compared.join());
        println!("nested {:?}", nested.join());
    }
}

#[go_runtime::main]
fn main() {
    spawn_them();
    println!("braces {:?}", go! { larger(1, 2) }.join());
}
