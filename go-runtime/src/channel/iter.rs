//! Iterators over the messages of a channel.

use std::fmt;
use std::iter::FusedIterator;

use super::receiver::Receiver;

/// An iterator that waits for each message, and ends when the channel is closed and empty.
/// [`Receiver::iter`] makes it.
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Iter<'a, T> {
    pub(super) receiver: &'a Receiver<T>,
    /// Whether the iterator has ended. An ended iterator ignores a message that a dropped future
    /// gives back later, because it is a `FusedIterator`.
    pub(super) ended: bool,
}

/// An iterator that receives without waiting, and ends when a receive would have to wait.
/// [`Receiver::try_iter`] makes it.
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct TryIter<'a, T> {
    pub(super) receiver: &'a Receiver<T>,
}

/// An iterator like [`Iter`] that owns the receiver. [`Receiver::into_iter`] makes it.
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct IntoIter<T> {
    pub(super) receiver: Receiver<T>,
    /// Whether the iterator has ended, as in [`Iter`].
    pub(super) ended: bool,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;
    // Inlined so that the context switch is inlined into the caller (see `wait::parker`).
    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        if self.ended {
            return None;
        }
        let message = self.receiver.recv().ok();
        self.ended = message.is_none();
        message
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;
    fn next(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;
    // Inlined so that the context switch is inlined into the caller (see `wait::parker`).
    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        if self.ended {
            return None;
        }
        let message = self.receiver.recv().ok();
        self.ended = message.is_none();
        message
    }
}

impl<T> FusedIterator for Iter<'_, T> {}
impl<T> FusedIterator for IntoIter<T> {}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;
    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;
    fn into_iter(self) -> IntoIter<T> {
        IntoIter {
            receiver: self,
            ended: false,
        }
    }
}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Iter { .. }")
    }
}

impl<T> fmt::Debug for TryIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("TryIter { .. }")
    }
}

impl<T> fmt::Debug for IntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("IntoIter { .. }")
    }
}
