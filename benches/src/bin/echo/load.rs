//! The client, the same program for every server: one thread, which waits for all connections at
//! once (epoll). On each it sends a message, waits until all of it has come back, and sends the
//! next.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use go_benches::latency::Latencies;
use go_benches::{rusage, servers};
use mio::{Events, Interest, Poll, Token, net};

use crate::{MESSAGE, WARM_UP};

struct Connection {
    stream: net::TcpStream,
    received: usize,
    sent: Instant,
}

impl Connection {
    fn send(&mut self) -> Result<(), String> {
        self.sent = Instant::now();
        match self.stream.write(&[b'x'; MESSAGE]) {
            Ok(MESSAGE) => Ok(()),
            // The socket's buffer always has room for the one message.
            Ok(n) => Err(format!("only {n} bytes of a message were sent")),
            Err(error) => Err(format!("send: {error}")),
        }
    }

    /// Reads everything that has arrived. When a message is complete, sends the next one.
    fn receive(&mut self, mut done: impl FnMut(Duration)) -> Result<(), String> {
        let mut buffer = [0; 256];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(n) => self.received += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(format!("receive: {error}")),
            }
            if self.received > MESSAGE {
                return Err("more came back than was sent".into());
            }
            if self.received == MESSAGE {
                self.received = 0;
                done(self.sent.elapsed());
                self.send()?;
            }
        }
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(address).and_then(|stream| {
        stream.set_nodelay(true)?;
        Ok(stream)
    });
    stream.map_err(|error| format!("connect: {error}"))
}

/// Loads the server `process`, and prints the results and the CPU time of client and server.
pub(crate) fn run(
    address: SocketAddr,
    connections: usize,
    seconds: usize,
    process: u32,
) -> Result<(), String> {
    let failed = |error: io::Error| format!("poll: {error}");
    let mut poll = Poll::new().map_err(failed)?;
    let mut all = Vec::with_capacity(connections);
    for i in 0..connections {
        let stream = connect(address)?;
        stream.set_nonblocking(true).map_err(failed)?;
        let mut stream = net::TcpStream::from_std(stream);
        let registry = poll.registry();
        registry
            .register(&mut stream, Token(i), Interest::READABLE)
            .map_err(failed)?;
        all.push(Connection {
            stream,
            received: 0,
            sent: Instant::now(),
        });
    }
    all.iter_mut().try_for_each(Connection::send)?;

    let mut events = Events::with_capacity(512);
    let mut serve = |until: Instant, latencies: &mut Latencies| {
        while Instant::now() < until {
            match poll.poll(&mut events, Some(Duration::from_millis(100))) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result.map_err(failed)?,
            }
            for event in &events {
                all[event.token().0].receive(|time| latencies.add(time))?;
            }
        }
        Ok::<_, String>(())
    };
    serve(Instant::now() + WARM_UP, &mut Latencies::default())?;
    let mut latencies = Latencies::with_capacity(500_000 * seconds);
    let (start, own, its) = (Instant::now(), rusage().0, servers::cpu_ms(process)?);
    serve(start + Duration::from_secs(seconds as u64), &mut latencies)?;
    let wall = start.elapsed();
    println!("server_cpu_ms {:.0}", servers::cpu_ms(process)? - its);
    println!("client_cpu_ms {:.0}", rusage().0 - own);
    println!("{}", latencies.figures(wall)?);
    Ok(())
}

/// Makes `n` connections, has one message echoed on each, and leaves them idle. Prints when all are
/// idle, keeps the connections until the end of its input, and then closes them.
pub(crate) fn idle(address: SocketAddr, n: usize) -> Result<(), String> {
    let mut all = Vec::with_capacity(n);
    for i in 0..n {
        let mut stream = connect(address).map_err(|error| format!("connection {i}: {error}"))?;
        let mut message = [b'x'; MESSAGE];
        stream
            .write_all(&message)
            .and_then(|()| stream.read_exact(&mut message))
            .map_err(|error| format!("connection {i}: {error}"))?;
        all.push(stream);
    }
    // Gives the servers time for what they still do after the last answer.
    thread::sleep(Duration::from_millis(500));
    println!("idle {n}");
    io::copy(&mut io::stdin(), &mut io::sink()).map_err(|error| error.to_string())?;
    Ok(())
}
