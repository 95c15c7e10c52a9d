//! The server on ours, a goroutine for each connection; and the same with its clients in one
//! process.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use go_benches::latency::Latencies;
use go_benches::{check, tally};
use go_runtime::net::{TcpListener, TcpStream};
use go_runtime::sync::WaitGroup;
use go_runtime::{go, gomaxprocs, time};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{BUFFER, MESSAGE, WARM_UP};

/// The runtime takes no more.
const MOST_WORKERS: usize = 1024;
/// Waiting connections of a listener.
const BACKLOG: i32 = 4096;

pub(crate) fn serve(address: SocketAddr, buffer: usize) -> Result<(), String> {
    in_goroutine(move || {
        let listener = TcpListener::bind(address)?;
        println!("listening on {}", listener.local_addr()?);
        accept_all(listener, move |stream| echo(stream, buffer));
        Ok(())
    })
}

/// Server and clients in one process.
pub(crate) fn pairs(connections: usize, seconds: usize) -> Result<(), String> {
    in_goroutine(move || {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        drop(go!({
            accept_all(listener, |stream| echo(stream, BUFFER));
        }));
        let (measuring, stopping) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let mut clients = Vec::new();
        for _ in 0..connections {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            clients.push(go!(clone(measuring, stopping) {
                let mut latencies = Latencies::default();
                let mut message = [b'x'; MESSAGE];
                while !stopping.load(Relaxed) {
                    let sent = Instant::now();
                    stream.write_all(&message)?;
                    stream.read_exact(&mut message)?;
                    if measuring.load(Relaxed) {
                        latencies.add(sent.elapsed());
                    }
                }
                io::Result::Ok(latencies)
            }));
        }
        time::sleep(WARM_UP);
        let start = Instant::now();
        measuring.store(true, Relaxed);
        time::sleep(Duration::from_secs(seconds as u64));
        stopping.store(true, Relaxed);
        let wall = start.elapsed();
        let mut all = Latencies::default();
        for client in clients {
            let latencies = client.join();
            all.extend(latencies.map_err(|_| io::Error::other("a client panicked"))??);
        }
        println!("{}", all.figures(wall).map_err(io::Error::other)?);
        Ok(())
    })
}

/// As `serve`, with as many listeners on one port. When all connections have ended it prints how
/// many were each worker's, and how many requests that has answered: a goroutine never changes its
/// worker.
pub(crate) fn spread(address: SocketAddr, listeners: Listeners) -> Result<(), String> {
    in_goroutine(move || {
        let first = shared_port(address)?;
        let address = first.local_addr()?;
        let mut all = vec![first];
        if let Listeners::OnePerWorker = listeners {
            for _ in 1..gomaxprocs() {
                all.push(shared_port(address)?);
            }
        }
        println!("listening on {address}");
        let group = WaitGroup::new();
        for listener in all {
            drop(group.go(move || accept_all(listener, counted)));
        }
        group.wait();
        Ok(())
    })
}

#[derive(Clone, Copy)]
pub(crate) enum Listeners {
    One,
    OnePerWorker,
}

fn in_goroutine(run: impl FnOnce() -> io::Result<()> + Send + 'static) -> Result<(), String> {
    let result = go!({ run() }).join();
    result
        .map_err(|_| "the goroutine panicked")?
        .map_err(|error| error.to_string())
}

fn accept_all(listener: TcpListener, serve: impl Fn(TcpStream) + Copy + Send + 'static) {
    for stream in listener.incoming() {
        let stream = stream.and_then(|stream| {
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        match stream {
            Ok(stream) => drop(go!(serve(stream))),
            // Without that connection the figures were others: the client is to notice.
            Err(error) => check(false, &format!("accept: {error}")),
        }
    }
}

fn echo(stream: TcpStream, buffer: usize) {
    echo_each(stream, buffer, || {});
}

/// Until the peer closes, or the connection breaks.
fn echo_each(mut stream: TcpStream, buffer: usize, mut answered: impl FnMut()) {
    let mut buffer = vec![0; buffer];
    while let Ok(n @ 1..) = stream.read(&mut buffer)
        && stream.write_all(&buffer[..n]).is_ok()
    {
        answered();
    }
}

fn counted(stream: TcpStream) {
    static OPEN: AtomicUsize = AtomicUsize::new(0);
    static CONNECTIONS: [AtomicUsize; MOST_WORKERS] = [const { AtomicUsize::new(0) }; MOST_WORKERS];

    OPEN.fetch_add(1, Relaxed);
    CONNECTIONS[tally::thread()].fetch_add(1, Relaxed);
    echo_each(stream, BUFFER, || tally::add(1));
    if OPEN.fetch_sub(1, Relaxed) == 1 {
        let connections = CONNECTIONS.iter().map(|n| n.load(Relaxed));
        for (worker, (connections, requests)) in connections.zip(tally::each()).enumerate() {
            println!("connections_{worker} {connections}");
            println!("work_{worker} {requests}");
        }
        println!("all closed");
    }
}

fn shared_port(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(std::net::TcpListener::from(socket).into())
}
