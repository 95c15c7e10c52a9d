//! A new goroutine starts soon, even if others wake up again and again for a few microseconds.
//!
//! Such goroutines keep all workers awake now and then, but none of them busy. New goroutines once
//! waited for seconds beside them. The limits are far above the times on a loaded machine.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use go_runtime::channel::bounded;
use go_runtime::net::TcpListener;
use go_runtime::{go, select, spawn, time};

use crate::placement::with_workers;

/// Prints the median and the worst of the times, and checks that neither is far too long.
#[track_caller]
fn check(mut times: Vec<Duration>, what: &str) {
    times.sort();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{what}: median {median:?}, worst {worst:?}");
    assert!(median < Duration::from_millis(50), "{what}: {times:?}");
    assert!(worst < Duration::from_millis(500), "{what}: {times:?}");
}

/// Spawns a goroutine now and then, and returns how long each took to start.
fn starts() -> Vec<Duration> {
    let start = || {
        time::sleep(Duration::from_millis(1));
        let (tx, rx) = bounded(1);
        let spawned = Instant::now();
        go!(tx.send(spawned.elapsed()).unwrap());
        // This timeout is well above the limit on the worst start.
        rx.recv_timeout(Duration::from_secs(5))
            .unwrap_or(Duration::MAX)
    };
    let begin = Instant::now();
    (0..25)
        .map(|_| start())
        .take_while(|_| begin.elapsed() < Duration::from_secs(10))
        .collect()
}

#[test]
#[ignore = "run by a_new_goroutine_starts_soon"]
fn beside_sleepers() {
    for sleepers in 1..=8 {
        let end = Arc::new(AtomicBool::new(false));
        let sleep = || {
            go!(clone(end) {
                while !end.load(Ordering::Relaxed) {
                    time::sleep(Duration::from_micros(20));
                }
            })
        };
        let running: Vec<_> = (0..sleepers).map(|_| sleep()).collect();
        thread::sleep(Duration::from_millis(10));
        check(starts(), &format!("{sleepers} sleepers, from a thread"));
        let from_goroutine = spawn(starts).join().unwrap();
        check(
            from_goroutine,
            &format!("{sleepers} sleepers, from a goroutine"),
        );
        end.store(true, Ordering::Relaxed);
        running
            .into_iter()
            .for_each(|sleeper| sleeper.join().unwrap());
    }
}

#[test]
fn a_new_goroutine_starts_soon() {
    with_workers(&["2", "4", "8", "16"], &["starved::beside_sleepers"]);
}

/// Starts a server that echoes what it reads.
fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    go! {
        for stream in listener.incoming().flatten() {
            go! {
                stream.set_nodelay(true).unwrap();
                let mut bytes = [0; 64];
                while let Ok(n @ 1..) = (&stream).read(&mut bytes) {
                    if (&stream).write_all(&bytes[..n]).is_err() {
                        break;
                    }
                }
            };
        }
    };
    address
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

fn ping(mut stream: &TcpStream) {
    stream.write_all(b"ping").unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
}

#[test]
#[ignore = "run by a_new_connection_is_answered_soon"]
fn beside_connections() {
    let address = echo_server();
    for busy in [1, 2, 4, 8] {
        let end = AtomicBool::new(false);
        let times = thread::scope(|threads| {
            for _ in 0..busy {
                threads.spawn(|| {
                    let stream = connect(address);
                    while !end.load(Ordering::Relaxed) {
                        ping(&stream);
                    }
                });
            }
            thread::sleep(Duration::from_millis(20));
            let first_answer = |_| {
                let begin = Instant::now();
                ping(&connect(address));
                let time = begin.elapsed();
                thread::sleep(Duration::from_millis(1));
                time
            };
            let times = (0..40).map(first_answer).collect();
            end.store(true, Ordering::Relaxed);
            times
        });
        check(times, &format!("{busy} busy connections"));
    }
}

#[test]
fn a_new_connection_is_answered_soon() {
    with_workers(&["4", "8"], &["starved::beside_connections"]);
}

/// Four consumers poll two channels in vain. One channel is closed, and therefore always ready. The
/// other channel's sender shares the consumers' workers, and must run far sooner than after the 10
/// ms for which a goroutine may hold a worker.
#[test]
#[ignore = "run by a_sender_is_not_kept_waiting_by_failed_polls"]
fn beside_failed_polls() {
    const MESSAGES: usize = 10_000;
    let begin = Instant::now();
    let (_, closed) = bounded::<usize>(0);
    let (tx, open) = bounded(3);
    go!({ (0..MESSAGES).for_each(|n| tx.send(n).unwrap()) });
    let consumers: Vec<_> = (0..4)
        .map(|_| {
            go!(clone(closed, open) {
                let mut got = 0;
                loop {
                    select! {
                        recv(closed) -> n => assert!(n.is_err()),
                        recv(open) -> n => if n.is_ok() { got += 1 } else { break got },
                        default(Duration::from_micros(50)) => {}
                    }
                }
            })
        })
        .collect();
    let got: usize = consumers
        .into_iter()
        .map(|consumer| consumer.join().unwrap())
        .sum();
    assert_eq!(got, MESSAGES);
    let time = begin.elapsed();
    println!("\ntime: {time:?}");
    // If each turn took 10 ms this would take over a minute.
    assert!(time < Duration::from_secs(30), "{time:?}");
}

#[test]
fn a_sender_is_not_kept_waiting_by_failed_polls() {
    with_workers(&["1", "2"], &["starved::beside_failed_polls"]);
}
