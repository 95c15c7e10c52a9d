//! crossbeam-channel's tests in goroutines, with GOMAXPROCS 1 and 8, and 2 on request.

include!(concat!(env!("OUT_DIR"), "/goroutines.rs"));
