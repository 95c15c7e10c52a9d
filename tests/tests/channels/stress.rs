//! A short run of the `stress` command: no message is lost or duplicated, whatever races.

use go_tests::stress::{Flavor, at, run, tick};

#[test]
fn every_message_is_accounted_for() {
    for capacity in [0, 1, 16] {
        println!("{}", run(Flavor::Bounded(capacity), 30_000, 1_000));
    }
    println!("{}", run(Flavor::Unbounded, 30_000, 1_000));
}

#[test]
fn every_timed_message_is_received_once() {
    println!("{}", at(50_000));
    println!("{}", tick(50_000));
}
