//! Registering a descriptor with a worker's poller.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;
use std::sync::Arc;

use super::global;
use super::poller::Interest;
use super::shared::WorkerShared;
use super::worker::Worker;

/// A registered descriptor; dropping this ends the registration.
pub(crate) struct Registration {
    worker: &'static WorkerShared,
    key: usize,
    fd: RawFd,
}

impl Registration {
    /// Registers `fd` with the calling goroutine's worker or, on a plain thread, with one of the
    /// workers. If that worker has no poller and cannot make one, another worker that has a poller
    /// takes its place.
    ///
    /// # Errors
    /// The system cannot wait for the descriptor (as for plain files), or has no more memory or
    /// descriptors.
    pub(crate) fn new(fd: BorrowedFd<'_>, interest: Arc<dyn Interest>) -> io::Result<Registration> {
        let runtime = global::try_get().map_err(|error| io::Error::other(error.to_string()))?;
        let own = Worker::current().map(Worker::shared);
        let fd = fd.as_raw_fd();
        let index = || fd.unsigned_abs() as usize % runtime.gomaxprocs();
        let worker = match own {
            Some(own) => own,
            None => runtime
                .worker(index())
                .ok_or_else(|| io::Error::other("no worker"))?,
        };
        let (worker, poller) = match worker.poller.get_or_try_make() {
            Ok(poller) => (worker, poller),
            // If the process has no descriptors left for a poller, another worker's poller serves;
            // each event then crosses threads.
            Err(error) => runtime
                .workers()
                .find_map(|worker| Some((worker, worker.poller.get()?)))
                .ok_or(error)?,
        };
        let key = poller.register(fd, interest)?;
        if own.is_none_or(|own| !ptr::eq(own, worker)) {
            // The worker may be asleep, but not in its poller; see `Worker::sleep`.
            runtime.notify(worker);
        }
        Ok(Registration { worker, key, fd })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(poller) = self.worker.poller.get() {
            poller.deregister(self.fd, self.key);
        }
    }
}
