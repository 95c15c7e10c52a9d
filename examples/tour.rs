//! A tour of goroutines in Rust, one feature after the other: `cargo run --release --example tour`

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use go_runtime::channel::{after, bounded, unbounded};
use go_runtime::sync::WaitGroup;
use go_runtime::{go, golang, gomaxprocs, num_goroutine, select, select_biased};

fn heading(text: &str) {
    println!("\n== {text}");
}

fn add(a: i32, b: i32) -> i32 {
    a + b
}

#[go_runtime::main]
fn main() {
    println!("{} workers, {} goroutine", gomaxprocs(), num_goroutine());

    heading("go!: a block, a call, a closure");
    let block = go! {
        let squares = (1..=3).map(|i| i * i);
        squares.sum::<i32>()
    };
    let call = go!(add(20, 22));
    let closure = go!(move || "from a closure");
    println!("{:?} {:?} {:?}", block.join(), call.join(), closure.join());

    heading("a name, a stack of its own size, and a panic that ends one goroutine only");
    let failed = go!(name = "unlucky", stack_size = 1 << 20; { panic!("no luck") });
    println!("joined, it was an error: {}", failed.join().is_err());

    heading("go!(local; ...): on the caller's worker, so nothing need be Send");
    let count = Rc::new(Cell::new(0));
    let same = Rc::clone(&count);
    go!(local; { same.set(7) })
        .join()
        .expect("it does not panic");
    println!("the Rc says {}", count.get());

    heading("channels: a rendezvous, and a range over it until it is closed");
    let (tx, rx) = bounded(0);
    drop(go! {
        for word in ["hello", "from", "a", "goroutine"] {
            tx.send(word).expect("the receiver is there");
        }
    });
    println!("{}", rx.iter().collect::<Vec<_>>().join(" "));

    heading("select!, with crossbeam's arms and with Go's arrows");
    let (numbers, incoming) = unbounded();
    let (outgoing, results) = bounded(1);
    numbers.send(5).expect("the receiver is there");
    select! {
        recv(incoming) -> n => println!("received {n:?}"),
        default(Duration::from_secs(1)) => println!("nothing for a second"),
    }
    select! {
        n = <-incoming => println!("received {n:?}"),
        outgoing <- 6 => println!("sent 6: {:?}", results.recv()),
    }
    select_biased! {
        recv(incoming) -> n => println!("received {n:?}"),
        recv(after(Duration::from_millis(5))) -> _ => println!("5 ms have passed"),
    }

    heading("the done channel: one drop releases 10,000 goroutines");
    let (stop, done) = bounded::<()>(0);
    let group = Arc::new(WaitGroup::new());
    group.add(10_000);
    for _ in 0..10_000 {
        drop(go!(clone(done, incoming, group) {
            select! {
                recv(done) -> _ => {}
                recv(incoming) -> n => println!("unexpected: {n:?}"),
            }
            group.done();
        }));
    }
    println!("{} goroutines", num_goroutine());
    drop(stop);
    group.wait();
    println!("all of them have ended");

    heading("goroutines and plain threads share channels");
    let (tx, rx) = bounded(0);
    let sender = thread::spawn(move || tx.send("from an OS thread"));
    println!("{:?}, {:?}", rx.recv(), sender.join().is_ok());

    heading("go!< ... >, inside golang!");
    let handle = golang! { go!< add(1, 2) > };
    println!("{:?}", handle.join());
}
