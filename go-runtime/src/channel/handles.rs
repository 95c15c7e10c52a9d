//! The handles of a channel: their counts, and what happens when the last sender or the last
//! receiver is dropped.

use std::mem::{self, ManuallyDrop};

use super::core::Core;
use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::wait::Claimed;

impl<T> Core<T> {
    /// Closes the channel: later sends fail, and every waiting sender, receiver and observer is
    /// woken. Closing again does nothing.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        // The wakers of futures are user code, which may wait for any goroutine that waits here.
        let mut futures = Claimed::new();
        loop {
            let some = self.lock().take_after_close();
            if some.is_empty() {
                return futures.close();
            }
            some.close_but_futures(&mut futures);
        }
    }

    pub(crate) fn add_sender(&self) {
        add_handle(&self.senders);
    }

    pub(crate) fn add_receiver(&self) {
        add_handle(&self.receivers);
    }

    pub(crate) fn drop_sender(&self) {
        if self.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.close();
        }
    }

    pub(crate) fn drop_receiver(&self) {
        if self.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            let mut state = self.lock();
            state.closed = true;
            // No receiver is left to take the messages in the buffer.
            let mut messages = ManuallyDrop::new(mem::take(&mut state.buffer));
            drop(state);
            self.close();
            // If the `Drop` of a message panics, the messages behind it are leaked, as in
            // crossbeam-channel (see its test `panic_on_drop`): a second panic could abort the
            // process.
            while let Some(message) = messages.pop_front() {
                drop(message);
            }
            ManuallyDrop::into_inner(messages);
        }
    }
}

fn add_handle(count: &AtomicUsize) {
    // Aborts the process long before the count could overflow (by leaked clones), as `Arc` does.
    if count.fetch_add(1, Ordering::Relaxed) > usize::MAX / 2 {
        std::process::abort();
    }
}
