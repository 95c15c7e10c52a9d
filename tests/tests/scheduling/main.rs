//! The scheduler's decisions: where goroutines run, and how soon.

mod many_workers;
mod placement;
mod starvation;
