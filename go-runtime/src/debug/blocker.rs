//! The goroutine that has what another one waits for, as a value.

use std::fmt;
use std::panic::Location;

use super::goroutine::{Goroutine, GoroutineState, kind};
use crate::primitives::one_line::OneLine;

/// The goroutine, or the thread, that must go on before another one's wait can end.
///
/// It displays as `goroutine 9 [sleep] {name: collects}, created at src/main.rs:22:9`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    number: usize,
    name: Option<String>,
    spawned_at: Option<&'static Location<'static>>,
    state: GoroutineState,
}

impl Blocker {
    /// The [number](Goroutine::number) of the goroutine or thread.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// The name of the goroutine; for a thread that is no goroutine, the thread's.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where the goroutine was spawned; `None` for a thread that is no goroutine.
    #[must_use]
    pub fn spawned_at(&self) -> Option<&'static Location<'static>> {
        self.spawned_at
    }

    /// Whether the goroutine runs, or what it waits for.
    #[must_use]
    pub fn state(&self) -> GoroutineState {
        self.state
    }

    pub(super) fn of(one: &Goroutine) -> Blocker {
        Blocker {
            number: one.number(),
            name: one.own_name().map(str::to_owned),
            spawned_at: one.spawned_at(),
            state: one.state(),
        }
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = kind(self.spawned_at);
        write!(f, "{kind} {} [{}]", self.number, self.state)?;
        if let Some(name) = &self.name {
            write!(f, " {{name: {}}}", OneLine(name))?;
        }
        if let Some(site) = self.spawned_at {
            write!(f, ", created at {site}")?;
        }
        Ok(())
    }
}
