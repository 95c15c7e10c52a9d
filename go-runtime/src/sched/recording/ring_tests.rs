//! Tests of the ring with std's atomics. (They are not beside it, because the models include it.)

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::ring::{Read, Ring, Words};

fn event(number: u64) -> Words {
    Words {
        head: number,
        first: number.wrapping_mul(3),
        site: Some(Location::caller()),
        second: !number,
    }
}

fn numbers(events: &[Words]) -> Vec<u64> {
    events.iter().map(|words| words.head).collect()
}

#[test]
fn keeps_the_newest() {
    let ring = Ring::new(4);
    let mut events = Vec::new();
    assert_eq!(ring.read(0, &mut events), Read { end: 0, lost: 0 });
    (0..3).for_each(|number| _ = ring.write(event(number)));
    assert_eq!(ring.read(0, &mut events), Read { end: 3, lost: 0 });
    assert_eq!(numbers(&events), [0, 1, 2]);
    (3..10).for_each(|number| _ = ring.write(event(number)));
    events.clear();
    assert_eq!(ring.read(3, &mut events), Read { end: 10, lost: 4 });
    assert_eq!(numbers(&events), [7, 8, 9]);
    // It appends, and there is nothing new.
    assert_eq!(ring.read(10, &mut events), Read { end: 10, lost: 0 });
    assert_eq!(events.len(), 3);
}

/// What readers see beside a writer is whole, in order, and adds up with what they have lost.
#[test]
fn read_while_written() {
    const EVENTS: u64 = if cfg!(miri) { 300 } else { 300_000 };
    let ring = Arc::new(Ring::new(64));
    let ended = Arc::new(AtomicBool::new(false));
    let reader = || {
        let (ring, ended) = (Arc::clone(&ring), Arc::clone(&ended));
        thread::spawn(move || {
            let (mut from, mut seen, mut events) = (0, 0, Vec::new());
            loop {
                let is_last = ended.load(Ordering::Acquire);
                events.clear();
                let read = ring.read(from, &mut events);
                let begin = from + read.lost;
                for (number, words) in (begin..read.end).zip(&events) {
                    assert_eq!(words.head, number);
                    assert_eq!(words.first, number.wrapping_mul(3));
                    assert_eq!(words.second, !number);
                    assert!(words.site.is_some());
                }
                assert_eq!(events.len() as u64, read.end - begin);
                seen += events.len() as u64 + read.lost;
                from = read.end;
                if is_last {
                    return seen;
                }
            }
        })
    };
    let readers = [reader(), reader()];
    (0..EVENTS).for_each(|number| _ = ring.write(event(number)));
    ended.store(true, Ordering::Release);
    for reader in readers {
        assert_eq!(reader.join().unwrap(), EVENTS);
    }
}
