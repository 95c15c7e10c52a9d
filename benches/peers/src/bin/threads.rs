//! The workloads of `compare` on plain threads, one for each goroutine, with stacks of 64 KiB and
//! crossbeam's channels. Usage: threads WORKLOAD COUNT

#[path = "../../../src/blocking.rs"]
mod blocking;

mod rt {
    use std::thread;
    pub use std::{sync::Mutex, thread::sleep, thread::yield_now};

    pub use bench_peers::*;
    pub use crossbeam_channel::{Receiver, Sender as FanIn, bounded};
    pub use crossbeam_channel::{bounded as fan_in, bounded as pair};
    use crossbeam_utils::sync::WaitGroup;

    pub fn spawn<T: Send + 'static>(
        run: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let thread = thread::Builder::new().stack_size(64 << 10).spawn(run);
        thread.unwrap_or_else(|error| {
            eprintln!("thread spawn failed: {error}");
            exit_now(5)
        })
    }
    pub use spawn as spawn_near;

    /// Each member holds a clone, so the group counts its members.
    pub fn group(_: usize) -> WaitGroup {
        WaitGroup::new()
    }
    pub use std::mem::drop as done;

    /// Does nothing: a send returns when the receiver has the message.
    pub fn all_received(_: u64) {}

    pub fn sum_of_two(a: Receiver<u64>, b: Receiver<u64>, done: Receiver<()>) -> u64 {
        let mut sum = 0;
        loop {
            crossbeam_channel::select! {
                recv(a) -> v => sum += v.unwrap(),
                recv(b) -> v => sum += v.unwrap(),
                recv(done) -> _ => break sum,
            }
        }
    }
}

fn main() {
    blocking::run();
}
