//! crossbeam-channel's tests in goroutines, with GOMAXPROCS = 4.

/// The number of workers.
const WORKERS: usize = 4;

include!(concat!(env!("OUT_DIR"), "/goroutines_4.rs"));
include!(concat!(env!("OUT_DIR"), "/goroutines_4.golang.rs"));
