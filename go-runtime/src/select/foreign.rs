//! Values that are taken for channels in arms, and what is said about them.
//!
//! A method of one of these types would be missing, and its name, which is internal, is what rustc
//! would print.

use std::sync::mpsc;

use super::arms::{RecvArm, SendArm};
use crate::channel::{Receiver, Sender};

/// What can be an arm of a `select!`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an arm of a `select!`",
    label = "no channel of `go_runtime`",
    note = "an arm takes a `Receiver` or a `Sender` of `go_runtime::channel`, or a `JoinHandle`",
    note = "if it is an `Option`, take what is in it, or where there is nothing a channel that is \
            never ready: `let off = channel::never();` and \
            `recv(rx.as_ref().unwrap_or(&off)) -> msg`, or for a \
            `send` arm `let off = Sender::never();`"
)]
pub trait CanBeArm {}

/// In scope where arms are made, for its error message.
pub trait NoArm {
    /// So that nothing is said of the message.
    type Message;

    #[doc(hidden)]
    fn __go_runtime_receiver(&self) -> RecvArm<'_, Self::Message>
    where
        Self: CanBeArm,
    {
        unreachable!("no such type implements CanBeArm")
    }

    #[doc(hidden)]
    fn __go_runtime_sender(&self) -> SendArm<'_, Self::Message>
    where
        Self: CanBeArm,
    {
        unreachable!("no such type implements CanBeArm")
    }
}

macro_rules! no_arm {
    ($($type:ty),* $(,)?) => { $(
        impl<T> NoArm for $type {
            type Message = T;
        }
    )* };
}

no_arm! {
    Option<Receiver<T>>,
    Option<&Receiver<T>>,
    Option<Sender<T>>,
    Option<&Sender<T>>,
    mpsc::Receiver<T>,
    mpsc::Sender<T>,
    mpsc::SyncSender<T>,
    crossbeam_channel::Receiver<T>,
    crossbeam_channel::Sender<T>,
}
