//! Connecting with one limit for the look-up of the name and the attempts at all its addresses.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::addresses::{self, Lookup, ToSocketAddrs};
use super::done::{self, WithDone, is_done};
use super::tcp::TcpStream;
use crate::Builder;
use crate::blocking::blocking_io;
use crate::channel::{Receiver, Select, bounded};
use crate::clock;
use crate::wait::Observable;
use crate::wait::note_failed_poll;

/// Connects to a name or to several addresses, within a time limit, and until a done channel is
/// closed: Go's `net.Dialer`.
///
/// The limits hold for the look-up and all attempts together. The addresses are tried one after the
/// other, and each may use an equal share of the remaining time, so that an address that does not
/// answer leaves time for the others. Without a limit each attempt takes as long as the system
/// allows, about two minutes on Linux.
///
/// Names are looked up on a thread for [`blocking`](crate::blocking()) calls. A look-up cannot be
/// interrupted, but the caller does not wait for it: when the time is over or the done channel is
/// closed, `connect` returns at once, and the look-up ends by itself.
///
/// ```
/// use std::time::Duration;
/// use go_runtime::{context::Context, net::{Dialer, TcpListener}};
///
/// # fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?.to_string();
///
/// let dialer = Dialer::new().timeout(Duration::from_secs(10));
/// let stream = dialer.connect(&address)?;
///
/// let (ctx, cancel) = Context::background().with_cancel();
/// let stream = dialer.with_done(ctx.done()).connect(&address)?;
/// cancel.cancel();
/// let error = dialer.with_done(ctx.done()).connect(&address).unwrap_err();
/// assert!(go_runtime::net::is_done(&error));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Dialer {
    timeout: Option<Duration>,
    deadline: Option<Instant>,
}

impl Dialer {
    /// Returns a dialer without limits.
    #[must_use]
    pub const fn new() -> Dialer {
        Dialer {
            timeout: None,
            deadline: None,
        }
    }

    /// Limits each `connect` to this time. If there is a [deadline](Self::deadline) as well, the
    /// earlier of the two limits counts.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Dialer {
        self.timeout = Some(timeout);
        self
    }

    /// Makes every `connect` end by this deadline.
    #[must_use]
    pub const fn deadline(mut self, deadline: Instant) -> Dialer {
        self.deadline = Some(deadline);
        self
    }

    /// Returns the dialer with a done channel that ends its `connect`.
    pub fn with_done<'a, D>(&'a self, done: &'a Receiver<D>) -> WithDone<'a, Dialer, D> {
        WithDone::new(self, done)
    }

    /// Connects to the first of the addresses that can be reached.
    ///
    /// # Errors
    /// If none can be reached in time. The text names the addresses that were tried, with the error
    /// of each. The [kind](io::Error::kind) is that of the last error
    /// ([`TimedOut`](io::ErrorKind::TimedOut) if the time was over), which is also the
    /// [source](Error::source).
    ///
    /// ```
    /// use go_runtime::net::{Dialer, TcpListener};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let address = listener.local_addr()?;
    /// drop(listener);
    /// let error = Dialer::new().connect(address).unwrap_err();
    /// assert!(error.to_string().starts_with(&format!("{address}: Connection refused")));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn connect(&self, addresses: impl ToSocketAddrs) -> io::Result<TcpStream> {
        self.connect_until::<()>(&addresses, None)
    }

    fn connect_until<D>(
        &self,
        addresses: &impl ToSocketAddrs,
        done: Option<&Receiver<D>>,
    ) -> io::Result<TcpStream> {
        let by_timeout = self.timeout.and_then(clock::after);
        let deadline = by_timeout.into_iter().chain(self.deadline).min();
        let mut failed = Failed::default();
        let addresses = match addresses.look_up() {
            Lookup::Known(addresses) => addresses,
            Lookup::Name(name) => {
                let asked = format!("looking up {name}");
                match await_lookup(move || name.resolve(), deadline, done) {
                    Ok(addresses) => addresses,
                    Err(error) => return Err(failed.with(asked, error).into()),
                }
            }
        };
        for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
            let share = deadline.map(|deadline| {
                let now = clock::now();
                let rest = deadline.saturating_duration_since(now);
                now + rest / u32::try_from(left).unwrap_or(u32::MAX)
            });
            let done = done.map(|done| done as &dyn Observable);
            let error = match TcpStream::connect_to(address, share, done) {
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
            let over = is_done(&error) || deadline.is_some_and(|end| end <= clock::now());
            failed = failed.with(address.to_string(), error);
            if over {
                break;
            }
        }
        Err(failed.into())
    }
}

impl<D> WithDone<'_, Dialer, D> {
    /// Connects like [`Dialer::connect`], until the done channel is closed.
    ///
    /// # Errors
    /// The errors of [`Dialer::connect`], and an error if the done channel is closed, which
    /// [`is_done`] recognizes.
    pub fn connect(&self, addresses: impl ToSocketAddrs) -> io::Result<TcpStream> {
        self.socket.connect_until(&addresses, Some(self.done))
    }
}

/// Runs a look-up in a goroutine of its own and waits for its result. The goroutine continues if
/// the caller gives up.
fn await_lookup<D>(
    resolve: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
    deadline: Option<Instant>,
    done: Option<&Receiver<D>>,
) -> io::Result<Vec<SocketAddr>> {
    if done.is_some_and(Observable::is_ready) {
        note_failed_poll();
        return Err(done::error());
    }
    let (tell, found) = bounded(1);
    Builder::new().name("look-up").spawn(move || {
        // If the caller gave up, the result of the look-up is dropped here.
        let _ = tell.send(blocking_io(resolve));
    })?;
    let mut select = Select::new_biased();
    if let Some(done) = done {
        select.recv(done);
    }
    let by_lookup = select.recv(&found);
    let ready = match deadline {
        None => select.ready(),
        Some(deadline) => match select.ready_deadline(deadline) {
            Ok(ready) => ready,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        },
    };
    if ready != by_lookup {
        return Err(done::error());
    }
    // The channel is closed without a message only if the goroutine panicked.
    found
        .recv()
        .unwrap_or_else(|_| Err(io::Error::other("the look-up has failed")))
}

/// The addresses that were tried, with the error of each.
#[derive(Debug, Default)]
pub(super) struct Failed(Vec<(String, io::Error)>);

impl Failed {
    fn with(mut self, what: String, error: io::Error) -> Failed {
        self.0.push((what, error));
        self
    }

    /// Returns whether the done channel ended the attempts.
    pub(super) fn is_done(&self) -> bool {
        self.0.last().is_some_and(|(_, error)| is_done(error))
    }
}

impl From<Failed> for io::Error {
    fn from(failed: Failed) -> io::Error {
        match failed.0.last() {
            None => addresses::none(),
            Some((_, last)) => io::Error::new(last.kind(), failed),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (what, error)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{what}: {error}")?;
        }
        Ok(())
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let (_, last) = self.0.last()?;
        Some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Returns a look-up that blocks until the sender is dropped.
    fn slow() -> (
        mpsc::Sender<()>,
        impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
    ) {
        let (end, held) = mpsc::channel::<()>();
        let resolve = move || {
            let _ = held.recv();
            Ok(Vec::new())
        };
        (end, resolve)
    }

    #[test]
    fn a_slow_look_up_does_not_delay_its_caller() {
        let (end, resolve) = slow();
        let (stop, done) = bounded::<()>(0);
        let waiting = crate::spawn(move || await_lookup(resolve, None, Some(&done)));
        drop(stop);
        let ended = waiting.join();
        assert!(ended.is_ok_and(|ended| ended.is_err_and(|error| is_done(&error))));
        drop(end);
        let (end, resolve) = slow();
        let soon = clock::after(Duration::from_millis(1));
        let ended = await_lookup::<()>(resolve, soon, None);
        assert!(ended.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut));
        drop(end);
    }
}
