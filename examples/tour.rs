//! A tour of goroutines in Rust: each feature once, in the order in which one meets them.
//!
//! ```sh
//! cargo run --release --example tour
//! GOMAXPROCS=1 cargo run --release --example tour
//! ```

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use go_runtime::channel::{self, Receiver, RecvError, Select, SendError, Sender, TrySendError};
use go_runtime::sync::WaitGroup;
use go_runtime::{go, golang, gomaxprocs, num_goroutine, scope, select, select_biased};

type Error = Box<dyn std::error::Error>;
type Section = fn() -> Result<(), Error>;

#[go_runtime::main]
fn main() -> Result<(), Error> {
    let sections: [(&str, Section); 16] = [
        ("Starting goroutines", starting),
        ("Options", options),
        ("Joining, and panics", joining),
        ("Unbuffered channels", unbuffered),
        ("Buffered channels, and closing", buffered),
        ("select!", selecting),
        ("select! with Go's arrows", arrows),
        ("select_biased!", biased),
        ("Select, over a list", select_list),
        ("Timeouts and ticks", timing),
        ("The done channel", done_channel),
        ("WaitGroup", wait_group),
        ("Goroutines that borrow", scoped),
        ("Threads and goroutines on one channel", threads),
        ("Async tasks on the same channels", async_tasks),
        ("golang!", go_syntax),
    ];
    println!("{} workers run the goroutines", gomaxprocs());
    for (heading, section) in sections {
        println!("\n== {heading}");
        section()?;
    }
    Ok(())
}

fn greet(whom: &str, tx: Sender<String>) {
    let _ = tx.send(format!("hello, {whom}"));
}

fn starting() -> Result<(), Error> {
    let (tx, rx) = channel::bounded(0);

    // Statements. What they use is moved into the goroutine; `clone(tx)` moves a clone.
    go!(clone(tx) {
        let _ = tx.send("a block".to_owned());
    });
    println!("{}", rx.recv()?);

    // A call. As in Go the arguments are evaluated here and now, and only the call happens in the goroutine.
    let mut whom = "goroutine";
    let greeting = go!(greet(whom, tx.clone()));
    whom = "main";
    println!("{}, says {whom}", rx.recv()?);
    drop(greeting);

    // A closure. And there is a value to join.
    let numbers = [1, 2, 3];
    let sum = go!(move || numbers.iter().sum::<i32>());
    println!("the sum is {}", sum.join().unwrap_or_default());

    // Several clones, and the channel ends with the last sender.
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

fn options() -> Result<(), Error> {
    // The name shows in the message of a panic. The stack takes memory only where it is used.
    let acceptor = go!(name = "acceptor", stack_size = 1 << 20; {
        let buffer = [1_u8; 500_000];
        buffer.iter().map(|byte| usize::from(*byte)).sum::<usize>()
    });
    println!("{acceptor:?}");
    println!("it used {} bytes", acceptor.join().unwrap_or_default());

    // A local goroutine stays on this thread, so it may share what is not `Send`.
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

fn joining() -> Result<(), Error> {
    let answer = go! {
        let six = 6;
        six * 7
    };
    println!("join gives the value: {:?}", answer.join().ok());

    // A panic ends its goroutine, and nothing else. The message goes to stderr, as always.
    let unlucky = go!(name = "unlucky"; { panic!("no luck") });
    let payload = unlucky.join().err();
    let message = payload
        .as_ref()
        .and_then(|payload| payload.downcast_ref::<&str>());
    println!("join gives the panic: {message:?}");
    Ok(())
}

fn unbuffered() -> Result<(), Error> {
    // A send waits for the receiver: the two meet.
    let (ping, pings) = channel::bounded(0);
    let (pong, pongs) = channel::bounded(0);
    go! {
        for n in pings {
            if pong.send(n + 1).is_err() {
                break;
            }
        }
    };
    let mut n = 0;
    let start = Instant::now();
    while n < 10_000 {
        ping.send(n)?;
        n = pongs.recv()?;
    }
    println!("{n} round trips");
    eprintln!("(each took {:?})", start.elapsed() / n);
    Ok(())
}

fn buffered() -> Result<(), Error> {
    let (tx, rx) = channel::bounded(2);
    tx.send(1)?;
    tx.send(2)?;
    println!("full: {}", tx.try_send(3) == Err(TrySendError::Full(3)));

    // Go's `range`: it ends when the channel is closed and empty.
    let doubler = go! {
        let doubled: Vec<i32> = rx.iter().map(|n| 2 * n).collect();
        (doubled, rx.recv())
    };
    tx.send(3)?;
    tx.close();
    println!("a send on a closed channel: {:?}", tx.send(4));
    let (doubled, end) = doubler.join().unwrap_or((Vec::new(), Ok(0)));
    println!("a range over it: {doubled:?}, then {end:?}");
    Ok(())
}

fn selecting() -> Result<(), Error> {
    let (tx, rx) = channel::bounded(1);
    let (_never_tx, never) = channel::bounded::<i32>(0);

    // `default` is taken if nothing is ready, `default(duration)` if nothing is for so long.
    select! {
        recv(rx) -> n => println!("unexpected: {n:?}"),
        default => println!("nothing to receive yet"),
    }
    select! {
        recv(never) -> n => println!("unexpected: {n:?}"),
        default(Duration::from_millis(5)) => println!("nothing within 5 ms"),
    }

    // There is room for one: first only the send can go on, then only the receive.
    for _ in 0..2 {
        select! {
            send(tx, 7) -> sent => println!("sent: {sent:?}"),
            recv(rx) -> n => println!("received: {n:?}"),
            recv(never) -> n => println!("unexpected: {n:?}"),
        }
    }

    // It is an expression. Of several that are ready it takes one at random.
    let (left, right) = (channel::unbounded(), channel::unbounded());
    for n in 0..1000 {
        left.0.send(n)?;
        right.0.send(n)?;
    }
    let mut taken_left = 0;
    for _ in 0..1000 {
        taken_left += select! {
            recv(left.1) -> _ => 1,
            recv(right.1) -> _ => 0,
        };
    }
    println!("fair: {}", (300..700).contains(&taken_left));
    Ok(())
}

fn fibonacci(tx: Sender<u64>, quit: Receiver<()>) {
    let (mut a, mut b) = (0, 1);
    loop {
        select! {
            tx <- a => (a, b) = (b, a + b),
            <-quit => return,
        }
    }
}

fn arrows() -> Result<(), Error> {
    let (tx, rx) = channel::bounded(0);
    let (stop, quit) = channel::bounded(0);
    let goroutine = go!(fibonacci(tx, quit));
    let mut numbers = Vec::new();
    while numbers.len() < 12 {
        select! {
            n = <-rx => numbers.push(n?),
            default(Duration::from_secs(60)) => return Err("no number came".into()),
        }
    }
    drop(stop);
    println!("{numbers:?}");
    println!("it has quit: {}", goroutine.join().is_ok());
    Ok(())
}

fn biased() -> Result<(), Error> {
    let (urgent_tx, urgent) = channel::unbounded();
    let (normal_tx, normal) = channel::unbounded();
    for n in 1..=3 {
        normal_tx.send(n)?;
        urgent_tx.send(10 * n)?;
    }
    // The arm written first wins as long as it is ready.
    let mut order = Vec::new();
    while order.len() < 6 {
        select_biased! {
            recv(urgent) -> n => order.push(n?),
            recv(normal) -> n => order.push(n?),
        }
    }
    println!("{order:?}");
    Ok(())
}

fn timing() -> Result<(), Error> {
    let (_tx, answers) = channel::bounded::<i32>(0);
    let start = Instant::now();
    let timeout = channel::after(Duration::from_millis(20));
    select! {
        recv(answers) -> answer => println!("unexpected: {answer:?}"),
        recv(timeout) -> _ => println!("timed out"),
    }
    println!(
        "not too early: {}",
        start.elapsed() >= Duration::from_millis(20)
    );

    let tick = channel::tick(Duration::from_millis(5));
    for instant in tick.iter().take(3) {
        eprintln!("(tick after {:?})", instant - start);
    }
    println!("three ticks");
    Ok(())
}

fn done_channel() -> Result<(), Error> {
    // Nobody ends a goroutine from outside. It waits for a channel that carries nothing to be closed, as do 10,000 others.
    let before = num_goroutine();
    let (stop, done) = channel::bounded::<()>(0);
    let waiting: Vec<_> = (0..10_000)
        .map(|_| go!(clone(done) { done.recv() == Err(RecvError) }))
        .collect();
    println!("goroutines: {}", num_goroutine() - before);
    drop(stop);
    let released = waiting
        .into_iter()
        .filter_map(|goroutine| goroutine.join().ok());
    println!("released: {}", released.filter(|told| *told).count());
    Ok(())
}

fn wait_group() -> Result<(), Error> {
    let (group, hits) = (WaitGroup::new(), Arc::new(AtomicUsize::new(0)));
    for _ in 0..1000 {
        let hits = Arc::clone(&hits);
        group.go(move || hits.fetch_add(1, Ordering::Relaxed));
    }
    group.wait();
    println!("{} are done", hits.load(Ordering::Relaxed));
    Ok(())
}

fn threads() -> Result<(), Error> {
    // Threads and goroutines send on one channel. A goroutine that waits parks, a thread that waits blocks.
    let (tx, rx) = channel::bounded(4);
    for n in 1..=4 {
        let tx = tx.clone();
        if n % 2 == 0 {
            go!(send_ten(n, tx));
        } else {
            thread::spawn(move || send_ten(n, tx));
        }
    }
    drop(tx);
    // And one of each receives.
    let other = rx.clone();
    let thread = thread::spawn(move || other.iter().sum::<u32>());
    let here: u32 = rx.iter().sum();
    // The channel is closed, so the thread is about to end: waiting for it blocks this worker, but not for long.
    let there = thread.join().unwrap_or_default();
    println!("the sum is {}", here + there);
    Ok(())
}

fn select_list() -> Result<(), Error> {
    // As many channels as it happens to be: a list of operations, used again and again.
    let channels: Vec<_> = (0..10).map(|_| channel::bounded(0)).collect();
    let (senders, receivers): (Vec<_>, Vec<_>) = channels.into_iter().unzip();
    for (n, tx) in senders.into_iter().enumerate() {
        go!(tx.send(n * n));
    }
    let mut list = Select::new();
    for rx in &receivers {
        list.recv(rx);
    }
    let (mut sum, mut open) = (0, receivers.len());
    while open > 0 {
        let operation = list.select();
        let index = operation.index();
        match operation.recv(&receivers[index]) {
            Ok(square) => sum += square,
            Err(RecvError) => {
                list.remove(index);
                open -= 1;
            }
        }
    }
    println!("ten squares: {sum}");
    Ok(())
}

fn scoped() -> Result<(), Error> {
    // `scope` waits for its goroutines, so they may borrow what is here.
    let words = ["goroutines", "may", "borrow"];
    let mut lengths = [0; 3];
    scope(|s| {
        for (word, length) in words.iter().zip(&mut lengths) {
            s.spawn(move || *length = word.len());
        }
    });
    println!("lengths: {lengths:?}");
    Ok(())
}

fn async_tasks() -> Result<(), Error> {
    // A task awaits where a goroutine parks. Any executor will do; this one has a thread of its own, for it blocks it.
    let (questions, asked) = channel::bounded(0);
    let (answer, answers) = channel::bounded(0);
    thread::spawn(move || {
        futures::executor::block_on(async {
            let mut stream = asked.stream();
            while let Some(n) = stream.next().await {
                let square = go!(square(n));
                let _ = answer.send_async(square.await.unwrap_or_default()).await;
            }
        });
    });
    questions.send(12)?;
    println!("a task asked a goroutine: {}", answers.recv()?);
    Ok(())
}

fn send_ten(n: u32, tx: Sender<u32>) -> Result<(), SendError<u32>> {
    (1..=10).try_for_each(|i| tx.send(10 * n + i))
}

fn square(n: u64) -> u64 {
    n * n
}

golang! {
    // In `golang!` a goroutine may be written with angle brackets.
    fn go_syntax() -> Result<(), Error> {
        let call = go!<square(12)>;
        let block = go!<
            let inner = go!<square(2)>;
            inner.join().unwrap_or_default() + 1
        >;
        println!("{:?} and {:?}", call.join().ok(), block.join().ok());
        Ok(())
    }
}
