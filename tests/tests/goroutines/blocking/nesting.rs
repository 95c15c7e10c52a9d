//! `GODEBUG=nesting=1` reports goroutines that park inside code which relies on nested calls on its
//! thread.

use std::time::Duration;

use go_runtime::{Builder, go, time, without_parking};

use go_tests::support::child;

/// A type with the same path as one that the runtime knows, from another crate.
mod scoped_tls {
    pub(super) struct ScopedKey;

    impl ScopedKey {
        #[inline(never)]
        pub(super) fn set<T>(&self, f: impl FnOnce() -> T) -> T {
            let result = f();
            std::hint::black_box(self);
            result
        }
    }
}

fn waits() -> u32 {
    time::sleep(Duration::from_millis(1));
    5
}

fn waits_in_a_scope() -> u32 {
    scoped_tls::ScopedKey.set(waits)
}

#[test]
#[ignore = "run by parks_over_code_that_nests_are_told"]
fn parks_over_code_that_nests() {
    thread_local! {
        static VALUE: u32 = waits();
    }
    // This park is not inside such code.
    go!(waits()).join().unwrap();
    go!(name = "initializes"; { VALUE.with(|value| *value) })
        .join()
        .unwrap();
    let twice = go! {
        waits_in_a_scope();
        waits_in_a_scope()
    };
    twice.join().unwrap();
    let small = Builder::new().stack_size(32 << 10);
    let small = small.spawn(|| scoped_tls::ScopedKey.set(waits)).unwrap();
    small.join().unwrap();
    go!({ without_parking(waits_in_a_scope) }).join().unwrap();
    go!(thread; waits_in_a_scope()).join().unwrap();
}

#[test]
fn parks_over_code_that_nests_are_told() {
    let test = "nesting::parks_over_code_that_nests";
    let told = child::succeed(test, &[("GODEBUG", "nesting=1")]);
    told.says(&[
        "the goroutine 'initializes', spawned at tests/tests/goroutines/blocking/nesting.rs:",
        "get_or_init_slow",
        "go_runtime::sync::OnceLock",
        "ScopedKey::set, called by goroutines::blocking::nesting::waits_in_a_scope",
        "go_runtime::without_parking",
        "go!(thread; ...)",
    ]);
    let reports = told.err.lines();
    let reports = reports.filter(|line| line.starts_with("go-runtime: "));
    // There is one report for the initializer, one for the scope (although it is used twice), and
    // one for the scope on the small stack.
    assert_eq!(reports.count(), 3, "{}", told.err);
    assert_eq!(child::succeed(test, &[]).err, "");
}
