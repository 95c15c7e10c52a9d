//! Starting and joining goroutines, panics, scopes, futures, blocking calls.

mod block_on;
mod blocking;
mod futures;
mod goroutines;
mod join_set;
mod panics;
mod scopes;
mod tokio_feature;
