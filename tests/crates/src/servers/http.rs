//! An HTTP server on plain threads. The path of a request determines how long its answer takes:
//! `/ms/100` for 100 ms, or `/gate/7` until a gate is opened.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::gate::Gate;

/// The body of each answer.
pub const BODY: &str = "hello, gopher";

/// The gates that requests wait for, by number.
#[derive(Clone, Debug, Default)]
pub struct Gates(Arc<Mutex<HashMap<u64, Arc<Gate>>>>);

impl Gates {
    /// Returns the gate with this number.
    pub fn get(&self, number: u64) -> Arc<Gate> {
        Arc::clone(self.0.lock().unwrap().entry(number).or_default())
    }
}

/// Starts the server, which runs until the process ends.
///
/// # Errors
/// Returns an error if no port is free.
pub fn start(gates: Gates) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let gates = gates.clone();
            // An error ends only this connection; its client reports it.
            thread::spawn(move || drop(serve(&stream, &gates)));
        }
    });
    Ok(address)
}

fn serve(stream: &TcpStream, gates: &Gates) -> io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    while let Some(request) = lines.next().transpose()? {
        while lines
            .next()
            .transpose()?
            .is_some_and(|header| !header.is_empty())
        {}
        let path = request.split(' ').nth(1).unwrap_or_default();
        match path.rsplit_once('/') {
            Some(("/ms", ms)) => {
                thread::sleep(Duration::from_millis(ms.parse().unwrap_or_default()));
            }
            Some(("/gate", number)) => gates.get(number.parse().unwrap_or_default()).wait(),
            _ => {}
        }
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{BODY}",
            BODY.len()
        );
        (&*stream).write_all(answer.as_bytes())?;
    }
    Ok(())
}
