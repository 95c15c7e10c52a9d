//! How a future waits for a moment to come: a goroutine sleeps in its place.

use std::task::{Context, Poll};
use std::time::Instant;

use super::operations::Reception;
use crate::channel::receiver::Source;
use crate::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use crate::goroutine;

/// Rings when the goroutine that sleeps closes its channel.
pub(super) struct Alarm {
    due: Instant,
    /// Before `ring`, so that it leaves the queue before the channel is closed, which would wake the task.
    reception: Reception<()>,
    ring: Receiver<()>,
    /// Closed when the alarm is dropped: the goroutine goes then.
    _stop: Sender<()>,
}

impl Alarm {
    pub(super) fn set(due: Instant) -> Alarm {
        let (stop, stopped) = bounded::<()>(0);
        let (ringing, ring) = bounded::<()>(0);
        goroutine::spawn(move || {
            if stopped.recv_deadline(due) == Err(RecvTimeoutError::Timeout) {
                drop(ringing);
            }
        });
        Alarm {
            due,
            ring,
            reception: Reception::new(),
            _stop: stop,
        }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Ready when it has rung.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self.ring.source() {
            Source::Core(core) => self.reception.poll(core, context).map(drop),
            Source::At(_) | Source::Tick(_) | Source::Never => Poll::Pending,
        }
    }
}
