//! A short run of the `soak` command: no message is lost, and all goroutines end.

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
        inside: true,
    };
    println!("{}", run(&plan).unwrap());
}
