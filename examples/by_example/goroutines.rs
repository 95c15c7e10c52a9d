//! Goroutines: three dishes are cooked while `main` goes on with something else.
//!
//! Go: `go f(x)` and `go func() { ... }()`. Here `go!` has a value besides, a handle: `join` waits
//! for the goroutine's end, and gives its result or its panic, which ends that goroutine only (in
//! Go it ends the program).

use go_runtime::{go, yield_now};

fn cook(dish: &str, steps: u32) -> u32 {
    for step in 1..=steps {
        println!("{dish}: step {step}");
        yield_now(); // Go's `runtime.Gosched`: let others have a turn.
    }
    steps
}

#[go_runtime::main]
fn main() {
    // A call. Its arguments are evaluated here and now; only the call happens in the goroutine.
    let soup = go!(cook("soup", 3));

    // A block. What it mentions is moved into it.
    let dish = String::from("bread");
    let bread = go! {
        println!("{dish}: heat the oven");
        cook(&dish, 2)
    };

    // A closure.
    let tea = go!(move || cook("tea", 1));

    println!("main: lay the table");

    // The program ends when `main` returns, whatever goroutines still run; so wait for them.
    let steps = [soup, bread, tea].map(|dish| dish.join().unwrap());
    println!("main: dinner, after {steps:?} steps");
}
