//! What has been done so far, counted by all.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a goroutine may do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Start children, which live as all do.
    Spawn,
    /// Wait in the lobby for somebody to come, or wake one who waits there.
    Meet,
    /// Talk to a partner of one's own, over a channel of any kind.
    Pair,
    /// Select over channels of one's own, the done channel and a deadline.
    Select,
    /// Select over channels that all share.
    Board,
    /// Sleep for up to 50 ms.
    Sleep,
    /// A child that panics.
    Panic,
    /// Deep recursion on a stack of the default size.
    Deep,
    /// A child whose stack has a size of its own.
    OwnStack,
    /// A closure that blocks, on a thread of the pool.
    Pool,
}

impl Kind {
    /// By its name here.
    pub fn of(name: &str) -> Option<Kind> {
        let mut kinds = KINDS.iter().map(|(kind, _)| *kind);
        kinds.find(|kind| format!("{kind:?}") == name)
    }
}

/// All kinds, with how often each is done among how many: what uses much memory or time is rare.
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

/// The account of all messages: each is made once, dropped once, and has one fate at most before.
#[derive(Debug, Default)]
pub(super) struct Messages {
    pub(super) made: AtomicU64,
    pub(super) received: AtomicU64,
    /// Given back to the sender.
    pub(super) returned: AtomicU64,
    /// Left in a channel that went.
    pub(super) left: AtomicU64,
}

impl Counts {
    pub(super) fn note(&self, kind: Kind) {
        self.operations[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often each kind has been done, in the order of [`KINDS`].
    pub(super) fn operations(&self) -> [u64; KINDS.len()] {
        std::array::from_fn(|i| self.operations[i].load(Ordering::Relaxed))
    }

    /// How many goroutines of the crowd live.
    pub(super) fn live(&self) -> usize {
        // The ends first: each belongs to a start that is then counted too.
        let ended = self.ended.load(Ordering::Acquire);
        (self.started.load(Ordering::Acquire) - ended) as usize
    }

    /// Grows as long as anything happens.
    pub(super) fn progress(&self) -> u64 {
        let goroutines = self.started.load(Ordering::Relaxed) + self.ended.load(Ordering::Relaxed);
        self.operations().iter().sum::<u64>() + goroutines
    }

    /// Nothing has more ends than starts. Holds at any time.
    pub(super) fn check(&self) -> Result<(), String> {
        // What comes later is read first.
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

    /// Nothing is left. Holds when all have ended.
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
