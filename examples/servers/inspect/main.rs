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
use go_runtime::channel::{self, Receiver, Sender};
use go_runtime::signal::{self, SIGINT, SIGTERM};
use go_runtime::sync::{Mutex, WaitGroup};
use go_runtime::{Builder, debug, go, time};

const USAGE: &str = "usage: inspect [ADDRESS]
Serves a page at the address (127.0.0.1:6060) that shows what is wrong with this program.";

const WAITING: usize = 10_000;
const SITES: [&str; 3] = [
    "https://a.example/",
    "https://b.example/",
    "https://c.example/",
];
/// Number of goroutines that crawl a site.
const CRAWLERS: usize = 2;

const LOOK_FOR: &str = "
Open the page in a browser. It shows, within some seconds:
  1. ten thousand goroutines that wait for news, in one line of the table;
  2. a deadlock: `pays` and `collects` each wait for the lock that the other one has;
  3. goroutines that have leaked: each `crawler` waits for work that only crawlers could send
     (found on Linux with glibc; in release builds more surely than in others);
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

/// Starts a crawl of each site.
fn leak() {
    for site in SITES {
        go!(name = "crawl"; move || start_crawlers(site));
    }
}

/// Starts goroutines that fetch pages, and the pages that those link to. Each has a receiver of the
/// addresses and, for the links that it finds, a sender: so the channel is never closed, and when
/// all pages have been fetched, all of them wait for ever.
fn start_crawlers(site: &str) {
    let (found, addresses) = channel::unbounded::<String>();
    found.send(site.to_owned()).unwrap();
    for _ in 0..CRAWLERS {
        let (found, addresses) = (found.clone(), addresses.clone());
        go!(name = "crawler"; move || crawl(&addresses, &found));
    }
}

fn crawl(addresses: &Receiver<String>, found: &Sender<String>) {
    for address in addresses {
        for link in links_of(&address) {
            let _ = found.send(link);
        }
    }
}

/// The links of a page: here the first page has three, and the others have none.
fn links_of(address: &str) -> Vec<String> {
    match address.ends_with('/') {
        true => (1..=3).map(|n| format!("{address}page{n}")).collect(),
        false => Vec::new(),
    }
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
