//! The server on this runtime: a goroutine for each connection.

use std::io::{self, Read, Write};

use go_benches::check;
use go_runtime::go;
use go_runtime::net::{TcpListener, TcpStream};

pub(crate) fn serve(address: &str, buffer: usize) -> Result<(), String> {
    let address = address.to_string();
    let served = go!({ accept_all(&address, buffer) }).join();
    let served = served.map_err(|_| "the goroutine panicked")?;
    served.map_err(|error| error.to_string())
}

fn accept_all(address: &str, buffer: usize) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream.and_then(|stream| {
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        match stream {
            Ok(stream) => drop(go!(echo(stream, buffer))),
            // A missing connection would change the figures, so the client must notice it.
            Err(error) => check(false, &format!("accept: {error}")),
        }
    }
    Ok(())
}

/// Echoes until the peer closes, or the connection breaks.
fn echo(mut stream: TcpStream, buffer: usize) {
    let mut buffer = vec![0; buffer];
    while let Ok(n @ 1..) = stream.read(&mut buffer)
        && stream.write_all(&buffer[..n]).is_ok()
    {}
}
