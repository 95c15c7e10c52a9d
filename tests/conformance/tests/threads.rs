//! crossbeam-channel's tests on plain threads.

include!(concat!(env!("OUT_DIR"), "/threads.rs"));
