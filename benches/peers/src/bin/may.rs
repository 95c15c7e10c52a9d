//! The workloads of `compare` on may, with its own channels. All of its channels are unbounded, so
//! a send never waits, while the other peers' sends do. Usage: GOMAXPROCS=2 may WORKLOAD COUNT

#[path = "../../../src/blocking.rs"]
mod blocking;

mod rt {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    pub use bench_peers::*;
    use may::coroutine::JoinHandle;
    pub use may::coroutine::{sleep, yield_now};
    pub use may::sync::{Mutex, mpsc::Sender as FanIn};
    use may::sync::{WaitGroup, mpmc, mpsc, spsc};

    pub fn spawn<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        may::go!(run)
    }
    pub use spawn as spawn_near;

    pub fn pair<T>(_: usize) -> (spsc::Sender<T>, spsc::Receiver<T>) {
        spsc::channel()
    }

    pub fn fan_in<T>(_: usize) -> (mpsc::Sender<T>, mpsc::Receiver<T>) {
        mpsc::channel()
    }

    pub fn bounded<T>(_: usize) -> (mpmc::Sender<T>, mpmc::Receiver<T>) {
        mpmc::channel()
    }

    /// Each member holds a clone, so the group counts its members.
    pub fn group(_: usize) -> WaitGroup {
        WaitGroup::new()
    }
    pub use std::mem::drop as done;

    static SUM: AtomicU64 = AtomicU64::new(0);

    /// Waits until `sum_of_two` has received this much, because sends do not wait for it.
    pub fn all_received(sum: u64) {
        while SUM.load(Relaxed) < sum {
            yield_now();
        }
    }

    /// Adds up with `cqueue`, may's select, which runs a coroutine for each arm. It does best with
    /// arms that stay and loop.
    pub fn sum_of_two(
        a: mpsc::Receiver<u64>,
        b: mpsc::Receiver<u64>,
        done: mpsc::Receiver<()>,
    ) -> u64 {
        may::cqueue::scope(|queue| {
            for (token, input) in [a, b].into_iter().enumerate() {
                may::go!(queue, token, move |arm| {
                    while let Ok(v) = input.recv() {
                        SUM.fetch_add(v, Relaxed);
                        arm.send(token);
                    }
                });
            }
            may::go!(queue, 2, move |arm| {
                let _ = done.recv();
                arm.send(2);
            });
            while queue.poll(None).is_ok_and(|event| event.token != 2) {}
        });
        SUM.load(Relaxed)
    }
}

fn main() {
    may::config().set_workers(rt::workers());
    if rt::spawn(blocking::run).join().is_err() {
        rt::exit_now(4);
    }
}
