//! All features at once, with few workers and with many, on a quiet and on a loaded machine: trees
//! of goroutines, pools, pipelines, timers, selects, locks, sockets, threads that spawn, and
//! goroutines that hold their worker. Every message and every goroutine is counted.
//!
//! Each activity goes on until the time is over, then ends by itself, and checks its own counts.
#![cfg(target_os = "linux")]

use std::hint;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use go_runtime::channel::{bounded, unbounded};
use go_runtime::net::{TcpListener, TcpStream};
use go_runtime::sync::{Condvar, Mutex, RwLock};
use go_runtime::{
    JoinHandle, blocking, go, gomaxprocs, num_goroutines, scope, select, spawn, spawn_local, time,
    yield_now,
};

use go_tests::support::{busy, child, eventually};

/// The time during which each activity begins new rounds.
const TIME: Duration = Duration::from_millis(600);
/// A time longer than a goroutine may hold a worker before others are started elsewhere.
const HOLD: Duration = Duration::from_millis(15);

/// The numbers of started and ended goroutines.
#[derive(Default)]
struct Goroutines {
    started: AtomicUsize,
    ended: AtomicUsize,
}

/// The state that all activities share.
#[derive(Clone)]
struct World {
    goroutines: Arc<Goroutines>,
    end: Instant,
}

impl World {
    fn goes_on(&self) -> bool {
        Instant::now() < self.end
    }

    /// Counts a goroutine that is about to be spawned; the returned closure counts its end.
    fn counted<T, F: FnOnce() -> T>(&self, body: F) -> impl FnOnce() -> T + use<T, F> {
        self.goroutines.started.fetch_add(1, Ordering::SeqCst);
        let goroutines = Arc::clone(&self.goroutines);
        move || {
            let result = body();
            goroutines.ended.fetch_add(1, Ordering::SeqCst);
            result
        }
    }

    #[track_caller]
    fn spawn<T: Send + 'static>(&self, body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        spawn(self.counted(body))
    }

    fn spawn_local<T: Send + 'static>(&self, body: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
        spawn_local(self.counted(body))
    }
}

/// An activity, which returns the number of its rounds.
type Activity = fn(&World) -> usize;

const ACTIVITIES: [(&str, Activity); 15] = [
    ("trees", |world| rounds(world, tree_of_some)),
    ("pools", |world| rounds(world, pool)),
    ("pipelines", |world| rounds(world, pipeline)),
    ("timers", |world| rounds(world, timers)),
    ("selects", |world| rounds(world, selects)),
    ("locks", |world| rounds(world, locks)),
    ("queues", |world| rounds(world, queue)),
    ("blocking", |world| rounds(world, blocking_calls)),
    ("holds", |world| rounds(world, holds)),
    ("after_func", |world| rounds(world, after_funcs)),
    ("scopes", |world| rounds(world, scopes)),
    ("sockets", |world| rounds(world, sockets)),
    ("threads", |world| rounds(world, threads)),
    ("locals", |world| rounds(world, locals)),
    ("yields", |world| rounds(world, yields)),
];

fn rounds(world: &World, round: impl Fn(&World)) -> usize {
    let mut count = 0;
    while world.goes_on() {
        round(world);
        count += 1;
        // Pauses of different lengths, so that some rounds find the workers awake, and some asleep.
        time::sleep(Duration::from_micros(500 * (count as u64 % 8)));
    }
    count
}

fn tree(world: &World, depth: usize) -> usize {
    if depth == 0 {
        return 1;
    }
    let children = [(); 2].map(|()| {
        let below = world.clone();
        world.spawn(move || tree(&below, depth - 1))
    });
    children
        .into_iter()
        .map(|child| child.join().unwrap())
        .sum()
}

fn tree_of_some(world: &World) {
    assert_eq!(tree(world, 7), 128);
}

/// A pool with as many members as there are workers takes jobs from one channel.
fn pool(world: &World) {
    const JOBS: usize = 300;
    let (jobs, todo) = bounded(0);
    let (results, done) = bounded(4);
    for _ in 0..gomaxprocs() {
        let (todo, results) = (todo.clone(), results.clone());
        world.spawn(move || todo.iter().for_each(|job| results.send(2 * job).unwrap()));
    }
    drop((todo, results));
    world.spawn(move || (0..JOBS).for_each(|job| jobs.send(job).unwrap()));
    assert_eq!(done.iter().sum::<usize>(), JOBS * (JOBS - 1));
}

fn pipeline(world: &World) {
    const MESSAGES: usize = 100;
    let (first, mut last) = bounded(1);
    for _ in 0..8 {
        let (tx, rx) = bounded(1);
        let before = std::mem::replace(&mut last, rx);
        world.spawn(move || before.iter().for_each(|n: usize| tx.send(n + 1).unwrap()));
    }
    world.spawn(move || (0..MESSAGES).for_each(|n| first.send(n).unwrap()));
    let all: Vec<_> = last.iter().collect();
    assert_eq!(all, (8..MESSAGES + 8).collect::<Vec<_>>());
}

/// Many goroutines sleep or wait for a ticker or a timed channel.
fn timers(world: &World) {
    let micros = |n: u64| Duration::from_micros(100 * (n % 20));
    let sleepers: Vec<_> = (0..50)
        .map(|n| {
            world.spawn(move || {
                let begin = Instant::now();
                time::sleep(micros(n));
                assert!(begin.elapsed() >= micros(n));
            })
        })
        .collect();
    let once: Vec<_> = (0..20).map(|n| time::after(micros(n))).collect();
    let ticker = time::Ticker::new(Duration::from_millis(1));
    ticker.channel().recv().unwrap();
    ticker.stop();
    for channel in once {
        channel.recv().unwrap();
    }
    sleepers
        .into_iter()
        .for_each(|sleeper| sleeper.join().unwrap());
}

/// Receivers select over two channels, a done channel and a timeout.
fn selects(world: &World) {
    const EACH: usize = 100;
    let (a_tx, a) = bounded(0);
    let (b_tx, b) = unbounded();
    let (stop, done) = bounded::<()>(0);
    let got = Arc::new(AtomicUsize::new(0));
    let receivers: Vec<_> = (0..6)
        .map(|_| {
            let (a, b, done, got) = (a.clone(), b.clone(), done.clone(), Arc::clone(&got));
            world.spawn(move || {
                loop {
                    select! {
                        recv(a) -> n => { got.fetch_add(n.unwrap(), Ordering::SeqCst); }
                        recv(b) -> n => { got.fetch_add(n.unwrap(), Ordering::SeqCst); }
                        recv(done) -> _ => break,
                        default(Duration::from_micros(300)) => {}
                    }
                }
            })
        })
        .collect();
    // The channels stay open until the receivers have ended.
    let senders = [(); 2].map(|()| {
        let (a_tx, b_tx) = (a_tx.clone(), b_tx.clone());
        world.spawn(move || {
            for n in 0..EACH {
                a_tx.send(n).unwrap();
                b_tx.send(n).unwrap();
            }
        })
    });
    senders
        .into_iter()
        .for_each(|sender| sender.join().unwrap());
    eventually(|| b.is_empty());
    drop(stop);
    receivers
        .into_iter()
        .for_each(|receiver| receiver.join().unwrap());
    assert_eq!(got.load(Ordering::SeqCst), 2 * EACH * (EACH - 1));
}

fn locks(world: &World) {
    const EACH: usize = 40;
    let count = Arc::new(Mutex::new(0));
    let halves = Arc::new(RwLock::new((0, 0)));
    let users: Vec<_> = (0..8)
        .map(|_| {
            let (count, halves) = (Arc::clone(&count), Arc::clone(&halves));
            world.spawn(move || {
                for n in 0..EACH {
                    let mut guard = count.lock().unwrap();
                    if n % 8 == 0 {
                        yield_now();
                    }
                    *guard += 1;
                    drop(guard);
                    let mut write = halves.write().unwrap();
                    write.0 += 1;
                    write.1 += 1;
                    drop(write);
                    let read = halves.read().unwrap();
                    assert_eq!(read.0, read.1);
                }
            })
        })
        .collect();
    users.into_iter().for_each(|user| user.join().unwrap());
    assert_eq!(*count.lock().unwrap(), 8 * EACH);
    assert_eq!(*halves.read().unwrap(), (8 * EACH, 8 * EACH));
}

/// A queue with few places, built from a mutex and condition variables.
fn queue(world: &World) {
    const EACH: usize = 50;
    struct Places {
        items: Mutex<Vec<usize>>,
        changed: Condvar,
    }
    let places = Arc::new(Places {
        items: Mutex::new(Vec::new()),
        changed: Condvar::new(),
    });
    for _ in 0..3 {
        let places = Arc::clone(&places);
        world.spawn(move || {
            for n in 0..EACH {
                let items = places.items.lock().unwrap();
                let mut items = places
                    .changed
                    .wait_while(items, |items| items.len() >= 2)
                    .unwrap();
                items.push(n);
                places.changed.notify_all();
            }
        });
    }
    let takers = [(); 3].map(|()| {
        let places = Arc::clone(&places);
        world.spawn(move || {
            let take = |_| {
                let items = places.items.lock().unwrap();
                let mut items = places
                    .changed
                    .wait_while(items, |items| items.is_empty())
                    .unwrap();
                places.changed.notify_all();
                items.pop().unwrap()
            };
            (0..EACH).map(take).sum::<usize>()
        })
    });
    let sum: usize = takers.into_iter().map(|taker| taker.join().unwrap()).sum();
    assert_eq!(sum, 3 * EACH * (EACH - 1) / 2);
}

fn blocking_calls(world: &World) {
    let calls: Vec<_> = (0..10)
        .map(|n| {
            world.spawn(move || {
                blocking(|| {
                    thread::sleep(Duration::from_micros(200));
                    n
                })
            })
        })
        .collect();
    let sum: usize = calls.into_iter().map(|call| call.join().unwrap()).sum();
    assert_eq!(sum, 45);
}

fn compute(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        hint::spin_loop();
    }
}

/// One goroutine computes and one blocks its thread, each for longer than a goroutine may hold a
/// worker, beside some that end at once.
fn holds(world: &World) {
    let computing = world.spawn(|| compute(HOLD));
    let blocked = world.spawn(|| thread::sleep(HOLD));
    let quick: Vec<_> = (0..20).map(|n| world.spawn(move || n)).collect();
    let sum: usize = quick.into_iter().map(|quick| quick.join().unwrap()).sum();
    assert_eq!(sum, 190);
    computing.join().unwrap();
    blocked.join().unwrap();
    // A long pause, so that most of the time no worker is held.
    time::sleep(Duration::from_millis(60));
}

/// Each function either runs or is stopped.
fn after_funcs(_: &World) {
    let ran = Arc::new(AtomicUsize::new(0));
    let pending: Vec<_> = (0..30)
        .map(|n| {
            let ran = Arc::clone(&ran);
            time::after_func(Duration::from_micros(100 * (n % 10)), move || {
                ran.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    time::sleep(Duration::from_micros(400));
    let stopped = pending.iter().filter(|pending| pending.stop()).count();
    eventually(|| {
        time::sleep(Duration::from_micros(100));
        ran.load(Ordering::SeqCst) + stopped == 30
    });
}

fn scopes(world: &World) {
    let count = AtomicUsize::new(0);
    scope(|s| {
        for _ in 0..10 {
            s.spawn(world.counted(|| {
                scope(|inner| {
                    let add = || count.fetch_add(1, Ordering::SeqCst);
                    let one = inner.spawn(world.counted(add));
                    inner.spawn(world.counted(add));
                    one.join().unwrap();
                });
            }));
        }
    });
    assert_eq!(count.load(Ordering::SeqCst), 20);
}

/// A server echoes what it reads, on a few connections.
fn sockets(world: &World) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let below = world.clone();
    let server = world.spawn(move || {
        let serve = |_| {
            let (mut stream, _) = listener.accept().unwrap();
            below.spawn(move || {
                let (mut bytes, mut all) = ([0; 64], 0);
                while let n @ 1.. = stream.read(&mut bytes).unwrap() {
                    stream.write_all(&bytes[..n]).unwrap();
                    all += n;
                }
                all
            })
        };
        let connections: Vec<_> = (0..4).map(serve).collect();
        connections
            .into_iter()
            .map(|connection| connection.join().unwrap())
            .sum::<usize>()
    });
    for _ in 0..4 {
        world.spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            for n in 0..20_u8 {
                stream.write_all(&[n; 4]).unwrap();
                let mut back = [0; 4];
                stream.read_exact(&mut back).unwrap();
                assert_eq!(back, [n; 4]);
            }
        });
    }
    assert_eq!(server.join().unwrap(), 4 * 20 * 4);
}

/// Threads spawn goroutines in bursts, and wait for each burst.
fn threads(world: &World) {
    let count = Arc::new(AtomicUsize::new(0));
    let threads = [(); 2].map(|()| {
        let (world, count) = (world.clone(), Arc::clone(&count));
        thread::spawn(move || {
            for _ in 0..3 {
                let burst: Vec<_> = (0..50)
                    .map(|_| {
                        let count = Arc::clone(&count);
                        world.spawn(move || count.fetch_add(1, Ordering::SeqCst))
                    })
                    .collect();
                thread::sleep(Duration::from_micros(300));
                for goroutine in burst {
                    goroutine.join().unwrap();
                }
            }
        })
    });
    blocking(|| {
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap())
    });
    assert_eq!(count.load(Ordering::SeqCst), 300);
}

/// Local goroutines stay on their spawner's worker.
fn locals(world: &World) {
    let home = thread::current().id();
    let (tx, rx) = bounded(0);
    for n in 0..40 {
        let tx = tx.clone();
        world.spawn_local(move || {
            assert_eq!(thread::current().id(), home);
            tx.send(n).unwrap();
            assert_eq!(thread::current().id(), home);
        });
    }
    drop(tx);
    assert_eq!(rx.iter().sum::<usize>(), 780);
}

fn yields(world: &World) {
    let turns: Vec<_> = (0..8)
        .map(|_| {
            world.spawn(|| {
                for _ in 0..50 {
                    compute(Duration::from_micros(5));
                    yield_now();
                }
            })
        })
        .collect();
    turns.into_iter().for_each(|turns| turns.join().unwrap());
}

#[test]
#[ignore = "run by others with a GOMAXPROCS of its own"]
fn everything_at_once() {
    let before = num_goroutines();
    let goroutines = Arc::new(Goroutines::default());
    let begin = Instant::now();
    let world = World {
        goroutines: Arc::clone(&goroutines),
        end: begin + TIME,
    };
    let running: Vec<_> = ACTIVITIES
        .iter()
        .map(|&(name, activity)| {
            let world = world.clone();
            let running = go!({ (activity(&world), begin.elapsed()) });
            (name, running)
        })
        .collect();
    for (name, running) in running {
        let (rounds, time) = running.join().unwrap();
        println!("{name}: {rounds} rounds, until {time:?}");
        assert!(rounds > 0, "{name}");
    }
    let started = goroutines.started.load(Ordering::SeqCst);
    eventually(|| goroutines.ended.load(Ordering::SeqCst) == started);
    eventually(|| num_goroutines() == before);
    println!("{started} goroutines in {:?}", begin.elapsed());
}

#[track_caller]
fn with_workers(workers: &[&str]) {
    for &workers in workers {
        let ended = child::succeed("everything_at_once", &[("GOMAXPROCS", workers)]);
        println!("GOMAXPROCS={workers}: {}", ended.out);
    }
}

/// One test has the quiet and the loaded runs, because they must not run at the same time.
#[test]
fn with_few_and_many_workers_on_a_quiet_and_a_loaded_machine() {
    with_workers(&["1", "2", "3", "4", "8", "16", "64"]);
    let _busy = busy::processes(2);
    with_workers(&["2", "8", "64"]);
}
