//! The client, the same for every server: one thread, which waits for all connections at once
//! (epoll). On each it sends a message, waits until all of it has come back, and sends the next.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use go_benches::cpu_ms;
use go_benches::figures::Figures;
use go_benches::servers::Server;
use mio::{Events, Interest, Poll, Token, net};

use crate::MESSAGE;

const WARM_UP: Duration = Duration::from_secs(1);

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

    /// Reads everything that has arrived. When a message is complete, adds its time to `times`, and
    /// sends the next one.
    fn receive(&mut self, times: &mut Vec<u32>) -> Result<(), String> {
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
                let ns = self.sent.elapsed().as_nanos();
                times.push(u32::try_from(ns).unwrap_or(u32::MAX));
                self.send()?;
            }
        }
    }
}

fn connect(server: &Server) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(&server.address).and_then(|stream| {
        stream.set_nodelay(true)?;
        Ok(stream)
    });
    stream.map_err(|error| format!("connect: {error}"))
}

/// Loads the server. Returns the rate, the latencies, and what client and server have used.
pub(crate) fn load(server: &Server, connections: usize, seconds: usize) -> Result<Figures, String> {
    let failed = |error: io::Error| format!("poll: {error}");
    let mut poll = Poll::new().map_err(failed)?;
    let mut all = Vec::with_capacity(connections);
    for i in 0..connections {
        let stream = connect(server)?;
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
    let mut serve = |until: Instant, times: &mut Vec<u32>| {
        while Instant::now() < until {
            match poll.poll(&mut events, Some(Duration::from_millis(100))) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result.map_err(failed)?,
            }
            for event in &events {
                all[event.token().0].receive(times)?;
            }
        }
        Ok::<_, String>(())
    };
    serve(Instant::now() + WARM_UP, &mut Vec::new())?;
    // Since there are millions of times, each takes four bytes, which is enough for 4.3 s. There is
    // room for all, so that growing does not disturb the measurement.
    let mut times = Vec::with_capacity(500_000 * seconds);
    let (start, own, its) = (Instant::now(), cpu_ms(), server.cpu_ms()?);
    serve(start + Duration::from_secs(seconds as u64), &mut times)?;
    let wall = start.elapsed();
    let (own, its) = (cpu_ms() - own, server.cpu_ms()? - its);
    if times.is_empty() {
        return Err("no request was answered".into());
    }
    times.sort_unstable();
    let requests = times.len() as f64;
    let at = |percent: usize| f64::from(times[times.len() * percent / 100]) / 1e3;
    let mut figures = Figures::default();
    figures.set("requests_per_s", requests / wall.as_secs_f64());
    figures.set("p50_us", at(50));
    figures.set("p99_us", at(99));
    figures.set("server_cpu_us", its * 1e3 / requests);
    figures.set("client_cpu_us", own * 1e3 / requests);
    figures.set("resident_mb", server.resident()? / 1e6);
    Ok(figures)
}

/// Makes `n` connections, has one message echoed on each, and leaves them idle.
pub(crate) fn idle(server: &Server, n: usize) -> Result<Vec<TcpStream>, String> {
    let mut all = Vec::with_capacity(n);
    for i in 0..n {
        let failed = |error: io::Error| format!("connection {i}: {error}");
        let mut stream = connect(server).map_err(|error| format!("connection {i}: {error}"))?;
        let mut message = [b'x'; MESSAGE];
        stream.write_all(&message).map_err(failed)?;
        stream.read_exact(&mut message).map_err(failed)?;
        all.push(stream);
    }
    // Gives the servers time for what they still do after the last answer.
    thread::sleep(Duration::from_millis(500));
    Ok(all)
}
