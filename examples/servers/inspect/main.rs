//! A program that misbehaves on purpose, to be looked at in a browser: `debug::serve` shows what is
//! wrong with it. Run it, open the page that it names, and look for what it tells you to.
//!
//! `main` is no goroutine here: a goroutine would share its worker with others, among them the one
//! that never lets go.

use std::hint;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use go_example_servers::server::{Args, Refused};
use go_runtime::channel::{self, Receiver};
use go_runtime::signal::{self, SIGINT, SIGTERM};
use go_runtime::sync::{Mutex, WaitGroup};
use go_runtime::{Builder, debug, go, time};

const USAGE: &str = "usage: inspect [ADDRESS]
Serves a page at the address (127.0.0.1:6060) that shows what is wrong with this program.";

const WAITING: usize = 10_000;

const LOOK_FOR: &str = "
Open the page in a browser. It shows, within two seconds or so:
  1. ten thousand goroutines that wait for news, in one line of the table;
  2. a deadlock: `pays` and `collects` each wait for the lock that the other one has;
  3. a goroutine that has leaked: `forgotten` waits for a message that only itself could send
     (in the line of its spawn site, and in red where the runtime searches for leaks);
  4. a worker that is held: `hog` computes without end, and its lane stays red.
The goroutine named <script> is harmless: the page shows names as text. Nothing is wrong with
`client` and `server`, whose work you see in the lanes. Ctrl-C ends the program.";

fn main() -> ExitCode {
    match Args::new(&[]).and_then(|args| run(args.address().unwrap_or("127.0.0.1:6060"))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refused) => refused.exit("inspect", USAGE),
    }
}

fn run(address: &str) -> Result<(), Refused> {
    let signals = signal::notify(&[SIGINT, SIGTERM]).map_err(|error| error.to_string())?;
    let address = debug::serve(address).map_err(|error| format!("{address}: {error}"))?;
    println!("listening on {address}");
    println!("{LOOK_FOR}");

    let (_news, none_yet) = channel::bounded(0);
    wait_for_news(&none_yet).map_err(|error| error.to_string())?;
    deadlock();
    leak();
    work();
    hog();

    // Until Ctrl-C, for which this thread waits: no worker has to be free for it.
    let _ = signals.recv();
    Ok(())
}

/// Starts goroutines that wait for what does not come. The name of one looks like markup.
fn wait_for_news(news: &Receiver<()>) -> io::Result<()> {
    for n in 0..WAITING {
        let builder = match n {
            0 => Builder::new().name("<script>alert(1)</script>"),
            _ => Builder::new(),
        };
        let news = news.clone();
        drop(builder.spawn(move || news.recv())?);
    }
    Ok(())
}

/// Starts two goroutines that lock two mutexes, each in another order.
fn deadlock() {
    let accounts = Arc::new([Mutex::new(100), Mutex::new(100)]);
    let both = WaitGroup::new();
    both.add(2);
    for (name, first) in [("pays", 0), ("collects", 1)] {
        let (accounts, both) = (Arc::clone(&accounts), both.clone());
        go!(name = name; move || {
            let mut from = accounts[first].lock().unwrap();
            both.done();
            both.wait();
            let mut to = accounts[1 - first].lock().unwrap();
            *from -= 10;
            *to += 10;
        });
    }
}

/// Starts a goroutine that waits for a message of which it has the only sender.
fn leak() {
    let (sender, messages) = channel::bounded::<()>(0);
    go!(name = "forgotten"; {
        // The program meant to move the sender to another goroutine.
        let _sender = sender;
        let _ = messages.recv();
    });
}

/// Starts goroutines with which nothing is wrong: a client and its server, with some work.
fn work() {
    let (requests, rx) = channel::bounded(16);
    go!(name = "client"; {
        loop {
            let _ = requests.send(());
            time::sleep(Duration::from_millis(20));
        }
    });
    go!(name = "server"; {
        for () in rx {
            compute(100_000);
        }
    });
}

/// Starts a goroutine that computes without end, and so holds its worker.
fn hog() {
    go!(name = "hog"; {
        loop {
            compute(100_000);
        }
    });
}

fn compute(steps: u64) {
    let sum = (0..steps).fold(0_u64, |sum, n| sum.rotate_left(5) ^ hint::black_box(n));
    hint::black_box(sum);
}
