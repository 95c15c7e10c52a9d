//! A stand-in for the runtime's unparker. The real one delays a wake-up to send several together;
//! this one sends each at once.

use super::parker::Parker;
use super::verdict::Verdict;

pub(crate) struct Unparker;

impl Unparker {
    pub(crate) fn new() -> Unparker {
        Unparker
    }

    pub(crate) unsafe fn unpark(&mut self, parker: *const Parker, verdict: Verdict) {
        // SAFETY: the caller keeps what `Parker::unpark` asks for.
        unsafe { Parker::unpark(parker, verdict) }
    }
}
