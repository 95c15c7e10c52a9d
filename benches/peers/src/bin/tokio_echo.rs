//! The echo server on tokio: `serve ADDR BUFFER`. `GOMAXPROCS` sets the number of workers.

use std::env;

use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn serve(address: String, buffer: usize) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
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

fn main() -> io::Result<()> {
    let mut args = env::args().skip(2);
    let (address, buffer) = (args.next(), args.next().and_then(|n| n.parse().ok()));
    let (Some(address), Some(buffer)) = (address, buffer) else {
        return Err(io::Error::other("usage: serve ADDR BUFFER"));
    };
    bench_peers::on_worker(serve(address, buffer))
}
