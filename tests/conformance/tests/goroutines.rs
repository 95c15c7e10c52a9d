//! crossbeam-channel's tests in goroutines, with GOMAXPROCS 1, 2 and 8.

include!(concat!(env!("OUT_DIR"), "/goroutines.rs"));
