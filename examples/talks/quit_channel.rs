//! A quit channel with an answer: the goroutine is told to end, cleans up, and reports what it has
//! done.
//!
//! Go: a `quit chan string` that is used in both directions. Here the request carries the sender
//! for its answer, so the two directions cannot be mixed up. For a goroutine that only has to end,
//! dropping the sender of a done channel and `join` are shorter.

use go_runtime::channel::{self, Receiver, Sender};
use go_runtime::{go, select};

struct Quit {
    answer: Sender<String>,
}

/// Sends numbered pages, until it gets a request to stop.
fn print_pages(pages: Sender<u32>, quit: Receiver<Quit>) {
    let mut page = 1;
    let request = loop {
        select! {
            send(pages, page) -> _ => page += 1,
            recv(quit) -> request => break request,
        }
    };
    // A real program would flush files and close connections here.
    if let Ok(Quit { answer }) = request {
        let _ = answer.send(format!("the press is clean after {} pages", page - 1));
    }
}

#[go_runtime::main]
fn main() {
    let (page, pages) = channel::bounded(0);
    let (quit, quits) = channel::bounded(0);
    go!(print_pages(page, quits));

    for page in pages.iter().take(4) {
        println!("page {page}");
    }

    let (answer, last_words) = channel::bounded(1);
    quit.send(Quit { answer }).unwrap();
    println!("{}", last_words.recv().unwrap());
}
