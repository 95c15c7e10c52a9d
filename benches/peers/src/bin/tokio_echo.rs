//! The echo server on tokio, and its client: `serve ADDR BUFFER` or `pairs CONNECTIONS SECONDS`, as
//! `src/bin/echo` has them. As many workers as `GOMAXPROCS` says.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bench_peers::latency::Latencies;
use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const MESSAGE: usize = 64;
const WARM_UP: Duration = Duration::from_secs(1);

async fn serve(listener: TcpListener, buffer: usize) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        // Go's default.
        stream.set_nodelay(true)?;
        tokio::spawn(echo(stream, buffer));
    }
}

async fn echo(mut stream: TcpStream, buffer: usize) -> io::Result<()> {
    let mut buffer = vec![0; buffer];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n]).await?,
        }
    }
}

/// Server and clients in one process and one runtime.
async fn pairs(connections: usize, seconds: u64) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(serve(listener, 4096));
    let (measuring, stopping) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut clients = Vec::new();
    for _ in 0..connections {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (measuring, stopping) = (measuring.clone(), stopping.clone());
        clients.push(tokio::spawn(async move {
            let mut latencies = Latencies::default();
            let mut message = [b'x'; MESSAGE];
            while !stopping.load(Relaxed) {
                let sent = Instant::now();
                stream.write_all(&message).await?;
                stream.read_exact(&mut message).await?;
                if measuring.load(Relaxed) {
                    latencies.add(sent.elapsed());
                }
            }
            io::Result::Ok(latencies)
        }));
    }
    tokio::time::sleep(WARM_UP).await;
    let start = Instant::now();
    measuring.store(true, Relaxed);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    stopping.store(true, Relaxed);
    let wall = start.elapsed();
    let mut all = Latencies::default();
    for client in clients {
        all.extend(client.await??);
    }
    println!("{}", all.figures(wall).map_err(io::Error::other)?);
    Ok(())
}

async fn run(args: Vec<String>) -> io::Result<()> {
    let number = |text: &str| text.parse::<usize>().map_err(io::Error::other);
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address, buffer] => {
            let buffer = number(buffer)?;
            let listener = TcpListener::bind(address).await?;
            println!("listening on {}", listener.local_addr()?);
            serve(listener, buffer).await
        }
        ["pairs", connections, seconds] => {
            pairs(number(connections)?, number(seconds)? as u64).await
        }
        _ => Err(io::Error::other(
            "usage: serve ADDR BUFFER | pairs CONNECTIONS SECONDS",
        )),
    }
}

fn main() -> io::Result<()> {
    let workers = env::var("GOMAXPROCS").ok().and_then(|n| n.parse().ok());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers.unwrap_or(2))
        .enable_all()
        .build()?;
    // The acceptor is a task on a worker, as it is a goroutine in Go.
    runtime.block_on(async { tokio::spawn(run(env::args().skip(1).collect())).await? })
}
