//! [`Alarm`]: how a future on a timed channel waits for a moment to come, or to be changed.
//!
//! The future owns its alarm. At the moment a goroutine starts and drops the sender of a channel;
//! that closes the channel, which wakes the future's task.

use std::task::{Context, Poll};
use std::time::Instant;

use super::operations::Reception;
use crate::channel::receiver::Source;
use crate::channel::{Receiver, bounded};
use crate::goroutine::DelayedSpawn;

pub(super) struct Alarm {
    due: Option<Instant>,
    ring: Option<AlarmSignal>,
    change: Option<AlarmSignal>,
    /// The goroutine that rings. It is declared, and so dropped, after the signal: the signal has
    /// then left the channel's queue before the channel is closed, which would otherwise wake the
    /// task.
    ringer: Option<DelayedSpawn>,
}

/// The future's wait for the alarm: a receive on a channel that is closed when the alarm rings.
struct AlarmSignal {
    reception: Reception<()>,
    closed: Receiver<()>,
}

impl AlarmSignal {
    fn new(closed: Receiver<()>) -> AlarmSignal {
        AlarmSignal {
            reception: Reception::new(),
            closed,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> bool {
        match self.closed.source() {
            Source::Core(core) => self.reception.poll(core, context).is_ready(),
            Source::At(_) | Source::Tick(_) | Source::Timer(_) | Source::Never => false,
        }
    }
}

impl Alarm {
    /// Makes an alarm that rings at `due` (`None`: never), and when `change` is closed.
    ///
    /// # Panics
    /// If no goroutine can be made.
    pub(super) fn set(due: Option<Instant>, change: Option<Receiver<()>>) -> Alarm {
        let (ring, ringer) = due
            .map(|due| {
                let (ringing, ring) = bounded::<()>(0);
                match DelayedSpawn::new(Some(due), move || drop(ringing)) {
                    Ok(ringer) => (AlarmSignal::new(ring), ringer),
                    Err(error) => panic!("cannot wait for a moment: {error}"),
                }
            })
            .unzip();
        Alarm {
            due,
            ring,
            change: change.map(AlarmSignal::new),
            ringer,
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Polls whether the alarm has rung.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut signals = self.ring.iter_mut().chain(&mut self.change);
        if signals.any(|signal| signal.poll(context)) {
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
