//! The workloads of `compare` on this runtime. Usage: GOMAXPROCS=2 ours WORKLOAD COUNT

#[path = "../blocking.rs"]
mod blocking;

mod rt {
    pub use go_benches::*;
    pub use go_runtime::channel::{Receiver, Sender as FanIn, bounded};
    pub use go_runtime::channel::{bounded as fan_in, bounded as pair};
    use go_runtime::select;
    pub use go_runtime::sync::Mutex;
    use go_runtime::sync::WaitGroup;
    pub use go_runtime::{spawn, spawn_local as spawn_near, time::sleep, yield_now};

    pub fn group(count: usize) -> &'static WaitGroup {
        let group: &WaitGroup = Box::leak(Box::default());
        group.add(count);
        group
    }

    pub fn done(group: &WaitGroup) {
        group.done();
    }

    /// Does nothing: a send returns when the receiver has the message.
    pub fn all_received(_: u64) {}

    pub fn sum_of_two(a: Receiver<u64>, b: Receiver<u64>, done: Receiver<()>) -> u64 {
        let mut sum = 0;
        loop {
            select! {
                recv(a) -> v => sum += v.unwrap(),
                recv(b) -> v => sum += v.unwrap(),
                recv(done) -> _ => break sum,
            }
        }
    }
}

#[go_runtime::main]
fn main() {
    blocking::run();
}
