//! A mutex: several goroutines change one map, one at a time.
//!
//! Go: a `sync.Mutex` beside what it protects, and `defer mu.Unlock()`. Here the mutex holds the
//! map, so it cannot be reached without the lock, and the guard unlocks by itself. A goroutine
//! that waits for the lock is parked, and the guard may be held over operations that park.

use std::collections::BTreeMap;

use go_runtime::sync::Mutex;
use go_runtime::{go, scope};

#[derive(Default)]
struct Ballot {
    votes: Mutex<BTreeMap<&'static str, u32>>,
}

impl Ballot {
    fn vote(&self, city: &'static str) {
        *self.votes.lock().unwrap().entry(city).or_default() += 1;
    }
}

#[go_runtime::main]
fn main() {
    let ballot = Ballot::default();
    scope(|s| {
        for city in ["Oslo", "Lima", "Oslo"] {
            go!(s; clone(city) {
                for _ in 0..1000 {
                    ballot.vote(city);
                }
            });
        }
    });
    // No other reference is left, so no lock is needed.
    println!("{:?}", ballot.votes.into_inner().unwrap());
}
