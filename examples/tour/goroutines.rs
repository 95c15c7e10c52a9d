//! Goroutines: how they start, end and borrow.

use std::cell::Cell;
use std::rc::Rc;
use std::thread;

use go_runtime::channel::{self, Sender};
use go_runtime::sync::WaitGroup;
use go_runtime::{go, golang, scope};

use super::Error;

pub(super) fn starting() -> Result<(), Error> {
    let (tx, rx) = channel::bounded(0);

    // Statements. The variables that they use are moved into the goroutine; `clone(tx)` moves a
    // clone.
    go!(clone(tx) {
        let _ = tx.send("a block".to_owned());
    });
    println!("{}", rx.recv()?);

    // A call. As in Go the arguments are evaluated at once, and only the call happens in the
    // goroutine.
    let mut whom = "goroutine";
    let greeting = go!(greet(whom, tx.clone()));
    whom = "main";
    println!("{}, says {whom}", rx.recv()?);
    drop(greeting);

    // A closure, whose value `join` returns.
    let numbers = [1, 2, 3];
    let sum = go!(move || numbers.iter().sum::<i32>());
    println!("the sum is {}", sum.join().unwrap_or_default());

    // Several clones; the channel is closed when the last sender is dropped.
    let group = WaitGroup::new();
    group.add(1);
    go!(clone(tx, group) {
        greet("clones", tx);
        group.done();
    });
    drop(tx);
    println!("{}", rx.recv()?);
    group.wait();
    println!("then: {:?}", rx.recv());
    Ok(())
}

fn greet(whom: &str, tx: Sender<String>) {
    let _ = tx.send(format!("hello, {whom}"));
}

pub(super) fn options() -> Result<(), Error> {
    // The name appears in the message of a panic. The stack takes memory only where it is used.
    let acceptor = go!(name = "acceptor", stack_size = 1 << 20; {
        let buffer = [1_u8; 500_000];
        buffer.iter().map(|byte| usize::from(*byte)).sum::<usize>()
    });
    println!("{acceptor:?}");
    println!("it used {} bytes", acceptor.join().unwrap_or_default());

    // A local goroutine stays on this thread, so it may share values that are not `Send`.
    let count = Rc::new(Cell::new(1));
    let same = Rc::clone(&count);
    let local = go!(local; {
        same.set(same.get() + 1);
        thread::current().id()
    });
    let thread = local.join().ok();
    println!("an Rc shared with a local goroutine: {}", count.get());
    println!(
        "on the same thread: {}",
        thread == Some(thread::current().id())
    );
    Ok(())
}

pub(super) fn joining() -> Result<(), Error> {
    let answer = go! {
        let six = 6;
        six * 7
    };
    println!("join gives the value: {:?}", answer.join().ok());

    // A panic ends only its goroutine. The message goes to stderr, as always.
    let unlucky = go!(name = "unlucky"; { panic!("no luck") });
    let payload = unlucky.join().err();
    let message = payload
        .as_ref()
        .and_then(|payload| payload.downcast_ref::<&str>());
    println!("join gives the panic: {message:?}");
    Ok(())
}

pub(super) fn scoped() -> Result<(), Error> {
    // `scope` waits for its goroutines, so they may borrow local variables; a block borrows, unless
    // it is a `move` closure.
    let words = ["goroutines", "may", "borrow"];
    let mut lengths = [0; 3];
    scope(|s| {
        for (word, length) in words.iter().zip(&mut lengths) {
            go!(s; move || *length = word.len());
        }
        go!(s; { println!("together: {}", words.join(" ")) });
    });
    println!("lengths: {lengths:?}");
    Ok(())
}

golang! {
    // In `golang!` a goroutine may be written with angle brackets.
    pub(super) fn go_syntax() -> Result<(), Error> {
        let call = go!<square(12)>;
        let block = go!<
            let inner = go!<square(2)>;
            inner.join().unwrap_or_default() + 1
        >;
        println!("{:?} and {:?}", call.join().ok(), block.join().ok());
        Ok(())
    }
}

pub(super) fn square(n: u64) -> u64 {
    n * n
}
