//! A thread with a real-time policy waits for a lock of the runtime. The lock's holder, an ordinary
//! thread on the same CPU, runs only while the real-time thread sleeps.

use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use go_runtime::channel::unbounded;

use go_tests::support::on_thread;

/// The number of times that the real-time thread interrupts the ordinary one, which sometimes holds
/// the lock at that time. If the real-time thread only spun, the kernel would take the CPU from it
/// after a second (`sched_rt_runtime_us`), and the test would take many minutes.
const TIMES: usize = 2_000;

/// Binds the calling thread to the first CPU that it may use.
fn bind() {
    // SAFETY: a set of CPUs consists of integers, for which zero is a valid value.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the call writes at most as many bytes to the set as its size, which it is told.
    let got = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) };
    assert_eq!(got, 0);
    let first = (0..libc::CPU_SETSIZE as usize)
        // SAFETY: the number is below `CPU_SETSIZE`, and so inside the set.
        .find(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) })
        .unwrap();
    // SAFETY: a set of CPUs consists of integers, for which zero is a valid value.
    let mut one: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the number is below `CPU_SETSIZE`, and so inside the set.
    unsafe { libc::CPU_SET(first, &mut one) };
    // SAFETY: the call reads at most as many bytes of the set as its size, which it is told.
    let bound = unsafe { libc::sched_setaffinity(0, size_of_val(&one), &one) };
    assert_eq!(bound, 0);
}

/// Gives the calling thread the policy `SCHED_FIFO`.
fn become_real_time() -> io::Result<()> {
    // SAFETY: the parameters consist of integers, for which zero is a valid value.
    let mut parameters: libc::sched_param = unsafe { mem::zeroed() };
    parameters.sched_priority = 1;
    // SAFETY: the call only reads the parameters, which are valid. (`0` is the calling thread.)
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &parameters) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[test]
fn the_holder_of_a_lock_runs() {
    on_thread(|| {
        let (tx, rx) = unbounded();
        let stop = Arc::new(AtomicBool::new(false));
        let ordinary = {
            let (rx, stop) = (rx.clone(), Arc::clone(&stop));
            thread::spawn(move || {
                bind();
                while !stop.load(Ordering::Relaxed) {
                    tx.send(()).unwrap();
                    let _ = rx.try_recv();
                }
            })
        };
        bind();
        if let Err(error) = become_real_time() {
            println!("ignored: SCHED_FIFO is not to be had here ({error})");
        } else {
            for _ in 0..TIMES {
                thread::sleep(Duration::from_micros(100));
                let _ = rx.try_recv();
            }
        }
        stop.store(true, Ordering::Relaxed);
        ordinary.join().unwrap();
    });
}
