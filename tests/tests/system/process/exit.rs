//! The end of the process, from a goroutine.

use std::cell::Cell;
use std::thread;
use std::time::Duration;

use go_runtime::channel::bounded;
use go_runtime::{go, process, time};

use go_tests::support::child;

/// A thread-local whose destructor prints and waits; the last one that its thread runs.
struct Flush;

impl Drop for Flush {
    fn drop(&mut self) {
        eprintln!("the thread-local waits");
        time::sleep(Duration::from_millis(20));
    }
}

/// A lent value that must not be seen after it has been destroyed.
struct Lent(Cell<u64>);

impl Drop for Lent {
    fn drop(&mut self) {
        self.0.set(0);
    }
}

thread_local! {
    static FLUSH: Flush = const { Flush };
    static LENT: Lent = const { Lent(Cell::new(7)) };
}

/// Ends the process by `exit` in a goroutine, while another goroutine of the same worker borrows
/// from a thread-local and never returns it.
fn exit_beside_a_borrower(exit: fn() -> !) {
    let (ready, is_ready) = bounded::<()>(0);
    let borrower = go! {
        // Thread-locals are destroyed in the reverse order of their first use.
        FLUSH.with(|_| ());
        LENT.with(|lent| {
            go!(local; {
                // The text has no newline, so it stays in the buffer.
                print!("to be flushed");
                ready.send(()).unwrap();
                exit()
            });
            loop {
                time::sleep(Duration::from_millis(1));
                if lent.0.get() != 7 {
                    eprintln!("seen after it was destroyed");
                    std::process::abort();
                }
            }
        })
    };
    is_ready.recv().unwrap();
    borrower.join().unwrap();
}

#[test]
#[ignore = "run by exit_ends_the_process"]
fn exits() {
    exit_beside_a_borrower(|| process::exit(7));
}

#[test]
#[ignore = "run by nothing_parks_in_exit_of_std"]
fn exits_by_std() {
    exit_beside_a_borrower(|| std::process::exit(7));
}

/// The waiting destructor belongs to a later thread-local, made by the goroutine that ends the
/// process. The destructor may park and let other goroutines run, because the values that these
/// borrow have not been destroyed yet.
#[test]
#[ignore = "run by nothing_parks_in_exit_of_std"]
fn exits_by_std_with_a_later_thread_local() {
    thread_local! {
        static LATER: Flush = const { Flush };
    }
    exit_beside_a_borrower(|| LATER.with(|_| std::process::exit(7)));
}

/// std's `exit` runs the destructors of the worker's thread-locals on the goroutine's stack:
/// operations that would park there block the thread.
#[test]
#[cfg(target_env = "gnu")]
fn nothing_parks_in_exit_of_std() {
    for workers in ["1", "2"] {
        for test in ["exits_by_std", "exits_by_std_with_a_later_thread_local"] {
            let ended = child::run(&format!("exit::{test}"), &[("GOMAXPROCS", workers)]);
            assert_eq!(ended.status.code(), Some(7), "{}", ended.all());
            ended.says(&["the thread-local waits"]);
        }
    }
}

#[test]
#[ignore = "run by exit_ends_the_process"]
fn exits_on_a_thread() {
    thread::spawn(|| process::exit(7)).join().unwrap();
}

/// `exit` also works where a goroutine must not park, and while it unwinds.
#[test]
#[ignore = "run by exit_ends_the_process"]
fn exits_where_nothing_parks() {
    struct Exits;
    impl Drop for Exits {
        fn drop(&mut self) {
            go_runtime::without_parking(|| process::exit(7));
        }
    }
    let _ = go!({
        let _exits = Exits;
        std::panic::resume_unwind(Box::new(()))
    })
    .join();
}

#[test]
fn exit_ends_the_process() {
    for workers in ["1", "2"] {
        let ended = child::run("exit::exits", &[("GOMAXPROCS", workers)]);
        assert_eq!(ended.status.code(), Some(7), "{}", ended.all());
        assert!(ended.out.ends_with("to be flushed"), "{}", ended.all());
        ended.does_not_say(&["the thread-local waits", "seen after it was destroyed"]);
    }
    for test in ["exit::exits_on_a_thread", "exit::exits_where_nothing_parks"] {
        let ended = child::run(test, &[]);
        assert_eq!(ended.status.code(), Some(7), "{}", ended.all());
    }
}
