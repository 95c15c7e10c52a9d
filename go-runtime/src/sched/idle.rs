//! Who sleeps and who looks for work: how new work finds a worker without waking more than it
//! takes.
//!
//! Two counts that all workers share. Whoever queues work, then sees nobody searching and somebody
//! asleep, calls one sleeper ([`Idle::should_call`]). A worker that goes to sleep announces it,
//! stops counting as searching, and only then looks at the queues for the last time
//! ([`Idle::last_look`]). Both put a full fence between their write and their look, so at least one
//! of the two sees the other's.

use crate::primitives::atomic::{AtomicUsize, Ordering, fence};

pub(crate) struct Idle {
    /// Workers that are asleep, or will be after their last look.
    sleepers: AtomicUsize,
    /// Workers that are awake and look for work, and those called to.
    searching: AtomicUsize,
}

impl Idle {
    pub(crate) fn new() -> Idle {
        Idle {
            sleepers: AtomicUsize::new(0),
            searching: AtomicUsize::new(0),
        }
    }

    /// For one who has just queued work: whether it has to call a sleeper.
    #[inline]
    pub(crate) fn should_call(&self) -> bool {
        fence(Ordering::SeqCst);
        self.sleepers() > 0 && self.searching() == 0
    }

    /// Calls a sleeper: `wake` wakes one, if any sleeps, and takes it out of the sleepers' count;
    /// `in_vain` says whether work is queued and somebody asleep.
    pub(crate) fn call(&self, wake: impl Fn() -> bool, in_vain: impl Fn() -> bool) {
        loop {
            // The one that is going to be called counts as searching already, so that others don't
            // call more meanwhile.
            self.start_searching();
            if wake() {
                return;
            }
            // Nobody was asleep. If others have queued work since then and relied on the one that
            // we counted, it is for us to call again; who is not asleep yet takes its last look
            // after this.
            if !self.stop_searching() || !in_vain() {
                return;
            }
        }
    }

    pub(crate) fn start_searching(&self) {
        self.searching.fetch_add(1, Ordering::SeqCst);
    }

    /// `true`: it was the last one. Others relied on it to look, so if there is more work, it calls
    /// the next one.
    pub(crate) fn stop_searching(&self) -> bool {
        let last = self.searching.fetch_sub(1, Ordering::SeqCst) == 1;
        // Against `should_call`: who saw us searching has queued its work before, and we see it
        // from here on.
        fence(Ordering::SeqCst);
        last
    }

    /// A worker counts as a sleeper from before its inbox says so until whoever changes that word
    /// back takes it out.
    pub(crate) fn add_sleeper(&self) {
        self.sleepers.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn remove_sleeper(&self) {
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    /// For a worker whose inbox says that it sleeps: what it sees queued after this is all there
    /// is, and for what is queued later it will be called.
    pub(crate) fn last_look(&self, searching: bool) {
        if searching {
            self.stop_searching();
        }
        fence(Ordering::SeqCst);
    }

    /// May be a moment old.
    #[inline]
    pub(crate) fn sleepers(&self) -> usize {
        self.sleepers.load(Ordering::Relaxed)
    }

    /// May be a moment old.
    #[inline]
    pub(crate) fn searching(&self) -> usize {
        self.searching.load(Ordering::Relaxed)
    }
}
