//! The short version of the `soak` command: nothing is lost, and everybody ends.

use std::time::Duration;

use go_tests::soak::{Plan, run};

#[test]
fn a_crowd_comes_and_goes() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let plan = Plan {
        time: Duration::from_secs(3),
        live: 2_000,
        seed,
        without: Vec::new(),
    };
    println!("{}", run(&plan).unwrap());
}
