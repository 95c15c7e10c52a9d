//! A gate that blocks the waiting thread, as a crate would, or parks the goroutine.

use std::sync::{Condvar, Mutex};

use go_runtime::channel::{self, Receiver, Sender};

/// A gate that is shut until it is opened for good.
#[derive(Debug)]
pub struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    /// Closed when the gate is opened.
    done: (Sender<()>, Receiver<()>),
}

impl Default for Gate {
    fn default() -> Gate {
        Gate {
            open: Mutex::default(),
            opened: Condvar::new(),
            done: channel::bounded(0),
        }
    }
}

impl Gate {
    /// Opens the gate, for all waiters.
    pub fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
        self.done.0.close();
    }

    /// Blocks the thread until the gate is open.
    pub fn wait(&self) {
        let open = self.open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
    }

    /// Parks the goroutine until the gate is open.
    pub fn park(&self) {
        let _ = self.done.1.recv();
    }
}
