//! Directions: a function that is handed one end of a channel can use it one way only.
//!
//! Go: `chan<- T` and `<-chan T` are narrowed from `chan T`. Here `Sender<T>` and `Receiver<T>` are
//! two types from the start, and what is moved into a function is closed by its end, without a
//! `defer close(ch)`.

use go_runtime::channel::{self, Receiver, Sender};
use go_runtime::go;

/// Can only send. (`drafts.recv()` would not compile.)
fn write(drafts: Sender<String>) {
    for animal in ["heron", "otter"] {
        if drafts.send(format!("the {animal} sleeps")).is_err() {
            return; // Nobody reads.
        }
    }
}

/// Takes from one channel and gives to the other.
fn edit(drafts: Receiver<String>, pages: Sender<String>) {
    for draft in drafts {
        if pages.send(draft + ".").is_err() {
            return;
        }
    }
}

#[go_runtime::main]
fn main() {
    let (draft, drafts) = channel::bounded(0);
    let (page, pages) = channel::bounded(0);
    go!(write(draft));
    go!(edit(drafts, page));

    // `write` ends, so `edit` does, and so does this loop.
    for page in pages {
        println!("{page}");
    }
}
