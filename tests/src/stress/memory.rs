//! Selects on long-lived channels, none of which may leave anything behind.

use std::time::Duration;

use go_runtime::channel::{Receiver, Select, Sender, bounded, never};
use go_runtime::{go, select};

/// Runs `selects` selects, of each kind in turn, on the same few channels, and checks that the
/// process has not grown.
///
/// Only one of these channels carries messages. The queues of the others would fill up if a select
/// left a waiter behind.
pub fn long_lived(selects: usize) -> String {
    let channels: Vec<(Sender<usize>, Receiver<usize>)> = (0..4).map(|_| bounded(0)).collect();
    // A first part of the selects fills the pools of the allocator and the runtime.
    go!(clone(channels) { many(&channels, selects / 10) })
        .join()
        .unwrap();
    let before = resident();
    go!(clone(channels) { many(&channels, selects) })
        .join()
        .unwrap();
    let after = resident();
    let grown = after.saturating_sub(before);
    assert!(
        grown < 256 << 10,
        "{selects} selects have left {grown} bytes behind"
    );
    assert!(
        channels
            .iter()
            .all(|(tx, rx)| tx.is_empty() && rx.is_empty())
    );
    format!("long-lived: {selects} selects, {before} bytes resident before, {after} after")
}

fn many(channels: &[(Sender<usize>, Receiver<usize>)], selects: usize) {
    let ((_, idle), (full, _)) = (&channels[0], &channels[1]);
    let (tx, rx) = channels[2].clone();
    let partner = go!(local; clone(tx) { (0..selects).for_each(|n| tx.send(n).unwrap()) });
    let off = never::<usize>();
    let mut list = Select::new();
    let (index, _) = (list.recv(&rx), (list.recv(idle), list.send(full)));
    for n in 0..selects {
        let got = match n % 4 {
            0 => select! {
                recv(idle) -> _ => None,
                recv(rx) -> n => n.ok(),
                send(full, 0) -> _ => None,
                recv(off) -> _ => None,
            },
            1 => {
                let operation = list.select();
                (operation.index() == index).then(|| operation.recv(&rx).unwrap())
            }
            2 => {
                // Selects that time out, or are ready at once, come before the one that is served.
                let nothing = select! {
                    recv(idle) -> _ => false,
                    send(full, 0) -> _ => false,
                    default => true,
                };
                assert!(nothing && full.try_send(0).is_err() && idle.try_recv().is_err());
                if n % 1024 == 2 {
                    let late = idle.recv_timeout(Duration::from_nanos(1));
                    assert!(
                        late.is_err() && full.send_timeout(0, Duration::from_nanos(1)).is_err()
                    );
                }
                rx.recv().ok()
            }
            _ => loop {
                let got = select! {
                    recv(idle) -> _ => None,
                    recv(rx) -> n => n.ok(),
                    default(Duration::from_micros(10)) => continue,
                };
                break got;
            },
        };
        assert_eq!(got, Some(n));
    }
    partner.join().unwrap();
}

/// Returns the number of bytes of memory that the process has.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    kilobytes.unwrap().parse::<usize>().unwrap() << 10
}

/// On this system the number is not known.
#[cfg(not(target_os = "linux"))]
fn resident() -> usize {
    0
}
