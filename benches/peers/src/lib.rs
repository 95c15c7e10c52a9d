//! Code that the peers share with this runtime's own workloads: one file, compiled in both crates.

#[path = "../../src/common.rs"]
mod common;

pub use common::*;

/// Runs a future as a task on a worker of tokio, as a goroutine runs in Go.
#[cfg(feature = "tokio_runtime")]
pub fn on_worker<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(workers()).enable_all().build();
    runtime
        .unwrap()
        .block_on(async { tokio::spawn(future).await.unwrap() })
}
