//! [`Canceled`]: the error of a wait that a done channel ended.

use std::error::Error;
use std::fmt;

/// The error of a wait whose done channel was closed, or had a message, before the awaited event.
///
/// [`block_on_with`](crate::block_on_with) and
/// [`WaitGroup::wait_with`](crate::sync::WaitGroup::wait_with) return it. Sockets say the same by
/// an [`io::Error`](std::io::Error) of which
#[cfg_attr(unix, doc = "[`net::is_done`](crate::net::is_done) is true,")]
#[cfg_attr(not(unix), doc = "`net::is_done` is true,")]
/// a semaphore by [`AcquireError::Canceled`](crate::sync::AcquireError::Canceled).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Canceled;

impl fmt::Display for Canceled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ended by its done channel")
    }
}

impl Error for Canceled {}
