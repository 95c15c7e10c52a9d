//! Feature `tracing`: the spans that a goroutine has entered are its own.
//!
//! The process has one subscriber: `tracing_subscriber::Registry` with a layer that records the
//! spans of each event, and that waits or panics if a span's name says so.
#![cfg(target_os = "linux")]

use std::cell::RefCell;
use std::mem;
use std::panic;
use std::rc::Rc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Mutex, Once, mpsc};
use std::thread;
use std::time::Duration;

use go_runtime::channel::{self, bounded};
use go_runtime::{Builder, go, scope, yield_now};
use tracing::field::{Field, Visit};
use tracing::span::Id;
use tracing::{Event, Span, Subscriber, dispatcher, info, info_span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use go_tests::support::{NET, child, in_goroutine, settle};

/// The events so far: the text of each, and the spans that it was in, outermost first.
static SEEN: Mutex<Vec<(String, Vec<&str>)>> = Mutex::new(Vec::new());
/// The number of entered spans that have not been exited.
static ENTERED: AtomicIsize = AtomicIsize::new(0);

/// Receives, for each exit of a span "reports its exit", whether that was in a goroutine.
static EXITS: Mutex<Option<mpsc::Sender<bool>>> = Mutex::new(None);

struct Notes;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Notes {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
                self.0 = format!("{value:?}");
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        let spans = context.event_scope(event).into_iter();
        let spans = spans.flat_map(|spans| spans.from_root().map(|span| span.name()));
        SEEN.lock().unwrap().push((text.0, spans.collect()));
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        ENTERED.fetch_add(1, Ordering::Relaxed);
        misbehave(id, &context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        ENTERED.fetch_sub(1, Ordering::Relaxed);
        misbehave(id, &context);
    }
}

/// Waits or panics if the span's name says so, which a subscriber should not do.
fn misbehave<S: Subscriber + for<'a> LookupSpan<'a>>(id: &Id, context: &Context<'_, S>) {
    match context.span(id).map(|span| span.name()) {
        Some("panics") => panic!("a subscriber's panic"),
        Some("waits") => {
            let (tx, rx) = bounded::<()>(0);
            rx.recv_timeout(Duration::from_micros(100)).unwrap_err();
            go!({ tx.try_send(()) });
            yield_now();
        }
        Some("reports its exit") => {
            let is_in_goroutine = Builder::new().spawn_local(|| ()).is_ok();
            let exits = EXITS.lock().unwrap();
            exits.as_ref().unwrap().send(is_in_goroutine).unwrap();
        }
        _ => {}
    }
}

fn subscribe() {
    static SET: Once = Once::new();
    SET.call_once(|| {
        let subscriber = Registry::default().with(Notes);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// Returns the spans of the event with this text.
#[track_caller]
fn spans_of(text: &str) -> Vec<&'static str> {
    let seen = SEEN.lock().unwrap();
    let mut found = seen.iter().filter(|(said, _)| said == text);
    let (_, spans) = found
        .next()
        .unwrap_or_else(|| panic!("{text:?} was not said"));
    assert!(found.next().is_none(), "{text:?} was said twice");
    spans.clone()
}

#[test]
fn spans_stay_with_their_goroutine() {
    subscribe();
    in_goroutine(|| {
        let (go_on, wait) = bounded::<()>(0);
        let a = go!(local; {
            let outer = info_span!("outer of a");
            let _outer = outer.enter();
            {
                let inner = info_span!("inner of a");
                let _inner = inner.enter();
                // The span is entered for the second time.
                let _outer = outer.enter();
                wait.recv().unwrap();
                info!("a, innermost");
            }
            info!("a, outside");
        });
        settle();
        info!("b, in none");
        let span = info_span!("of b");
        let _entered = span.enter();
        go_on.send(()).unwrap();
        info!("b, in its own");
        a.join().unwrap();
        info!("b, after a");
        // A goroutine starts outside of all spans.
        go!(local; { info!("c") }).join().unwrap();
    });
    assert_eq!(spans_of("a, innermost"), ["outer of a", "inner of a"]);
    assert_eq!(spans_of("a, outside"), ["outer of a"]);
    assert_eq!(spans_of("b, in none"), [""; 0]);
    assert_eq!(spans_of("b, in its own"), ["of b"]);
    assert_eq!(spans_of("b, after a"), ["of b"]);
    assert_eq!(spans_of("c"), [""; 0]);
}

/// Goroutines enter and exit spans to all depths, and park, yield and sleep in between.
#[test]
#[ignore = "run by with_one_worker_and_several"]
fn spans_of_many_goroutines() {
    fn nest(depth: usize, spans: &mut Vec<Option<Id>>, tx: &channel::Sender<()>) {
        let check = |spans: &[Option<Id>]| {
            assert_eq!(Span::current().id(), spans.last().cloned().flatten());
        };
        check(spans);
        match depth % 3 {
            0 => yield_now(),
            1 => tx.send(()).unwrap(),
            _ => go_runtime::time::sleep(Duration::from_micros(depth as u64)),
        }
        check(spans);
        if depth > 0 {
            let span = info_span!("one of many");
            spans.push(span.id());
            span.in_scope(|| nest(depth - 1, spans, tx));
            spans.pop();
            yield_now();
            check(spans);
        }
    }
    subscribe();
    in_goroutine(|| {
        let (tx, rx) = bounded(0);
        let receiver = go!({ rx.iter().count() });
        scope(|s| {
            for n in 0..50 {
                let tx = &tx;
                go!(s; move || nest(n % 20, &mut Vec::new(), tx));
            }
        });
        drop(tx);
        assert!(receiver.join().unwrap() > 0);
    });
    assert_eq!(ENTERED.load(Ordering::Relaxed), 0);
}

#[test]
fn with_one_worker_and_several() {
    child::succeed_with(&["1", "4"], &["spans_of_many_goroutines"]);
}

#[test]
fn unwinding_leaves_spans_in_order() {
    struct Says(&'static str);
    impl Drop for Says {
        fn drop(&mut self) {
            assert!(thread::panicking());
            info!("{}", self.0);
        }
    }
    subscribe();
    in_goroutine(|| {
        let (go_on, wait) = bounded::<()>(0);
        let a = go!(local; {
            let span = info_span!("unwound");
            let _entered = span.enter();
            let _says = Says("while unwinding");
            wait.recv().unwrap();
            panic::resume_unwind(Box::new(()));
        });
        settle();
        info!("beside the one that will unwind");
        drop(go_on);
        a.join().unwrap_err();
        info!("after unwinding");
    });
    assert_eq!(spans_of("while unwinding"), ["unwound"]);
    assert_eq!(spans_of("beside the one that will unwind"), [""; 0]);
    assert_eq!(spans_of("after unwinding"), [""; 0]);
}

#[test]
fn forgotten_spans_end_with_their_goroutine() {
    subscribe();
    in_goroutine(|| {
        // The span itself stays open after its guard has been dropped.
        let kept = Rc::new(RefCell::new(None));
        let keep = Rc::clone(&kept);
        go!(local; {
            let span = info_span!("forgotten");
            mem::forget(span.clone().entered());
            yield_now();
            info!("in the forgotten one");
            *keep.borrow_mut() = Some(span);
        })
        .join()
        .unwrap();
        go!(local; { info!("after the forgotten one") })
            .join()
            .unwrap();
        assert!(kept.borrow().is_some());
    });
    assert_eq!(spans_of("in the forgotten one"), ["forgotten"]);
    assert_eq!(spans_of("after the forgotten one"), [""; 0]);
}

/// When the subscriber learns of the exit, the goroutine has ended and its task may have been
/// freed. This holds on a worker and on a goroutine's own thread, which others use afterwards.
#[test]
fn forgotten_spans_are_exited_in_no_goroutine() {
    subscribe();
    let (exited, exits) = mpsc::channel();
    *EXITS.lock().unwrap() = Some(exited);
    let forget = || {
        // (The subscriber also hears of the entry.)
        mem::forget(info_span!("reports its exit").entered());
    };
    drop(go!(forget()));
    assert_eq!(exits.recv_timeout(NET), Ok(true));
    assert_eq!(exits.recv_timeout(NET), Ok(false));
    drop(go!(thread; forget()));
    assert_eq!(exits.recv_timeout(NET), Ok(false));
    assert_eq!(exits.recv_timeout(NET), Ok(false));
}

/// A subscriber that misbehaves does not break the scheduler: its waits block the thread, and its
/// panics stay with the caller.
#[test]
#[ignore = "run by subscribers_that_misbehave"]
fn waits_and_panics() {
    subscribe();
    panic::set_hook(Box::new(|info| {
        let text = info.payload_as_str();
        assert_eq!(text, Some("a subscriber's panic"));
        eprintln!("hook");
    }));
    in_goroutine(|| {
        let pairs: Vec<_> = ["waits", "panics", "waits"]
            .into_iter()
            .map(|name| {
                let ((ping, pinged), (pong, ponged)) = (bounded(0), bounded(0));
                let one = go!(local; {
                    // The subscriber panics here too, but only this goroutine is affected.
                    let span = match name {
                        "waits" => info_span!("waits"),
                        _ => info_span!("panics"),
                    };
                    dispatcher::get_default(|subscriber| {
                        let enter = || subscriber.enter(&span.id().unwrap());
                        let _ = panic::catch_unwind(panic::AssertUnwindSafe(enter));
                    });
                    for n in 0..50 {
                        ping.send(n).unwrap();
                        assert_eq!(ponged.recv(), Ok(n + 1));
                    }
                });
                let other = go!(local; {
                    pinged.iter().take(50).for_each(|n| pong.send(n + 1).unwrap());
                });
                [one, other]
            })
            .collect();
        for one in pairs.into_iter().flatten() {
            one.join().unwrap();
        }
        assert_eq!(go!(local; { Span::current().id() }).join().unwrap(), None);
    });
}

#[test]
fn subscribers_that_misbehave() {
    let ended = child::succeed("waits_and_panics", &[("GOMAXPROCS", "2")]);
    ended.says(&["hook"]);
}

/// A goroutine's own subscriber (`with_default`) is the thread's default, but each span is entered
/// again at the subscriber that knows it.
#[test]
fn spans_of_two_subscribers() {
    subscribe();
    in_goroutine(|| {
        let (go_on, wait) = bounded::<()>(0);
        let own = dispatcher::Dispatch::new(Registry::default());
        let a = go!(local; {
            dispatcher::with_default(&own, || {
                let span = info_span!("at a's own subscriber");
                span.in_scope(|| {
                    wait.recv().unwrap();
                    assert_eq!(Span::current().id(), span.id());
                });
            });
            assert_eq!(Span::current().id(), None);
        });
        settle();
        assert_eq!(Span::current().id(), None);
        go_on.send(()).unwrap();
        a.join().unwrap();
    });
}
