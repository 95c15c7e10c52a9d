//! Methods that exist for their error messages only. A caller that uses the wrong end of a channel
//! is told which end is right; without these methods rustc would suggest a method "with a similar
//! name". (The methods of this kind that a `select!` needs too are in `arms`.)

use std::time::Duration;

use super::arms::{CanReceive, CanSend};
use crate::channel::{
    Iter, Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryIter, TryRecvError, TrySendError,
};

/// Types that can close a channel. No type implements this trait: it is there for its error
/// message.
#[diagnostic::on_unimplemented(
    message = "a `Receiver` cannot close its channel",
    label = "this is the receiving end of a channel",
    note = "close it with a `Sender`: `tx.close()`; or drop all receivers, which ends it as well: \
            sends then fail"
)]
#[doc(hidden)]
pub trait CanClose {}

#[doc(hidden)]
impl<T> Receiver<T> {
    pub fn close(&self)
    where
        Receiver<T>: CanClose,
    {
        unreachable!("no Receiver implements CanClose")
    }

    pub fn try_send(&self, _message: T) -> Result<(), TrySendError<T>>
    where
        Receiver<T>: CanSend,
    {
        unreachable!("no Receiver implements CanSend")
    }

    pub fn send_timeout(&self, _message: T, _: Duration) -> Result<(), SendTimeoutError<T>>
    where
        Receiver<T>: CanSend,
    {
        unreachable!("no Receiver implements CanSend")
    }
}

#[doc(hidden)]
impl<T> Sender<T> {
    pub fn try_recv(&self) -> Result<T, TryRecvError>
    where
        Sender<T>: CanReceive,
    {
        unreachable!("no Sender implements CanReceive")
    }

    pub fn recv_timeout(&self, _: Duration) -> Result<T, RecvTimeoutError>
    where
        Sender<T>: CanReceive,
    {
        unreachable!("no Sender implements CanReceive")
    }

    pub fn iter(&self) -> Iter<'_, T>
    where
        Sender<T>: CanReceive,
    {
        unreachable!("no Sender implements CanReceive")
    }

    pub fn try_iter(&self) -> TryIter<'_, T>
    where
        Sender<T>: CanReceive,
    {
        unreachable!("no Sender implements CanReceive")
    }
}
