//! [`JoinArm`]: a join handle as an arm of a `select!`. It is a `recv` arm on the channel that is
//! closed when the goroutine has ended; if the arm wins, it takes the result.

use std::fmt;
use std::thread;

use super::job::JoinHandle;
use crate::scope::ScopedJoinHandle;
use crate::select::{AnyArm, RecvArm};

/// The arm of a `JoinHandle` or a `ScopedJoinHandle`.
pub struct JoinArm<'a, H> {
    handle: &'a H,
    ended: RecvArm<'a, ()>,
}

impl<H> fmt::Debug for JoinArm<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("JoinArm { .. }")
    }
}

impl<H> JoinArm<'_, H> {
    #[doc(hidden)]
    pub fn __arm(&self) -> AnyArm<'_> {
        self.ended.__arm()
    }
}

impl<T> JoinHandle<T> {
    /// Returns the arm of a `select!` that waits for this goroutine.
    #[doc(hidden)]
    #[expect(
        non_snake_case,
        reason = "rustc prints the name if a type has no such method"
    )]
    pub fn __a_recv_arm_takes_a_Receiver_or_a_JoinHandle_of_go_runtime(&self) -> JoinArm<'_, Self> {
        JoinArm {
            handle: self,
            ended: self
                .ended()
                .__a_recv_arm_takes_a_Receiver_or_a_JoinHandle_of_go_runtime(),
        }
    }
}

impl<T> JoinArm<'_, JoinHandle<T>> {
    /// Takes the result of the goroutine. The select calls this once, for the arm that it has
    /// chosen.
    #[doc(hidden)]
    #[track_caller]
    pub fn __take(self) -> thread::Result<T> {
        self.handle.take_ended()
    }
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Returns the arm of a `select!` that waits for this goroutine.
    #[doc(hidden)]
    #[expect(
        non_snake_case,
        reason = "rustc prints the name if a type has no such method"
    )]
    pub fn __a_recv_arm_takes_a_Receiver_or_a_JoinHandle_of_go_runtime(&self) -> JoinArm<'_, Self> {
        JoinArm {
            handle: self,
            ended: self
                .ended()
                .__a_recv_arm_takes_a_Receiver_or_a_JoinHandle_of_go_runtime(),
        }
    }
}

impl<T> JoinArm<'_, ScopedJoinHandle<'_, T>> {
    /// Takes the result of the goroutine. The select calls this once, for the arm that it has
    /// chosen.
    #[doc(hidden)]
    #[track_caller]
    pub fn __take(self) -> thread::Result<T> {
        self.handle.take_ended()
    }
}
