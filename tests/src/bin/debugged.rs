//! A program for debuggers: goroutines that wait for several reasons, and one that runs.
//! `debugged parked [MANY]` has MANY goroutines more, says `ready` when all wait, and ends when its
//! input does; `debugged spawns` starts and ends goroutines all the time.

use std::env;
use std::hint::black_box;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use go_runtime::channel::{Receiver, bounded, never};
use go_runtime::debug::{GoroutineState, goroutines};
use go_runtime::sync::{Mutex, WaitGroup};
use go_runtime::{Builder, go, select, time};

fn main() {
    // Where a process may only be traced by its parents (Yama), any process may trace this one.
    #[cfg(target_os = "linux")]
    // SAFETY: the call changes nothing but who may trace the process.
    unsafe {
        libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY);
    }
    let number = || env::args().nth(2).and_then(|many| many.parse().ok());
    match env::args().nth(1).as_deref() {
        Some("parked") => parked(number().unwrap_or(0)),
        Some("spawns") => spawns(),
        other => panic!("no such program: {other:?}"),
    }
}

/// Three calls deep, with a variable in each.
#[inline(never)]
fn outermost(rx: &Receiver<u32>) -> u32 {
    let in_outermost = black_box(11);
    middle(rx, in_outermost) + in_outermost
}

#[inline(never)]
fn middle(rx: &Receiver<u32>, above: u32) -> u32 {
    let in_middle = black_box(above + 11);
    innermost(rx, in_middle) + in_middle
}

#[inline(never)]
fn innermost(rx: &Receiver<u32>, above: u32) -> u32 {
    let in_innermost = black_box(above + 11);
    let received = rx.recv().unwrap_or(black_box(0));
    received + in_innermost
}

/// Where a breakpoint is set, and the goroutine that runs is stopped.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn everything_waits(count: usize) {
    black_box(count);
}

#[inline(never)]
fn caller_of_the_breakpoint(count: usize) {
    everything_waits(black_box(count));
    black_box(count);
}

fn parked(many: usize) {
    let (tx, rx) = bounded::<u32>(0);
    let (full, _full_rx) = bounded::<u32>(1);
    full.send(0).unwrap();
    let lock = Arc::new(Mutex::new(()));
    let held = lock.lock().unwrap();
    let group = WaitGroup::new();
    group.add(1);

    let named = |name: &str| Builder::new().name(name);
    let mut handles = Vec::new();
    handles.push(named("deep").spawn({
        let rx = rx.clone();
        move || {
            black_box(outermost(&rx));
        }
    }));
    handles.push(named("sender").spawn(move || {
        let _ = full.send(1);
    }));
    handles.push(named("selects").spawn({
        let rx = rx.clone();
        move || {
            let silent = never::<u32>();
            select! {
                recv(rx) -> _ => {}
                recv(silent) -> _ => {}
            }
        }
    }));
    handles.push(named("sleeper").spawn(|| time::sleep(Duration::from_secs(100_000))));
    handles.push(named("locks").spawn({
        let lock = lock.clone();
        move || drop(lock.lock())
    }));
    handles.push(named("waits for a group").spawn({
        let group = group.clone();
        move || group.wait()
    }));
    // A name that a terminal would take for a command.
    handles.push(named("evil\x1b[2J\nname").spawn({
        let rx = rx.clone();
        move || {
            let _ = rx.recv();
        }
    }));
    let nameless = go!(clone(rx) { let _ = rx.recv(); });
    let others: Vec<_> = (0..many)
        .map(|_| go!(clone(rx) { let _ = rx.recv(); }))
        .collect();
    let expected = handles.len() + 1 + many;
    let stop = Arc::new(AtomicBool::new(false));
    let runs = Builder::new().name("runs").spawn({
        let stop = stop.clone();
        move || {
            while waiting() < expected {
                time::sleep(Duration::from_millis(1));
            }
            caller_of_the_breakpoint(expected);
            eprintln!("ready");
            while !stop.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        }
    });
    let _ = std::io::stdin().read(&mut [0]);
    stop.store(true, Ordering::Relaxed);
    drop((tx, held, runs, others, nameless));
    // Some wait for ever.
    std::process::exit(0);
}

fn waiting() -> usize {
    let waits = |one: &&_| {
        let state = go_runtime::debug::Goroutine::state(one);
        matches!(state, GoroutineState::Waiting(_))
    };
    // (The thread that waits for the input is none of the runtime's.)
    goroutines().iter().filter(waits).count()
}

/// Goroutines of usual stacks, and of stacks that have a slab each, start and end.
fn spawns() {
    let stop = Arc::new(AtomicBool::new(false));
    let spawners: Vec<_> = (0..4)
        .map(|index| {
            go!(clone(stop) {
                while !stop.load(Ordering::Relaxed) {
                    let size = if index == 0 { 4 << 20 } else { 64 << 10 << index };
                    let builder = Builder::new().name("short-lived").stack_size(size);
                    builder.spawn(time_goes_by).unwrap().join().unwrap();
                }
            })
        })
        .collect();
    eprintln!("ready");
    let _ = std::io::stdin().read(&mut [0]);
    stop.store(true, Ordering::Relaxed);
    spawners.into_iter().for_each(|one| one.join().unwrap());
}

fn time_goes_by() {
    time::sleep(Duration::from_micros(1));
}
