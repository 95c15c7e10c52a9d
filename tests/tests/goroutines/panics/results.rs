//! Results whose `Drop` panics. If such a result is not taken its panic goes no further, whether
//! the goroutine or the owner of the handle drops it. Also the message that is printed for a
//! goroutine's panic.

use std::future::IntoFuture;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind, set_hook, take_hook};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use go_runtime::errgroup::Group;
use go_runtime::{JoinHandle, JoinSet, go, scope, spawn};

use go_tests::support::{child, eventually, in_goroutine};

type Count = Arc<AtomicUsize>;

/// Panics when it is dropped, with a payload whose drop panics too.
struct Bad(Count);

impl Drop for Bad {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        resume_unwind(Box::new(BadPayload));
    }
}

struct BadPayload;

impl Drop for BadPayload {
    fn drop(&mut self) {
        panic!("the drop of a payload");
    }
}

fn bad(dropped: &Count) -> impl FnOnce() -> Bad + Send + 'static {
    let dropped = Arc::clone(dropped);
    move || Bad(dropped)
}

/// Returns a handle whose goroutine has ended.
fn ended<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let handle = spawn(f);
    while !handle.is_finished() {
        thread::yield_now();
    }
    handle
}

/// Runs `drops`, which drops `results` results, once normally and once while its thread unwinds.
#[track_caller]
fn never_in_the_dropper(results: usize, drops: fn(&Count)) {
    struct OnDrop(Count, fn(&Count));
    impl Drop for OnDrop {
        fn drop(&mut self) {
            (self.1)(&self.0);
        }
    }
    let dropped = Count::default();
    drops(&dropped);
    eventually(|| dropped.load(Ordering::SeqCst) == results);
    let unwinds = OnDrop(Arc::clone(&dropped), drops);
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _unwinds = unwinds;
        resume_unwind(Box::new("first"))
    }));
    assert_eq!(unwound.unwrap_err().downcast_ref(), Some(&"first"));
    eventually(|| dropped.load(Ordering::SeqCst) == 2 * results);
}

#[test]
fn a_handle_that_is_dropped() {
    never_in_the_dropper(1, |dropped| drop(ended(bad(dropped))));
    never_in_the_dropper(1, |dropped| drop(spawn(bad(dropped))));
    never_in_the_dropper(1, |dropped| drop(ended(bad(dropped)).into_future()));
    never_in_the_dropper(0, |_| drop(ended(|| panic_any(BadPayload))));
}

#[test]
fn a_set_that_is_dropped() {
    never_in_the_dropper(3, |dropped| {
        let set = JoinSet::new();
        for _ in 0..3 {
            set.spawn(bad(dropped));
        }
    });
    never_in_the_dropper(2, |dropped| {
        let mut set = JoinSet::new();
        set.spawn(bad(dropped));
        set.spawn(bad(dropped));
        set.spawn(bad(dropped));
        // The set may drop its other results before this call or after it.
        let taken = set.join_next().unwrap().unwrap();
        std::mem::forget(taken);
    });
}

#[test]
fn a_group_that_is_dropped() {
    never_in_the_dropper(1, |dropped| {
        let (group, bad) = (Group::new(), bad(dropped));
        group.go(|| Err(bad()));
    });
}

/// The scope reports the panic, whether the goroutine or the owner of the handle drops the result.
#[test]
fn a_scoped_handle_that_is_dropped() {
    for early in [true, false] {
        in_goroutine(move || {
            let dropped = Count::default();
            let scoped = catch_unwind(AssertUnwindSafe(|| {
                scope(|s| {
                    let handle = s.spawn(bad(&dropped));
                    if !early {
                        eventually(|| handle.is_finished());
                    }
                    let told = catch_unwind(AssertUnwindSafe(|| drop(handle)));
                    told.expect("the dropper");
                });
            }));
            let payload = scoped.unwrap_err();
            assert_eq!(
                go_runtime::panic_message(&*payload),
                "a scoped goroutine panicked"
            );
            assert_eq!(dropped.load(Ordering::SeqCst), 1);
        });
    }
}

fn fails() {
    assert!(
        go!(name = "culprit"; { panic!("the message") })
            .join()
            .is_err()
    );
}

#[test]
#[ignore = "run by hooks in a process of its own"]
fn with_stds_hook() {
    fails();
}

#[test]
#[ignore = "run by hooks in a process of its own"]
fn silenced_before_the_first_spawn() {
    set_hook(Box::new(|_| {}));
    fails();
}

#[test]
#[ignore = "run by hooks in a process of its own"]
fn silenced_after_the_first_spawn() {
    go!({}).join().unwrap();
    set_hook(Box::new(|_| {}));
    fails();
}

#[test]
#[ignore = "run by hooks in a process of its own"]
fn silenced_for_a_while() {
    go!({}).join().unwrap();
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    fails();
    set_hook(hook);
    fails();
}

#[test]
#[ignore = "run by hooks in a process of its own"]
fn with_a_hook_of_the_programs() {
    set_hook(Box::new(|_| eprintln!("the program's own words")));
    fails();
}

/// The runtime prints the goroutine's name only beside the message of std's own hook, which names
/// nothing but the thread.
#[test]
fn hooks() {
    let run = |test: &str| child::succeed(&format!("results::{test}"), &[]);
    let (ours, stds) = ("goroutine 'culprit', spawned at tests", "the message");
    run("with_stds_hook").says(&[ours, stds]);
    for silenced in [
        "silenced_before_the_first_spawn",
        "silenced_after_the_first_spawn",
    ] {
        run(silenced).does_not_say(&["culprit", stds]);
    }
    let while_silenced = run("silenced_for_a_while");
    assert_eq!(while_silenced.err.matches(ours).count(), 1);
    assert_eq!(while_silenced.err.matches(stds).count(), 1);
    let own = run("with_a_hook_of_the_programs");
    own.says(&["the program's own words"])
        .does_not_say(&["culprit", stds]);
}
