//! A stand-in for the runtime's unparker: the real one puts off a wake-up to send several together;
//! here each is sent at once.

use super::parker::Parker;
use super::verdict::Verdict;

pub(crate) struct Unparker;

impl Unparker {
    pub(crate) fn new() -> Unparker {
        Unparker
    }

    pub(crate) unsafe fn unpark(&mut self, parker: *const Parker, verdict: Verdict) {
        unsafe { Parker::unpark(parker, verdict) }
    }
}
