//! The one file of crossbeam-channel's tests that measures the process, on plain threads.

include!(concat!(env!("OUT_DIR"), "/threads.golang.rs"));
