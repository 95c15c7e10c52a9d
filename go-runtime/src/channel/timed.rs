//! The channels that no sender feeds: one message at a moment ([`At`]), and one every so often ([`Tick`]).
//!
//! They keep no timer running: a receiver computes when the message is due and waits until then.

use std::time::{Duration, Instant};

use crossbeam_utils::atomic::AtomicCell;

use super::core::{Patience, Received};
use crate::primitives::atomic::{AtomicBool, Ordering};
use crate::{clock, goroutine};

/// Messages are `Instant`s. The receiver is typed by `T`, which is `Instant` where such a channel is made; this says how to
/// get from one to the other, without a cast.
type Make<T> = fn(Instant) -> T;

pub(crate) struct At<T> {
    when: Instant,
    taken: AtomicBool,
    make: Make<T>,
}

impl<T> At<T> {
    pub(crate) fn new(when: Instant, make: Make<T>) -> At<T> {
        At {
            when,
            taken: AtomicBool::new(false),
            make,
        }
    }

    /// When there will be a message; `None` for never.
    pub(crate) fn due(&self) -> Option<Instant> {
        (!self.taken.load(Ordering::Relaxed)).then_some(self.when)
    }

    pub(crate) fn try_take(&self) -> Option<T> {
        let due = self.due()?;
        let ours = due <= clock::now() && !self.taken.swap(true, Ordering::Relaxed);
        ours.then(|| (self.make)(due))
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.due().is_some_and(|due| due <= clock::now())
    }
}

pub(crate) struct Tick<T> {
    next: AtomicCell<Instant>,
    period: Duration,
    make: Make<T>,
}

impl<T> Tick<T> {
    pub(crate) fn new(first: Instant, period: Duration, make: Make<T>) -> Tick<T> {
        Tick {
            next: AtomicCell::new(first),
            period,
            make,
        }
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        Some(self.next.load())
    }

    pub(crate) fn try_take(&self) -> Option<T> {
        loop {
            let (due, now) = (self.next.load(), clock::now());
            if now < due {
                return None;
            }
            // Ticks that nobody was there to take are left out.
            if self.advance(due, now) {
                return Some((self.make)(due));
            }
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.next.load() <= clock::now()
    }

    fn advance(&self, from: Instant, base: Instant) -> bool {
        // A period that reaches beyond all instants was refused when the channel was made; should time come so far
        // that it does later, the ticks just stay where they are.
        let to = base.checked_add(self.period).unwrap_or(base);
        self.next.compare_exchange(from, to).is_ok()
    }
}

/// The wait that both have in common: until the message is due, again if somebody else took it.
pub(crate) fn receive<T>(
    patience: Patience,
    due: impl Fn() -> Option<Instant>,
    try_take: impl Fn() -> Option<T>,
) -> Received<T> {
    loop {
        if let Some(message) = try_take() {
            return Received::Message(message);
        }
        let due = due();
        match patience {
            Patience::None => return Received::Empty,
            Patience::Until(deadline) if due.is_none_or(|due| deadline < due) => {
                if deadline <= clock::now() {
                    goroutine::polled_in_vain();
                }
                goroutine::sleep_until(Some(deadline));
                return Received::TimedOut;
            }
            Patience::Until(_) | Patience::Forever => goroutine::sleep_until(due),
        }
    }
}
