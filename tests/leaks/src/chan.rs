//! Both ends of a channel, as Go's channels have them.

use go_runtime::channel::{Receiver, Sender, bounded};

/// A channel of which each holder has both ends, as the fields of Go's structs do. As long as a
/// goroutine has one of these, no drop closes the channel.
pub(crate) struct Chan<T> {
    pub(crate) tx: Sender<T>,
    pub(crate) rx: Receiver<T>,
}

/// Makes a channel with room for `capacity` messages.
pub(crate) fn chan<T>(capacity: usize) -> Chan<T> {
    let (tx, rx) = bounded(capacity);
    Chan { tx, rx }
}

impl<T> Clone for Chan<T> {
    fn clone(&self) -> Self {
        Chan {
            tx: self.tx.clone(),
            rx: self.rx.clone(),
        }
    }
}

impl<T> Chan<T> {
    /// Sends, unless the channel has been closed.
    pub(crate) fn send(&self, message: T) {
        let _closed = self.tx.send(message);
    }

    /// Receives; returns `None` if the channel has been closed.
    pub(crate) fn recv(&self) -> Option<T> {
        self.rx.recv().ok()
    }

    pub(crate) fn close(&self) {
        self.tx.close();
    }
}
