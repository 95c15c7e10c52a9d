//! Goroutines: three dishes are cooked while `main` does something else.
//!
//! Go: `go f(x)` and `go func() { ... }()`. Here `go!` also returns a handle: `join` waits for the
//! goroutine to end, and returns its result or its panic, which ends only that goroutine (in Go it
//! ends the program).

use go_runtime::{go, yield_now};

fn cook(dish: &str, steps: u32) -> u32 {
    for step in 1..=steps {
        println!("{dish}: step {step}");
        yield_now(); // Go's `runtime.Gosched`: lets other goroutines run.
    }
    steps
}

#[go_runtime::main]
fn main() {
    // A call. Its arguments are evaluated here and now; only the call happens in the goroutine.
    let soup = go!(cook("soup", 3));

    // A block. The variables that it mentions are moved into it.
    let dish = String::from("bread");
    let bread = go! {
        println!("{dish}: heat the oven");
        cook(&dish, 2)
    };

    // A closure.
    let tea = go!(move || cook("tea", 1));

    println!("main: lay the table");

    // The program ends when `main` returns, even if goroutines still run, so wait for them.
    let steps = [soup, bread, tea].map(|dish| dish.join().unwrap());
    println!("main: dinner, after {steps:?} steps");
}
