//! crossbeam-channel's tests in goroutines, with GOMAXPROCS = 1.

/// The number of workers.
const WORKERS: usize = 1;

include!(concat!(env!("OUT_DIR"), "/goroutines_1.rs"));
include!(concat!(env!("OUT_DIR"), "/goroutines_1.golang.rs"));
