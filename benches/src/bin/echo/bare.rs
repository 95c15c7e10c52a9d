//! The server without a runtime: as many threads as the others have workers (and one that accepts),
//! each with a poller of its own, and nothing but the system calls that an echo takes. What it
//! takes of the CPU is what the system takes; a server that is not slower is bound by that.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use go_benches::check;
use go_runtime::gomaxprocs;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::BUFFER;

const WAKE: Token = Token(usize::MAX);

pub(crate) fn serve(address: SocketAddr) -> Result<(), String> {
    accept_all(address).map_err(|error| error.to_string())
}

fn accept_all(address: SocketAddr) -> io::Result<()> {
    let mut threads = Vec::new();
    for _ in 0..gomaxprocs() {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (sender, new) = mpsc::channel();
        threads.push((sender, waker));
        // They end with the process.
        thread::spawn(move || echo_all(poll, &new));
    }
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    for (sender, waker) in threads.iter().cycle() {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let sent = sender.send(TcpStream::from_std(stream));
        sent.map_err(io::Error::other)?;
        waker.wake()?;
    }
    Ok(())
}

fn echo_all(mut poll: Poll, new: &Receiver<TcpStream>) {
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let mut events = Events::with_capacity(256);
    let mut buffer = [0; BUFFER];
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => check(result.is_ok(), "epoll_wait"),
        }
        for event in &events {
            if event.token() == WAKE {
                for mut stream in new.try_iter() {
                    let token = Token(streams.len());
                    let registered =
                        poll.registry()
                            .register(&mut stream, token, Interest::READABLE);
                    check(registered.is_ok(), "epoll_ctl");
                    streams.push(Some(stream));
                }
            } else if let Some(stream) = &mut streams[event.token().0]
                && !echo(stream, &mut buffer)
            {
                streams[event.token().0] = None;
            }
        }
    }
}

/// All that has come; `false`: that was the end.
fn echo(stream: &mut TcpStream, buffer: &mut [u8]) -> bool {
    loop {
        match stream.read(buffer) {
            Ok(n @ 1..) => {
                // What comes back is never more than one message, for which there is room.
                if stream.write_all(&buffer[..n]).is_err() {
                    return false;
                }
                if n < buffer.len() {
                    return true;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => return false,
        }
    }
}
