//! Counts of the operations of all goroutines.

use std::sync::atomic::{AtomicU64, Ordering};

/// The next operation of a goroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Start children, which live like all goroutines of the crowd.
    Spawn,
    /// Wait in the lobby for a partner, or wake a goroutine that waits there.
    Meet,
    /// Talk to a newly started partner, over a new channel of any kind.
    Pair,
    /// Select over new channels, the done channel and a deadline.
    Select,
    /// Select over channels that all goroutines share.
    Board,
    /// Sleep for up to 50 ms.
    Sleep,
    /// Start a child that panics.
    Panic,
    /// Recurse deeply on a stack of the default size.
    Deep,
    /// Start a child with its own stack size.
    OwnStack,
    /// Run a closure that blocks, on a thread of the pool.
    Pool,
}

impl Kind {
    /// Returns the kind with this name.
    pub fn of(name: &str) -> Option<Kind> {
        let mut kinds = KINDS.iter().map(|(kind, _)| *kind);
        kinds.find(|kind| format!("{kind:?}") == name)
    }
}

/// All kinds, each with its relative frequency. Kinds that use much memory or time are rare.
pub(super) const KINDS: [(Kind, u32); 10] = [
    (Kind::Spawn, 60),
    (Kind::Meet, 250),
    (Kind::Pair, 150),
    (Kind::Select, 150),
    (Kind::Board, 150),
    (Kind::Sleep, 200),
    (Kind::Panic, 20),
    (Kind::Deep, 2),
    (Kind::OwnStack, 6),
    (Kind::Pool, 40),
];

#[derive(Debug, Default)]
pub(super) struct Counts {
    operations: [AtomicU64; KINDS.len()],
    pub(super) started: AtomicU64,
    pub(super) ended: AtomicU64,
    pub(super) messages: Messages,
}

/// The account of all messages. Each message is created once and dropped once, and has at most one
/// fate in between.
#[derive(Debug, Default)]
pub(super) struct Messages {
    pub(super) made: AtomicU64,
    pub(super) received: AtomicU64,
    /// Messages that came back to their sender.
    pub(super) returned: AtomicU64,
    /// Messages that were left in a channel when it was dropped.
    pub(super) left: AtomicU64,
}

impl Counts {
    pub(super) fn note(&self, kind: Kind) {
        self.operations[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how often each kind has been performed, in the order of [`KINDS`].
    pub(super) fn operations(&self) -> [u64; KINDS.len()] {
        std::array::from_fn(|i| self.operations[i].load(Ordering::Relaxed))
    }

    /// Returns the number of goroutines of the crowd that are alive.
    pub(super) fn live(&self) -> usize {
        // The ends are read first: the start of each ended goroutine is then counted too.
        let ended = self.ended.load(Ordering::Acquire);
        (self.started.load(Ordering::Acquire) - ended) as usize
    }

    /// Returns a number that grows as long as anything happens.
    pub(super) fn progress(&self) -> u64 {
        let goroutines = self.started.load(Ordering::Relaxed) + self.ended.load(Ordering::Relaxed);
        self.operations().iter().sum::<u64>() + goroutines
    }

    /// Checks that nothing has more ends than starts, which holds at any time.
    pub(super) fn check(&self) -> Result<(), String> {
        // Counts of later events are read before counts of earlier ones.
        let ended = self.ended.load(Ordering::Acquire);
        let started = self.started.load(Ordering::Acquire);
        let gone = self.messages.gone();
        let made = self.messages.made.load(Ordering::Acquire);
        if ended > started || gone > made {
            return Err(format!(
                "{started} goroutines started and {ended} ended, {made} messages made and {gone} \
                 dropped"
            ));
        }
        Ok(())
    }

    /// Checks that nothing is left, which holds when all goroutines have ended.
    pub(super) fn close(&self) -> Result<String, String> {
        let [started, ended] = [&self.started, &self.ended].map(|n| n.load(Ordering::Acquire));
        let Messages {
            made,
            received,
            returned,
            left,
        } = &self.messages;
        let [made, received, returned, left] =
            [made, received, returned, left].map(|n| n.load(Ordering::Acquire));
        let account = format!(
            "{started} goroutines started, {ended} ended; {made} messages: {received} received, \
             {returned} returned, {left} left in a channel that went"
        );
        if started == ended && made == received + returned + left {
            Ok(account)
        } else {
            Err(account)
        }
    }
}

impl Messages {
    fn gone(&self) -> u64 {
        [&self.received, &self.returned, &self.left]
            .iter()
            .map(|n| n.load(Ordering::Acquire))
            .sum()
    }
}
