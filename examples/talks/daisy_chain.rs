//! A daisy chain: 100,000 goroutines in a row, each of which forwards its neighbor's number plus
//! one.
//!
//! Go: the same; each waiting goroutine has a stack of 2 KiB. Here each goroutine has touched one
//! page of its stack, 4 KiB, so the chain takes about 450 MB (built with `--release`; other builds
//! have larger frames), and less if a link starts only when its message is there.

use go_runtime::channel::{self, Receiver, RecvError, SendError, Sender};
use go_runtime::go;

const LINKS: u64 = 100_000;

fn link(from: Receiver<u64>, to: Sender<u64>) -> Result<(), SendError<u64>> {
    match from.recv() {
        Ok(whispers) => to.send(whispers + 1),
        Err(RecvError) => Ok(()), // A chain that has lost its end ends link by link.
    }
}

#[go_runtime::main]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (leftmost, out) = channel::bounded(0);
    let mut left = leftmost;
    for _ in 0..LINKS {
        let (right, from) = channel::bounded(0);
        go!(link(from, left));
        left = right;
    }
    left.send(0)?;
    println!("whispered on {} times", out.recv()?);
    Ok(())
}
