//! Channels, and waiting for several of them.

use std::thread;
use std::time::{Duration, Instant};

use go_runtime::channel::{self, Receiver, RecvError, Select, SendError, Sender, TrySendError};
use go_runtime::{block_on, go, select, select_biased};

use super::Error;
use super::goroutines::square;

pub(super) fn unbuffered() -> Result<(), Error> {
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

pub(super) fn buffered() -> Result<(), Error> {
    let (tx, rx) = channel::bounded(2);
    tx.send(1)?;
    tx.send(2)?;
    println!("full: {}", tx.try_send(3) == Err(TrySendError::Full(3)));

    // Go's `range`: the loop ends when the channel is closed and empty.
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

pub(super) fn selecting() -> Result<(), Error> {
    let (tx, rx) = channel::bounded(1);
    let (_never_tx, never) = channel::bounded::<i32>(0);

    // `default` is taken if no arm is ready, `default(duration)` if none becomes ready in that
    // time.
    select! {
        recv(rx) -> n => println!("unexpected: {n:?}"),
        default => println!("nothing to receive yet"),
    }
    select! {
        recv(never) -> n => println!("unexpected: {n:?}"),
        default(Duration::from_millis(5)) => println!("nothing within 5 ms"),
    }

    // The channel has room for one message: first only the send is ready, then only the receive.
    for _ in 0..2 {
        select! {
            send(tx, 7) -> sent => println!("sent: {sent:?}"),
            recv(rx) -> n => println!("received: {n:?}"),
            recv(never) -> n => println!("unexpected: {n:?}"),
        }
    }

    // A `select!` is an expression. It takes a random one of several ready arms.
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

pub(super) fn arrows() -> Result<(), Error> {
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

fn fibonacci(tx: Sender<u64>, quit: Receiver<()>) {
    let (mut a, mut b) = (0, 1);
    loop {
        select! {
            tx <- a => (a, b) = (b, a + b),
            <-quit => return,
        }
    }
}

pub(super) fn biased() -> Result<(), Error> {
    let (urgent_tx, urgent) = channel::unbounded();
    let (normal_tx, normal) = channel::unbounded();
    for n in 1..=3 {
        normal_tx.send(n)?;
        urgent_tx.send(10 * n)?;
    }
    // The biased form takes the first ready arm in the written order.
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

pub(super) fn select_list() -> Result<(), Error> {
    // Any number of channels: a list of operations, which can be used again and again.
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

pub(super) fn threads() -> Result<(), Error> {
    // Threads and goroutines send on one channel. A waiting goroutine parks, a waiting thread
    // blocks.
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
    // A thread and a goroutine also receive.
    let other = rx.clone();
    let thread = thread::spawn(move || other.iter().sum::<u32>());
    let here: u32 = rx.iter().sum();
    // The channel is closed, so the thread is about to end: joining it blocks this worker, but not
    // for long.
    let there = thread.join().unwrap_or_default();
    println!("the sum is {}", here + there);
    Ok(())
}

fn send_ten(n: u32, tx: Sender<u32>) -> Result<(), SendError<u32>> {
    (1..=10).try_for_each(|i| tx.send(10 * n + i))
}

pub(super) fn async_tasks() -> Result<(), Error> {
    // A task awaits where a goroutine parks. Any executor works: `block_on` polls the task in its
    // goroutine.
    let (questions, asked) = channel::bounded(0);
    let (answer, answers) = channel::bounded(0);
    go! {
        block_on(async move {
            let mut stream = asked.stream();
            while let Some(n) = stream.next().await {
                let square = go!(square(n));
                let _ = answer.send_async(square.await.unwrap_or_default()).await;
            }
        });
    };
    questions.send(12)?;
    println!("a task asked a goroutine: {}", answers.recv()?);
    Ok(())
}
