//! Kernels of real bugs by which goroutines wait for ever, as tests of leak detection.
//!
//! Go's tree has a collection of such kernels (GoBench's GoKer). Here each is written anew, from
//! its meaning: which goroutine waits for what. There is a module for each project in which the
//! bugs were. The function of a kernel takes whether the bug is repaired, so the repair can be seen
//! as the difference. README.md lists all kernels, and those that Rust's types rule out.
//!
//! Where a bug shows only under a certain schedule, the kernel brings it about, with an `Event`,
//! a `Meeting` or `parked`. All three poll and yield, so that a goroutine on its way to its
//! last wait never counts as waiting.

mod chan;
mod cockroach;
pub mod detect;
mod etcd;
mod grpc;
mod hugo;
mod istio;
mod kubernetes;
mod moby;
mod patterns;
mod schedule;
mod serving;
mod syncthing;

use go_runtime::debug::WaitReason;

pub use schedule::{others, settled};

use chan::{Chan, chan};
use schedule::{Event, Meeting, parked};

/// A bug, and its repair.
pub struct Kernel {
    /// The project and the number by which it knows the bug, such as `etcd#5509`.
    pub name: &'static str,
    /// Runs the bug or, with `true`, its repair. The kernel's own goroutines may outlive the call.
    pub run: fn(bool),
    /// The goroutines that wait for ever because of the bug: their names, and what they wait for.
    /// Empty if the bug can be written in Rust, but no goroutine waits for ever: because the drop
    /// of a channel's last receiver or sender ends the wait.
    pub leaks: &'static [(&'static str, WaitReason)],
}

impl Kernel {
    const fn new(
        name: &'static str,
        run: fn(bool),
        leaks: &'static [(&'static str, WaitReason)],
    ) -> Kernel {
        Kernel { name, run, leaks }
    }
}

/// Returns all kernels.
pub fn kernels() -> impl Iterator<Item = &'static Kernel> {
    let projects: [&[Kernel]; 10] = [
        &cockroach::KERNELS,
        &etcd::KERNELS,
        &grpc::KERNELS,
        &hugo::KERNELS,
        &istio::KERNELS,
        &kubernetes::KERNELS,
        &moby::KERNELS,
        &serving::KERNELS,
        &syncthing::KERNELS,
        &patterns::KERNELS,
    ];
    projects.into_iter().flatten()
}
