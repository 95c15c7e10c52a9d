//! Ending many waits at once: the goroutines of one worker are put into its inbox together.

use super::parker::{Delivery, Parker};
use super::verdict::Verdict;
use crate::sched::InboxNode;

/// Ends waits one after the other. Successive goroutines of one worker are delivered into its inbox
/// together: when the next goroutine is another worker's, or when the unparker is dropped.
pub(crate) struct Unparker {
    /// The first and the last of the goroutines that are still to be delivered.
    chain: Option<(Delivery, *const InboxNode)>,
}

impl Unparker {
    pub(crate) fn new() -> Unparker {
        Unparker { chain: None }
    }

    /// Ends a wait with `verdict`. It is no future's: a waker is user code, which may wait for a
    /// goroutine that is still to be delivered.
    ///
    /// # Safety
    /// `parker` is valid. The caller has claimed its wait, and ends the wait by this one call.
    /// `parker` may dangle as soon as the call returns.
    pub(crate) unsafe fn unpark(&mut self, parker: *const Parker, verdict: Verdict) {
        // SAFETY: the caller says that the parker is valid and claimed, and ended by this call. A
        // goroutine whose delivery is returned stays parked, and its parker valid, until
        // `Self::deliver` makes the delivery, which happens at the latest in `drop`.
        let Some((owner, node)) = (unsafe { Parker::end(parker, verdict) }) else {
            return;
        };
        if let Some((_, last)) = self.chain.as_mut().filter(|((to, _), _)| *to == owner) {
            // SAFETY: this node's goroutine, and each in the chain, is parked until its worker
            // takes its node out of the inbox, where none of these nodes is yet.
            unsafe { (*node).link(*last) };
            *last = node;
        } else {
            self.deliver();
            self.chain = Some(((owner, node), node));
        }
    }

    fn deliver(&mut self) {
        if let Some(((owner, first), last)) = self.chain.take() {
            // SAFETY: each node of the chain belongs to a parked goroutine of this worker, whose
            // wait was claimed once. So the node is in no inbox, and is valid until the worker
            // resumes the goroutine.
            unsafe { owner.deliver(last, first) };
        }
    }
}

impl Drop for Unparker {
    fn drop(&mut self) {
        self.deliver();
    }
}
