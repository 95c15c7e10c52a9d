//! A pool of connections whose users park.

use go_runtime::channel::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

/// A channel of connections. An empty slot's connection is made when the slot is next used.
pub struct Pool<C, E> {
    slots: (Sender<Option<C>>, Receiver<Option<C>>),
    connect: Box<dyn Fn() -> Result<C, E> + Send + Sync>,
    is_closed: fn(&C) -> bool,
}

impl<C, E: From<RecvTimeoutError>> Pool<C, E> {
    pub fn new(
        size: usize,
        connect: impl Fn() -> Result<C, E> + Send + Sync + 'static,
        is_closed: fn(&C) -> bool,
    ) -> Self {
        let slots = channel::bounded(size);
        (0..size).for_each(|_| slots.0.send(None).unwrap());
        Pool {
            slots,
            connect: Box::new(connect),
            is_closed,
        }
    }

    /// Waits for a connection, for `wait` at most, and lends it to `f`.
    pub fn with<T>(&self, wait: Duration, f: impl FnOnce(&mut C) -> Result<T, E>) -> Result<T, E> {
        let mut slot = Slot(self.slots.1.recv_timeout(wait)?, &self.slots.0);
        let mut connection = slot.0.take().map_or_else(&self.connect, Ok)?;
        let result = f(&mut connection);
        slot.0 = Some(connection).filter(|connection| !(self.is_closed)(connection));
        result
    }
}

/// Goes back to the pool in any case: empty after an error of `connect`, or a panic of `f`.
struct Slot<'a, C>(Option<C>, &'a Sender<Option<C>>);

impl<C> Drop for Slot<'_, C> {
    fn drop(&mut self) {
        let _ = self.1.try_send(self.0.take());
    }
}
