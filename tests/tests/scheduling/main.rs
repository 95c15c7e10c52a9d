//! What the scheduler decides: where goroutines run, and how soon.

mod many_workers;
mod placement;
mod starvation;
