//! What rings when a deadline comes.

use std::time::Instant;

use crate::channel::{RecvTimeoutError, Sender, bounded};
use crate::goroutine;

/// Until `time::after_func_at` is there: a goroutine that waits.
pub(super) struct Alarm {
    stop: Sender<()>,
}

impl Alarm {
    pub(super) fn set(when: Instant, ring: impl FnOnce() + Send + 'static) -> Alarm {
        let (stop, stopped) = bounded::<()>(0);
        goroutine::spawn(move || {
            if stopped.recv_deadline(when) == Err(RecvTimeoutError::Timeout) {
                ring();
            }
        });
        Alarm { stop }
    }

    pub(super) fn stop(self) {
        drop(self.stop);
    }
}
