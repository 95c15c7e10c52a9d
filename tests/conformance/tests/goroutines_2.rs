//! crossbeam-channel's tests in goroutines, with GOMAXPROCS = 2.

/// The number of workers.
const WORKERS: usize = 2;

include!(concat!(env!("OUT_DIR"), "/goroutines_2.rs"));
include!(concat!(env!("OUT_DIR"), "/goroutines_2.golang.rs"));
