//! Directions: a function that gets one end of a channel can use it in one direction only.
//!
//! Go: `chan<- T` and `<-chan T` are narrowed from `chan T`. Here `Sender<T>` and `Receiver<T>` are
//! two types from the start, and a function that owns an end drops it when it returns, without a
//! `defer close(ch)`.

use go_runtime::channel::{self, Receiver, Sender};
use go_runtime::go;

/// Can only send. (`drafts.recv()` would not compile.)
fn write(drafts: Sender<String>) {
    for animal in ["heron", "otter"] {
        if drafts.send(format!("the {animal} sleeps")).is_err() {
            return; // The receiver is gone.
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

    // When `write` returns, `edit` does, and then this loop ends.
    for page in pages {
        println!("{page}");
    }
}
