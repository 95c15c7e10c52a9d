//! The server on ours, a goroutine for each connection; and the same with its clients in one process.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use go_benches::latency::Latencies;
use go_benches::tally;
use go_runtime::sync::WaitGroup;
use go_runtime::{go, gomaxprocs, time};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{BUFFER, MESSAGE, WARM_UP};

fn text(error: io::Error) -> String {
    error.to_string()
}

fn accept_all(listener: TcpListener, serve: impl Fn(TcpStream) + Copy + Send + 'static) {
    for stream in listener.incoming() {
        match stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
            Ok(stream) => drop(go!(move { serve(stream) })),
            // A connection that was reset before it was accepted.
            Err(error) => eprintln!("accept: {error}"),
        }
    }
}

/// Until the peer closes, or the connection breaks.
fn echo(mut stream: TcpStream, buffer: usize) {
    let mut buffer = vec![0; buffer];
    while let Ok(n) = stream.read(&mut buffer)
        && n > 0
        && stream.write_all(&buffer[..n]).is_ok()
    {}
}

pub(crate) fn serve(address: SocketAddr, buffer: usize) -> Result<(), String> {
    let server = go!(move {
        let listener = TcpListener::bind(address).map_err(text)?;
        println!("listening on {}", listener.local_addr().map_err(text)?);
        accept_all(listener, move |stream| echo(stream, buffer));
        Ok(())
    });
    server.join().map_err(|_| "the server panicked")?
}

/// As `serve`, with one listener or as many as workers, and a line on each connection's end: which connections are each worker's, and
/// how many requests it has answered.
pub(crate) fn spread(address: SocketAddr, listeners: Listeners) -> Result<(), String> {
    static OPEN: AtomicUsize = AtomicUsize::new(0);
    static HOMES: [AtomicUsize; MOST_WORKERS] = [const { AtomicUsize::new(0) }; MOST_WORKERS];

    fn counted(mut stream: TcpStream) {
        OPEN.fetch_add(1, Relaxed);
        HOMES[tally::thread()].fetch_add(1, Relaxed);
        let mut buffer = vec![0; BUFFER];
        while let Ok(n) = stream.read(&mut buffer)
            && n > 0
            && stream.write_all(&buffer[..n]).is_ok()
        {
            tally::add(1);
        }
        if OPEN.fetch_sub(1, Relaxed) == 1 {
            let homes = HOMES.iter().map(|home| home.load(Relaxed));
            for (worker, (home, requests)) in homes.zip(tally::each()).enumerate() {
                println!("connections_{worker} {home}");
                println!("work_{worker} {requests}");
            }
            println!("all closed");
        }
    }

    let all = go!(move {
        let n = match listeners {
            Listeners::One => 1,
            Listeners::EachWorker => gomaxprocs(),
        };
        let first = shared_port(address)?;
        let address = first.local_addr().map_err(text)?;
        let mut all = vec![first];
        for _ in 1..n {
            all.push(shared_port(address)?);
        }
        println!("listening on {address}");
        let group = WaitGroup::new();
        for listener in all {
            drop(group.go(move || accept_all(listener, counted)));
        }
        group.wait();
        Ok(())
    });
    all.join().map_err(|_| "the server panicked")?
}
