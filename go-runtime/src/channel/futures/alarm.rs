//! How a future waits for a moment to come, or for the moment to be changed.

use std::task::{Context, Poll};
use std::time::Instant;

use super::operations::Reception;
use crate::channel::receiver::Source;
use crate::channel::{Receiver, bounded};
use crate::goroutine::DelayedSpawn;

pub(super) struct Alarm {
    due: Option<Instant>,
    ring: Option<Bell>,
    change: Option<Bell>,
    /// The goroutine that rings. After the bell, which leaves the queue before the channel is
    /// closed: that would wake the task.
    ringer: Option<DelayedSpawn>,
}

/// A channel that is closed when it rings.
struct Bell {
    reception: Reception<()>,
    rings: Receiver<()>,
}

impl Bell {
    fn new(rings: Receiver<()>) -> Bell {
        Bell {
            reception: Reception::new(),
            rings,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> bool {
        match self.rings.source() {
            Source::Core(core) => self.reception.poll(core, context).is_ready(),
            Source::At(_) | Source::Tick(_) | Source::Timer(_) | Source::Never => false,
        }
    }
}

impl Alarm {
    /// Rings at `due` (`None`: never), and when `change` is closed.
    ///
    /// # Panics
    /// If no goroutine can be had.
    pub(super) fn set(due: Option<Instant>, change: Option<Receiver<()>>) -> Alarm {
        let (ring, ringer) = due
            .map(|due| {
                let (ringing, ring) = bounded::<()>(0);
                match DelayedSpawn::new(Some(due), move || drop(ringing)) {
                    Ok(ringer) => (Bell::new(ring), ringer),
                    Err(error) => panic!("cannot wait for a moment: {error}"),
                }
            })
            .unzip();
        Alarm {
            due,
            ring,
            change: change.map(Bell::new),
            ringer,
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Ready when it has rung.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut bells = self.ring.iter_mut().chain(&mut self.change);
        if bells.any(|bell| bell.poll(context)) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(ringer) = &self.ringer {
            ringer.stop();
        }
    }
}
