//! The two ends of a channel: how many handles there are of each, and what happens when the last one goes.

use std::collections::VecDeque;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::thread;

use super::core::Core;
use crate::primitives::atomic::{AtomicUsize, Ordering};

impl<T> Core<T> {
    /// No more messages: later sends fail, and everybody who waits learns of it. Idempotent.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        loop {
            let some = self.lock().take_after_close();
            if some.is_empty() {
                return;
            }
            some.close();
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
            // No receiver is left to ask for them.
            let messages = mem::take(&mut state.buffer);
            drop(state);
            self.close();
            drop_all(messages);
        }
    }
}

/// Drops all messages, also after one whose `Drop` has panicked: another goroutine may wait for
/// what is in the others. The first panic then goes on here, as with the elements of a `Vec`,
/// unless the caller is unwinding already: a second panic would abort the process.
fn drop_all<T>(messages: VecDeque<T>) {
    if !mem::needs_drop::<T>() {
        return;
    }
    let mut first = None;
    for message in messages {
        let dropped = panic::catch_unwind(AssertUnwindSafe(|| drop(message)));
        if let Err(payload) = dropped {
            match first {
                None => first = Some(payload),
                // The `Drop` of a payload may panic as well.
                Some(_) => mem::forget(payload),
            }
        }
    }
    match first {
        Some(payload) if !thread::panicking() => panic::resume_unwind(payload),
        payload => mem::forget(payload),
    }
}

fn add_handle(count: &AtomicUsize) {
    // As `Arc` does: long before the count could overflow (by leaking clones), the process is stopped.
    if count.fetch_add(1, Ordering::Relaxed) > usize::MAX / 2 {
        std::process::abort();
    }
}
