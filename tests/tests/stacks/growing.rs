//! Crates that grow the stack: `stacker`, on which `recursive`, `serde_stacker` and others are
//! built.

use std::hint::black_box;

use go_runtime::channel::bounded;
use go_runtime::go;

use crate::{KIB, MIB};

use go_tests::support::child;

/// Descends `levels` levels of some 600 bytes or more, grows the stack where less than 32 KiB are
/// left, and counts the levels on the way back.
#[inline(never)]
fn descend(levels: u64) -> u64 {
    stacker::maybe_grow(32 * KIB, MIB, || {
        let mut frame = [levels; 64];
        black_box(&mut frame);
        if levels == 0 {
            return 0;
        }
        descend(levels - 1) + u64::from(frame[7] == levels)
    })
}

/// On every goroutine's stack, the limit of the worker's thread says that no room is left.
#[test]
#[ignore = "run by stacks_grow_with_any_number_of_workers"]
fn no_room_is_seen_and_stacks_grow() {
    assert_ne!(stacker::remaining_stack(), Some(0));
    let goroutines: Vec<_> = (0..24)
        .map(|n| {
            let stack_size = [32 * KIB, 64 * KIB, 256 * KIB, 8 * MIB][n % 4];
            go!(stack_size = stack_size; {
                let seen = stacker::remaining_stack();
                (seen, if stack_size > 32 * KIB { descend(2000) } else { 2000 })
            })
        })
        .collect();
    for goroutine in goroutines {
        assert_eq!(goroutine.join().unwrap(), (Some(0), 2000));
    }
    assert_eq!(go!({ descend(20_000) }).join().unwrap(), 20_000);
}

/// While a goroutine is parked on a stack that it has grown, and afterwards, the thread's limit is
/// that of the grown stack. By this limit its siblings have no room left either.
#[test]
#[ignore = "run by stacks_grow_with_any_number_of_workers"]
fn siblings_see_no_room_beside_a_grown_stack() {
    let seen = go! {
        let (go_on, wait) = bounded::<()>(0);
        let parked: Vec<_> = (0..3)
            .map(|_| go!(local; clone(wait) {
                stacker::grow(MIB, || wait.recv().unwrap());
            }))
            .collect();
        let mut seen = Vec::new();
        for _ in 0..=parked.len() {
            go_tests::support::settle();
            seen.push(go!(local; { stacker::remaining_stack() }).join().unwrap());
            let _ = go_on.try_send(());
        }
        parked.into_iter().for_each(|one| one.join().unwrap());
        seen.push(go!(local; { stacker::remaining_stack() }).join().unwrap());
        seen
    };
    assert_eq!(seen.join().unwrap(), [Some(0); 5]);
}

#[test]
fn stacks_grow_with_any_number_of_workers() {
    child::succeed_with(
        &["1", "2", "3", "4", "5", "6", "7", "8"],
        &["no_room_is_seen_and_stacks_grow"],
    );
    child::succeed(
        "siblings_see_no_room_beside_a_grown_stack",
        &[("GOMAXPROCS", "1")],
    );
}
