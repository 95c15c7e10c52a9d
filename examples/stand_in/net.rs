//! Stands in for `go_runtime::net` until that has landed: the part of its API that `http_server` and `crawler` use, with the same meaning.
//! Waiting takes a thread of `blocking`'s and a system call each 10 ms, so it is slow. To be deleted then.
#![allow(dead_code, reason = "each example uses a part of it")]

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use go_runtime::blocking;
use go_runtime::channel::{Receiver, TryRecvError};

pub(crate) use std::net::{Shutdown, SocketAddr, ToSocketAddrs};

const SLICE: Duration = Duration::from_millis(10);

#[derive(Debug)]
struct Done;

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ended by its done channel")
    }
}

impl Error for Done {}

pub(crate) fn is_done(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Done>())
}

type Deadline = Mutex<Option<Instant>>;

fn drive<T>(
    fd: RawFd,
    events: i16,
    deadline: &Deadline,
    done: Option<&Receiver<()>>,
    mut operation: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    loop {
        if done.is_some_and(|done| done.try_recv() != Err(TryRecvError::Empty)) {
            return Err(io::Error::other(Done));
        }
        if deadline
            .lock()
            .unwrap()
            .is_some_and(|at| at <= Instant::now())
        {
            return Err(ErrorKind::TimedOut.into());
        }
        match operation() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => return result,
        }
        blocking(|| {
            let mut poll = libc::pollfd {
                fd,
                events,
                revents: 0,
            };
            // SAFETY: one structure, which lives until the call has returned.
            unsafe { libc::poll(&raw mut poll, 1, SLICE.as_millis() as i32) };
        });
    }
}

pub(crate) struct TcpListener {
    inner: net::TcpListener,
    deadline: Deadline,
}

pub(crate) struct ListenerWithDone<'a> {
    listener: &'a TcpListener,
    done: &'a Receiver<()>,
}

impl TcpListener {
    pub(crate) fn bind(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
        let inner = net::TcpListener::bind(address)?;
        inner.set_nonblocking(true)?;
        Ok(TcpListener {
            inner,
            deadline: Mutex::new(None),
        })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    pub(crate) fn with_done<'a>(&'a self, done: &'a Receiver<()>) -> ListenerWithDone<'a> {
        ListenerWithDone {
            listener: self,
            done,
        }
    }
}

impl ListenerWithDone<'_> {
    pub(crate) fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let inner = &self.listener.inner;
        let (stream, from) = drive(
            inner.as_raw_fd(),
            libc::POLLIN,
            &self.listener.deadline,
            Some(self.done),
            || inner.accept(),
        )?;
        Ok((TcpStream::new(stream)?, from))
    }
}

pub(crate) struct TcpStream {
    inner: net::TcpStream,
    read: Deadline,
    write: Deadline,
}

pub(crate) struct WithDone<'a> {
    stream: &'a TcpStream,
    done: &'a Receiver<()>,
}

impl TcpStream {
    fn new(inner: net::TcpStream) -> io::Result<TcpStream> {
        inner.set_nonblocking(true)?;
        Ok(TcpStream {
            inner,
            read: Mutex::new(None),
            write: Mutex::new(None),
        })
    }

    pub(crate) fn connect_timeout(address: &SocketAddr, limit: Duration) -> io::Result<TcpStream> {
        TcpStream::new(blocking(|| {
            net::TcpStream::connect_timeout(address, limit)
        })?)
    }

    pub(crate) fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.inner.set_nodelay(on)
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.inner.shutdown(how)
    }

    pub(crate) fn set_read_deadline(&self, at: Option<Instant>) -> io::Result<()> {
        *self.read.lock().unwrap() = at;
        Ok(())
    }

    pub(crate) fn set_write_deadline(&self, at: Option<Instant>) -> io::Result<()> {
        *self.write.lock().unwrap() = at;
        Ok(())
    }

    pub(crate) fn set_deadline(&self, at: Option<Instant>) -> io::Result<()> {
        self.set_read_deadline(at)?;
        self.set_write_deadline(at)
    }

    pub(crate) fn with_done<'a>(&'a self, done: &'a Receiver<()>) -> WithDone<'a> {
        WithDone { stream: self, done }
    }

    fn read_until(&self, buf: &mut [u8], done: Option<&Receiver<()>>) -> io::Result<usize> {
        let fd = self.inner.as_raw_fd();
        drive(fd, libc::POLLIN, &self.read, done, || {
            (&self.inner).read(buf)
        })
    }

    fn write_until(&self, buf: &[u8], done: Option<&Receiver<()>>) -> io::Result<usize> {
        let fd = self.inner.as_raw_fd();
        drive(fd, libc::POLLOUT, &self.write, done, || {
            (&self.inner).write(buf)
        })
    }
}

impl Read for &TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_until(buf, None)
    }
}

impl Write for &TcpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_until(buf, None)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for WithDone<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.read_until(buf, Some(self.done))
    }
}

impl Write for WithDone<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.write_until(buf, Some(self.done))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
