//! Working together: time, cancellation, locks, groups.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use go_runtime::channel::{self, RecvError};
use go_runtime::sync::{Mutex, WaitGroup};
use go_runtime::time::{self, Timer};
use go_runtime::{context, go, num_goroutines, scope, select};

use super::Error;

pub(super) fn timing() -> Result<(), Error> {
    let (_tx, answers) = channel::bounded::<i32>(0);
    let start = Instant::now();
    let timeout = time::after(Duration::from_millis(20));
    select! {
        recv(answers) -> answer => println!("unexpected: {answer:?}"),
        recv(timeout) -> _ => println!("timed out"),
    }
    println!(
        "not too early: {}",
        start.elapsed() >= Duration::from_millis(20)
    );

    let tick = time::tick(Duration::from_millis(5));
    for instant in tick.iter().take(3) {
        eprintln!("(tick after {:?})", instant - start);
    }
    println!("three ticks");

    // A timer can be stopped. A function can run later, in a goroutine that does not exist before
    // that moment.
    println!("stopped: {}", Timer::new(Duration::from_secs(60)).stop());
    let (bell, rings) = channel::bounded(0);
    time::after_func(Duration::from_millis(5), move || bell.send("ding").unwrap());
    println!("the bell: {}", rings.recv()?);
    Ok(())
}

pub(super) fn done_channel() -> Result<(), Error> {
    // A goroutine cannot be ended from outside. Here 10,000 goroutines wait until a channel without
    // messages is closed.
    let (stop, done) = channel::bounded::<()>(0);
    let waiting: Vec<_> = (0..10_000)
        .map(|_| go!(clone(done) { done.recv() == Err(RecvError) }))
        .collect();
    println!("over 10000 goroutines: {}", num_goroutines() > 10_000);
    drop(stop);
    let released = waiting
        .into_iter()
        .filter_map(|goroutine| goroutine.join().ok());
    println!("released: {}", released.filter(|told| *told).count());
    Ok(())
}

pub(super) fn wait_group() -> Result<(), Error> {
    let (group, hits) = (WaitGroup::new(), Arc::new(AtomicUsize::new(0)));
    for _ in 0..1000 {
        let hits = Arc::clone(&hits);
        group.go(move || hits.fetch_add(1, Ordering::Relaxed));
    }
    group.wait();
    println!("{} are done", hits.load(Ordering::Relaxed));
    Ok(())
}

struct User(&'static str);

pub(super) fn contexts() -> Result<(), Error> {
    // A context tells when to end, and why, to all goroutines that have it or a context derived
    // from it.
    let (request, cancel) = context::background().with_value(User("Ann")).with_cancel();
    let (query, _cancel) = request.with_timeout(Duration::from_millis(5));
    query.done().recv().unwrap_err();
    println!("the query: {:?}", query.err());
    println!("its request: {:?}", request.err());

    let worker = go!(clone(request) {
        let _ = request.done().recv();
        request.value().map(|User(name)| *name)
    });
    cancel.cancel();
    println!("canceled: the work for {:?}", worker.join().ok().flatten());
    Ok(())
}

pub(super) fn mutex() -> Result<(), Error> {
    // The mutex holds what it protects. A waiting goroutine parks, and the guard may be held over
    // operations that park.
    let stock = Mutex::new(BTreeMap::new());
    scope(|s| {
        for fruit in ["pear", "apple", "pear"] {
            go!(s; clone(fruit) {
                let mut stock = stock.lock().unwrap();
                time::sleep(Duration::from_millis(1));
                *stock.entry(fruit).or_insert(0) += 1;
            });
        }
    });
    println!("in stock: {:?}", stock.into_inner()?);
    Ok(())
}
