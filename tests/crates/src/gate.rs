//! A gate that blocks the thread that waits for it, as a crate would, or parks the goroutine.

use std::sync::{Condvar, Mutex};

use go_runtime::channel::{self, Receiver, Sender};

/// Shut until it is opened, once and for all.
#[derive(Debug)]
pub struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    /// Closed with the opening.
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
    /// Lets all pass.
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
