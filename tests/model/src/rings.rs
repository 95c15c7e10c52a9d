//! The ring of events that one thread writes and others read.

use loom::sync::Arc;
use loom::thread;

use crate::check;
use crate::sched::ring::{Read, Ring, Words};

fn event(number: u64) -> Words {
    Words {
        head: number,
        first: number + 10,
        site: None,
        second: number + 20,
    }
}

/// A reader beside the writer sees whole events, in order and without a gap, and is told how many
/// it has missed. What it reads later goes on where it ended.
#[test]
fn a_reader_sees_whole_events() {
    for (length, written) in [(2, 2), (2, 3), (3, 4)] {
        check("ring, one reader", 3, move || {
            let ring = Arc::new(Ring::new(length));
            let theirs = Arc::clone(&ring);
            let writer = thread::spawn(move || {
                for number in 0..written {
                    assert_eq!(theirs.write(event(number)), number);
                }
            });
            let mut from = 0;
            let mut read = || {
                let mut events = Vec::new();
                let Read { end, lost } = ring.read(from, &mut events);
                let expected: Vec<Words> = (from + lost..end).map(event).collect();
                assert_eq!(events, expected);
                from = end;
            };
            // (loom tries other orders from the first point on at which both threads have run.)
            thread::yield_now();
            read();
            read();
            writer.join().unwrap();
            read();
            assert_eq!(from, written);
        });
    }
}
