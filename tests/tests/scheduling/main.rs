//! The scheduler's decisions: where goroutines run, and how soon.

mod many_workers;
mod monitor;
mod placement;
mod starvation;
