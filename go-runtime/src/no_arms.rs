//! Values that are mistaken for channels in the arms of a `select!`, and the error messages for
//! them.
//!
//! For a type without the methods of an arm, rustc reports the name of the missing method, which
//! says what an arm takes. The types of this module have these methods, with a bound that no type
//! satisfies: its message says what to write instead. (These traits are not in `select`, which is a
//! layer below the modules of some of the types, and which the models compile alone.)

use std::cell::RefCell;
use std::fmt;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{sync, thread};

use crate::channel::{Receiver, RecvFuture, SendFuture, Sender};
use crate::context::Context;
use crate::goroutine::{JoinFuture, JoinHandle};
use crate::scope::ScopedJoinHandle;
use crate::select::AnyArm;
use crate::sync::{Mutex, RwLock};
use crate::time::{Ticker, Timer};

/// The arm that is made of a value that cannot be an arm. Its operation has a result of whatever
/// type the body expects, so that rustc reports nothing about the body.
pub struct Misfit<R>(R);

impl<R> fmt::Debug for Misfit<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Misfit { .. }")
    }
}

#[doc(hidden)]
#[expect(
    clippy::unused_self,
    reason = "the methods are those of the other arms"
)]
impl<R> Misfit<R> {
    pub fn __arm(&self) -> AnyArm<'_> {
        unreachable!("there is no such arm")
    }

    pub fn __take(self) -> R {
        self.0
    }

    pub fn __reserve(self) -> Misfit<R> {
        self
    }

    pub fn __send<T>(self, _message: T) -> R {
        self.0
    }
}

/// Makes a module for each hint. The types that cannot be arms implement the trait of their module,
/// which has the methods of an arm. Each method has a bound that no type satisfies, so a call of
/// the method makes rustc print the hint.
///
/// The methods are the same in all of these traits. They are written in the call of this macro, and
/// not in the macro, so that rustc's excerpt of the source is short.
macro_rules! no_arms {
    (
        $methods:tt
        $($hint:ident: $note:tt { $([$($generics:tt)*] $type:ty,)* })*
    ) => {
        $(
            mod $hint {
                #[allow(clippy::wildcard_imports, reason = "each hint has other types")]
                use super::*;

                /// The types that can be an arm of a `select!`.
                #[diagnostic::on_unimplemented(
                    message = "`{Self}` cannot be an arm of a `select!`",
                    label = "neither a channel nor a `JoinHandle` of `go_runtime`",
                    note = "an arm takes a `Receiver` or a `Sender` of `go_runtime::channel`, or a \
                            `JoinHandle` of `go_runtime`",
                    note = $note
                )]
                pub trait CanBeArm {}

                no_arms!(@trait $methods);

                $(
                    impl<$($generics)*> NoArm for $type {}
                )*
            }
        )*

        /// All traits with hints, imported without names, so that importing all of them shadows
        /// nothing.
        pub mod all {
            $(
                pub use super::$hint::NoArm as _;
            )*
        }
    };
    (@trait { $($methods:tt)* }) => {
        /// The methods of an arm, for values that cannot be arms. The trait is in scope where arms
        /// are made, so that rustc prints the hint.
        pub trait NoArm {
            $($methods)*
        }
    };
}

no_arms! {
    {
        #[doc(hidden)]
        #[expect(non_snake_case, reason = "as that of the arms")]
        fn __a_recv_arm_takes_a_Receiver_or_a_JoinHandle_of_go_runtime<R>(&self) -> Misfit<R>
        where
            Self: CanBeArm,
        {
            unreachable!("no such type implements CanBeArm")
        }

        #[doc(hidden)]
        #[expect(non_snake_case, reason = "as that of the arms")]
        fn __a_send_arm_takes_a_Sender_of_go_runtime<R>(&self) -> Misfit<R>
        where
            Self: CanBeArm,
        {
            unreachable!("no such type implements CanBeArm")
        }
    }

    foreign_channel: "make the channel with `go_runtime::channel::bounded` or `unbounded`" {
        [T] mpsc::Receiver<T>,
        [T] mpsc::Sender<T>,
        [T] mpsc::SyncSender<T>,
        [T] crossbeam_channel::Receiver<T>,
        [T] crossbeam_channel::Sender<T>,
    }

    option_of_channel: "take what is in the `Option`, or where there is nothing a channel that is \
        never ready: `let off = channel::never();` and \
        `recv(rx.as_ref().unwrap_or(&off)) -> msg`, or for a `send` arm \
        `let off = Sender::never();`" {
        [T] Option<Receiver<T>>,
        ['c, T] Option<&'c Receiver<T>>,
        [T] Option<Sender<T>>,
        ['c, T] Option<&'c Sender<T>>,
    }

    option_of_handle: "take the handle out before the `select!`: \
        `let Some(handle) = &handle else {{ ... }};` and `recv(handle) -> res`" {
        [T] Option<JoinHandle<T>>,
        ['h, T] Option<&'h JoinHandle<T>>,
        ['s, T] Option<ScopedJoinHandle<'s, T>>,
        ['h, 's, T] Option<&'h ScopedJoinHandle<'s, T>>,
    }

    result: "unwrap the `Result`, or use `?`, before the `select!`" {
        [T, E] Result<T, E>,
    }

    list: "the arms of a `select!` are fixed: wait on a list of channels with \
        `go_runtime::channel::Select`, and on a list of goroutines with a `go_runtime::JoinSet`" {
        [T] Vec<T>,
        [T] [T],
        [T, const N: usize] [T; N],
    }

    lock: "an end of a channel needs neither a lock nor a `RefCell`: give each goroutine its own \
        clone, which is an end of the same channel" {
        [T] sync::Mutex<T>,
        [T] sync::RwLock<T>,
        [T] Mutex<T>,
        [T] RwLock<T>,
        [T] RefCell<T>,
    }

    timer: "a `Timer` and a `Ticker` have a channel: write `recv(timer.channel())`" {
        [] Timer,
        [] Ticker,
    }

    time: "to wait no longer than a duration, write `default(duration)`; for a channel with one \
        message at a moment, `recv(channel::after(duration))` or `recv(channel::at(instant))`" {
        [] Duration,
        [] Instant,
    }

    context: "a `Context` has a channel that is closed when it ends: write `recv(ctx.done())`" {
        [] Context,
    }

    recv_future: "leave out `recv_async()`: write `recv(rx) -> msg`" {
        ['c, T] RecvFuture<'c, T>,
    }

    send_future: "leave out `send_async(value)`: write `send(tx, value) -> res`" {
        ['c, T] SendFuture<'c, T>,
    }

    join_future: "an arm takes the `JoinHandle` itself: write `recv(handle) -> res`" {
        [T] JoinFuture<T>,
    }

    handle_of_thread: "this is the handle of a thread: start a goroutine instead, with \
        `go!(f())`, or with a thread of its own, `go!(thread; f())`" {
        [T] thread::JoinHandle<T>,
        ['s, T] thread::ScopedJoinHandle<'s, T>,
    }
}
