//! Runs a kernel and then the detector: `kernel NAME leaky|fixed`.
//!
//! It writes a line for each goroutine that the detector reports, then `found N of M`. It panics if
//! the kernel does not leave just those goroutines that it says, if the detector reports any other
//! one, or if it reports any goroutine while a repaired kernel runs.

use std::env;

use go_runtime::debug::GoroutineState;
use go_runtime::{go, yield_now};
use go_tests_leaks::detect::{Leak, leaks};
use go_tests_leaks::{Kernel, kernels, others, settled};

#[go_runtime::main]
fn main() {
    let [name, version] = [1, 2].map(|index| env::args().nth(index).expect("an argument"));
    let kernel = kernels().find(|kernel| kernel.name == name);
    let kernel = kernel.expect("the name of a kernel");
    match version.as_str() {
        "leaky" => check_leaky(kernel),
        "fixed" => check_fixed(kernel),
        _ => panic!("leaky or fixed"),
    }
}

fn described(leak: &Leak) -> String {
    let one = leak.goroutine();
    let name = one.name().unwrap_or("unnamed");
    let certainty = if leak.is_certain() {
        "certain"
    } else {
        "likely"
    };
    format!("{name} [{}] {certainty}", one.state())
}

/// Runs the bug in a goroutine that is gone when the detector looks.
fn check_leaky(kernel: &'static Kernel) {
    let run = go! {
        (kernel.run)(false);
        settled(kernel.leaks);
    };
    run.join().unwrap();
    let found = leaks();
    let mut missing: Vec<_> = kernel.leaks.iter().collect();
    for leak in &found {
        println!("{}", described(leak));
        let one = leak.goroutine();
        let is_one = |(name, reason): &(&str, _)| {
            one.name() == Some(name) && one.state() == GoroutineState::Waiting(*reason)
        };
        let at = missing.iter().position(|expected| is_one(expected));
        missing.swap_remove(at.unwrap_or_else(|| panic!("reported in error: {leak}")));
    }
    for (name, reason) in &missing {
        println!("missed {name} [{reason}]");
    }
    // The goroutines still wait.
    go!({ settled(kernel.leaks) }).join().unwrap();
    println!("found {} of {}", found.len(), kernel.leaks.len());
}

/// Looks all the time while the repaired kernel runs.
fn check_fixed(kernel: &'static Kernel) {
    let run = go! {
        (kernel.run)(true);
        settled(&[]);
    };
    loop {
        let is_over = run.is_finished();
        if let Some(leak) = leaks().first() {
            panic!("reported in error: {leak}");
        }
        if is_over {
            break;
        }
        yield_now();
    }
    run.join().unwrap();
    assert_eq!(others(), []);
    println!("found 0 of 0");
}
