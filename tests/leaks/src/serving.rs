//! A bug of Knative Serving.

use std::sync::Arc;

use go_runtime::channel::bounded;
use go_runtime::debug::WaitReason::*;
use go_runtime::go;
use go_runtime::sync::Mutex;

use crate::{Chan, Event, Kernel, chan};

pub(crate) const KERNELS: [Kernel; 1] = [Kernel::new(
    "serving#2137",
    k2137,
    &[
        ("first", ChanSend),
        ("second", MutexLock),
        ("test", ChanReceive),
    ],
)];

/// A limit on requests at a time.
struct Breaker {
    pending: Chan<()>,
    active: Chan<()>,
}

impl Breaker {
    fn request(&self, admitted: &Event, f: impl FnOnce()) {
        self.pending.send(());
        self.active.send(());
        admitted.set();
        f();
        self.active.recv();
        self.pending.recv();
    }
}

/// serving#2137: a breaker admits one request at a time. The test lets the requests end in the
/// order in which it made them, but the breaker has admitted the second one first.
fn k2137(fixed: bool) {
    go!(name = "test"; {
        let breaker = Arc::new(Breaker {
            pending: chan(2),
            active: chan(1),
        });
        let locks = [(); 2].map(|()| Arc::new(Mutex::new(())));
        let admitted = [(); 2].map(|()| Event::default());
        let mut requests = Vec::new();
        for (index, (lock, own)) in locks.iter().zip(&admitted).enumerate() {
            let guard = lock.lock().unwrap();
            let (accepted, is_accepted) = bounded(1);
            let request = {
                let (breaker, lock, own) = (Arc::clone(&breaker), Arc::clone(lock), own.clone());
                let before = if fixed { 0 } else { 1 };
                let other = (index != before).then(|| admitted[before].clone());
                move || {
                    if let Some(other) = other {
                        other.wait();
                    }
                    breaker.request(&own, || drop(lock.lock().unwrap()));
                    let _left = accepted.send(true);
                }
            };
            if index == 0 {
                go!(name = "first"; request());
            } else {
                go!(name = "second"; request());
            }
            requests.push((guard, is_accepted));
        }
        for (guard, is_accepted) in requests {
            drop(guard);
            is_accepted.recv().unwrap();
        }
    });
}
