//! `debug::metrics`, as values and as Prometheus text.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use go_runtime::channel::bounded;
use go_runtime::debug::{GoroutineState, Metrics, WaitReason, goroutines, metrics};
use go_runtime::sync::{Mutex, RwLock};
use go_runtime::{Builder, blocking, go, gomaxprocs, spawn, spawn_local, yield_now};

use go_tests::support::{FEW_AND_MANY, child, eventually, in_goroutine};

/// The tests of figures of the whole process have a process each.
#[test]
fn figures_at_several_gomaxprocs() {
    child::succeed_with(
        &FEW_AND_MANY,
        &[
            "by_state",
            "locks",
            "latencies",
            "wake_ups",
            "busy_shares",
            "threads",
            "stacks",
        ],
    );
}

/// Reads the metrics until `is_right` accepts them.
#[track_caller]
fn eventually_metrics(is_right: impl Fn(&Metrics) -> bool) -> Metrics {
    let mut now = metrics();
    eventually(|| {
        now = metrics();
        is_right(&now)
    });
    now
}

#[test]
#[ignore = "run by figures_at_several_gomaxprocs"]
fn by_state() {
    let (stop, done) = bounded::<()>(0);
    let mut waiting: Vec<_> = (0..100)
        .map(|_| go!(clone(done) { done.recv().unwrap_err(); }))
        .collect();
    waiting.push(go!(thread; clone(done) { done.recv().unwrap_err(); }));
    let (begin, begun) = bounded::<()>(1);
    let theirs = done.clone();
    waiting.push(go!({
        blocking(|| {
            begin.send(()).unwrap();
            theirs.recv().unwrap_err();
        })
    }));
    begun.recv().unwrap();
    let now = eventually_metrics(|now| now.goroutines_waiting == 101);
    assert_eq!(now.goroutines, 102);
    assert_eq!(now.goroutines_not_in_go, 1);
    assert_eq!(now.blocking.busy, 1);
    assert_eq!((now.goroutines_running, now.goroutines_runnable), (0, 0));
    assert_eq!(now.gomaxprocs, gomaxprocs());
    assert!(now.workers.len() >= gomaxprocs());

    let created = now.goroutines_created;
    go! {
        let children: Vec<_> = (0..10).map(|_| spawn_local(|| ())).collect();
        let now = metrics();
        // This goroutine runs, and its children cannot start before it waits.
        assert!(now.goroutines_running >= 1, "{now:?}");
        assert_eq!(now.goroutines_runnable, 10, "{now:?}");
        let states = now.goroutines_running + now.goroutines_runnable + now.goroutines_waiting;
        assert_eq!(now.goroutines, states + now.goroutines_not_in_go);
        assert_eq!(now.goroutines_created, created + 11);
        for child in children {
            child.join().unwrap();
        }
    }
    .join()
    .unwrap();

    drop(stop);
    waiting.into_iter().for_each(|one| one.join().unwrap());
    let now = eventually_metrics(|now| now.blocking.busy == 0);
    assert_eq!(now.goroutines, 0);
    assert!(now.workers.iter().any(|worker| worker.turns > 0));
}

/// The wait of each goroutine counts at least for as long as the test sees that it waits.
#[test]
#[ignore = "run by figures_at_several_gomaxprocs"]
fn locks() {
    fn waits<G>(reason: WaitReason, held: G, lock: impl FnOnce() + Send + 'static) {
        let before = metrics().mutex_wait;
        let waiter = spawn(lock);
        let waits = GoroutineState::Waiting(reason);
        eventually(|| goroutines().iter().any(|one| one.state() == waits));
        let seen = Instant::now();
        thread::sleep(Duration::from_millis(10));
        let waited = seen.elapsed();
        drop(held);
        waiter.join().unwrap();
        let counted = metrics().mutex_wait - before;
        assert!(counted >= waited, "{counted:?}, {waited:?}");
    }
    let mutex = Arc::new(Mutex::new(()));
    let theirs = Arc::clone(&mutex);
    let held = mutex.lock().unwrap();
    waits(WaitReason::MutexLock, held, move || drop(theirs.lock()));
    let rw_lock = Arc::new(RwLock::new(()));
    let theirs = Arc::clone(&rw_lock);
    let held = rw_lock.write().unwrap();
    waits(WaitReason::RwLockRead, held, move || drop(theirs.read()));
    let theirs = Arc::clone(&rw_lock);
    let held = rw_lock.read().unwrap();
    waits(WaitReason::RwLockWrite, held, move || drop(theirs.write()));
    let before = metrics().mutex_wait;
    in_goroutine(move || (0..1000).for_each(|_| drop(mutex.lock().unwrap())));
    assert_eq!(metrics().mutex_wait, before, "no wait, no time");
}

/// Computes for as long by the clock.
fn compute(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        std::hint::spin_loop();
    }
}

#[test]
#[ignore = "run by figures_at_several_gomaxprocs"]
fn latencies() {
    let count_from = |metrics: &Metrics, from: Duration| -> u64 {
        let all = &metrics.sched_latencies;
        let first = all.bounds.iter().position(|&bound| bound > from).unwrap();
        all.counts[first..].iter().sum()
    };
    let ended = Arc::new(AtomicBool::new(false));
    let run = |turn: Duration| -> Vec<_> {
        let one = |ended: Arc<AtomicBool>| {
            move || {
                while !ended.load(Ordering::Relaxed) {
                    compute(turn);
                    yield_now();
                }
            }
        };
        let all = (0..3 * gomaxprocs()).map(|_| spawn(one(Arc::clone(&ended))));
        all.collect()
    };
    // Goroutines that let each other run all the time.
    let quick = run(Duration::ZERO);
    let ms = Duration::from_millis;
    let now = eventually_metrics(|now| {
        let all = now.sched_latencies.count();
        all >= 20 && all - count_from(now, ms(1)) >= 10
    });
    assert_eq!(
        now.sched_latencies.counts.len(),
        now.sched_latencies.bounds.len() + 1
    );
    ended.store(true, Ordering::Relaxed);
    quick.into_iter().for_each(|one| one.join().unwrap());
    // Goroutines that hold their worker.
    ended.store(false, Ordering::Relaxed);
    let before = count_from(&metrics(), ms(20));
    let slow = run(ms(30));
    let now = eventually_metrics(|now| count_from(now, ms(20)) >= before + 3);
    assert!(now.sched_latencies.sum >= ms(60), "{now:?}");
    assert!(now.sched_latencies.quantile(0.0).is_some());
    ended.store(true, Ordering::Relaxed);
    slow.into_iter().for_each(|one| one.join().unwrap());
}

/// A goroutine that does not compute at a tick of the monitor is sampled when it wakes its worker.
#[test]
#[ignore = "run by figures_at_several_gomaxprocs"]
fn wake_ups() {
    let (tx, rx) = bounded::<()>(0);
    let goroutine = go!({ for () in rx {} });
    let total = |metrics: &Metrics| -> u64 {
        let all = metrics.workers.iter();
        all.map(|worker| worker.wakeups).sum()
    };
    let before = metrics();
    let now = {
        let mut now = before.clone();
        eventually(|| {
            tx.send(()).unwrap();
            thread::sleep(Duration::from_millis(6));
            now = metrics();
            now.sched_latencies.count() >= before.sched_latencies.count() + 5
                && total(&now) >= total(&before) + 5
        });
        now
    };
    let sum = now.sched_latencies.sum - before.sched_latencies.sum;
    assert!(sum > Duration::ZERO);
    // A thread's goroutines come to workers by way of the injector.
    let steals = |metrics: &Metrics| metrics.workers.iter().map(|one| one.steals).sum::<u64>();
    let before = steals(&now);
    go!({}).join().unwrap();
    eventually_metrics(|now| steals(now) > before);
    drop(tx);
    goroutine.join().unwrap();
}

#[test]
#[ignore = "run by figures_at_several_gomaxprocs"]
fn busy_shares() {
    go!({}).join().unwrap();
    let before = metrics();
    let ended = Arc::new(AtomicBool::new(false));
    let hog = go!(clone(ended) {
        while !ended.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    });
    let share = |now: &Metrics| {
        let shares = now.workers.iter().enumerate();
        let shares = shares.map(|(index, one)| one.busy_share(before.workers.get(index)));
        shares.fold(0.0, f64::max)
    };
    let now = eventually_metrics(|now| share(now) > 0.8);
    let busiest = now.workers.iter().max_by_key(|worker| worker.busy).unwrap();
    assert!(busiest.busy <= busiest.age, "{busiest:?}");
    eventually_metrics(|now| {
        let cpu = now.workers.iter().filter_map(|worker| worker.cpu);
        cpu.sum::<Duration>() > Duration::from_millis(50)
    });
    ended.store(true, Ordering::Relaxed);
    hog.join().unwrap();
    // Nothing runs from now on.
    let before = metrics();
    thread::sleep(Duration::from_millis(20));
    let busy = |now: &Metrics| now.workers.iter().map(|one| one.busy).sum::<Duration>();
    eventually(|| {
        let earlier = busy(&metrics());
        thread::sleep(Duration::from_millis(20));
        busy(&metrics()) == earlier
    });
    assert!(busy(&metrics()) >= busy(&before));
}

/// The system has as many threads whose names are the runtime's.
#[test]
#[ignore = "run by figures_at_several_gomaxprocs"]
fn threads() {
    let named = || {
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")));
        // A thread may have ended since it was listed.
        let ours = names.filter(|name| name.as_ref().is_ok_and(|name| name.starts_with("go-")));
        ours.count()
    };
    let (stop, done) = bounded::<()>(0);
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(go!(thread; clone(done) { done.recv().unwrap_err(); }));
        all.push(go!(clone(done) { blocking(|| done.recv().unwrap_err()); }));
    }
    let least = gomaxprocs() + 1 + 6;
    eventually(|| metrics().threads == named() && named() >= least);
    drop(stop);
    all.into_iter().for_each(|one| one.join().unwrap());
    // The threads of the pools end after two seconds.
    eventually(|| metrics().threads == named() && named() < least);
}

#[test]
#[ignore = "run by figures_at_several_gomaxprocs"]
fn stacks() {
    go!({}).join().unwrap();
    let (stop, done) = bounded::<()>(0);
    let before = metrics().stacks_bytes.unwrap();
    let start = |_| {
        let builder = Builder::new().stack_size(64 << 10);
        let done = done.clone();
        builder.spawn(move || done.recv().unwrap_err()).unwrap()
    };
    let all: Vec<_> = (0..100).map(start).collect();
    let wanted = before + 100 * (64 << 10);
    eventually(|| metrics().stacks_bytes.unwrap() >= wanted);
    drop(stop);
    for one in all {
        one.join().unwrap();
    }
    eventually(|| metrics().stacks_bytes.unwrap() < wanted);
}

#[test]
#[ignore = "run by before_the_start_all_are_zero"]
fn not_started() {
    assert_eq!(metrics(), Metrics::default());
    let families = parse(&metrics().to_string());
    assert_eq!(families["go_sched_goroutines"].one(), 0.0);
    assert_eq!(metrics(), Metrics::default(), "the runtime was started");
}

#[test]
fn before_the_start_all_are_zero() {
    child::succeed("not_started", &[]);
}

// --- Prometheus's text format ---

/// The names and values of labels.
type Labels = Vec<(String, String)>;

/// A metric as the text has it.
struct Family {
    kind: String,
    /// The name, the labels and the value of each line.
    samples: Vec<(String, Labels, f64)>,
}

impl Family {
    /// Returns the value of a metric that has one.
    #[track_caller]
    fn one(&self) -> f64 {
        assert_eq!(self.samples.len(), 1);
        assert_eq!(self.samples[0].1, []);
        self.samples[0].2
    }
}

fn is_name(name: &str) -> bool {
    let starts_well = |c: char| c.is_ascii_alphabetic() || "_:".contains(c);
    name.starts_with(starts_well) && name.chars().all(|c| starts_well(c) || c.is_ascii_digit())
}

/// Parses the labels of a sample: `{name="value",...}`.
#[track_caller]
fn parse_labels(text: &str) -> Labels {
    let mut labels = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").expect("a label has a quoted value");
        assert!(is_name(name) && !name.contains(':'), "{name:?}");
        let (value, after) = after
            .split_once('"')
            .expect("a quote at the end of a value");
        assert!(
            !value.contains(['\\', '\n']),
            "nothing needs escapes: {value:?}"
        );
        labels.push((name.to_owned(), value.to_owned()));
        rest = match after.strip_prefix(',') {
            Some(more) => {
                assert!(!more.is_empty(), "a comma without a label: {text:?}");
                more
            }
            None => {
                assert_eq!(after, "", "{text:?}");
                after
            }
        };
    }
    labels
}

/// Parses a text as the format's description demands, and more strictly: each metric has HELP, then
/// TYPE, then its samples, all in one place.
#[track_caller]
fn parse(text: &str) -> HashMap<String, Family> {
    assert!(text.ends_with('\n'), "the last line has no end");
    let mut families = HashMap::new();
    let mut lines = text.lines().peekable();
    let mut seen = HashSet::new();
    while let Some(help) = lines.next() {
        let (name, help) = help
            .strip_prefix("# HELP ")
            .and_then(|rest| rest.split_once(' '))
            .unwrap_or_else(|| panic!("no HELP: {help:?}"));
        assert!(is_name(name), "{name:?}");
        assert!(!help.is_empty() && !help.contains('\\'), "{help:?}");
        let kind = lines
            .next()
            .and_then(|line| line.strip_prefix("# TYPE "))
            .and_then(|rest| rest.strip_prefix(name))
            .and_then(|rest| rest.strip_prefix(' '))
            .unwrap_or_else(|| panic!("no TYPE of {name}"));
        assert!(
            ["counter", "gauge", "histogram"].contains(&kind),
            "{kind:?}"
        );
        let mut samples = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (key, value) = line.rsplit_once(' ').expect("a value");
            let (sample, labels) = match key.split_once('{') {
                Some((sample, labels)) => (sample, labels.strip_suffix('}').expect("a brace")),
                None => (key, ""),
            };
            let suffix = sample.strip_prefix(name).expect("the metric's name");
            let suffixes: &[&str] = match kind {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            assert!(suffixes.contains(&suffix), "{line:?}");
            assert!(seen.insert(key.to_owned()), "twice: {key:?}");
            let value: f64 = value.parse().expect("a number");
            assert!(value >= 0.0 && value.is_finite(), "{line:?}");
            samples.push((sample.to_owned(), parse_labels(labels), value));
        }
        assert!(!samples.is_empty(), "{name} has no samples");
        if kind == "counter" {
            assert!(name.ends_with("_total"), "{name}");
        }
        let kind = kind.to_owned();
        let family = Family { kind, samples };
        if family.kind == "histogram" {
            check_histogram(name, &family);
        }
        assert!(
            families.insert(name.to_owned(), family).is_none(),
            "twice: {name}"
        );
    }
    families
}

/// Checks the rules for histograms: bounds and counts rise, the last bound is infinite, and the
/// count is that of its bucket.
#[track_caller]
fn check_histogram(name: &str, family: &Family) {
    let (ends, buckets): (Vec<_>, Vec<_>) = family
        .samples
        .iter()
        .partition(|(sample, _, _)| !sample.ends_with("_bucket"));
    let mut bounds = Vec::new();
    for (_, labels, count) in &buckets {
        let [(label, bound)] = &labels[..] else {
            panic!("{name}: {labels:?}");
        };
        assert_eq!(label, "le");
        let bound = match &**bound {
            "+Inf" => f64::INFINITY,
            bound => bound.parse().expect("a bound"),
        };
        bounds.push((bound, *count));
    }
    for pair in bounds.windows(2) {
        assert!(
            pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1,
            "{name}: {pair:?}"
        );
    }
    let last = bounds.last().expect("a bucket");
    assert_eq!(last.0, f64::INFINITY);
    let ends: HashMap<_, _> = ends
        .iter()
        .map(|(name, _, value)| (&**name, *value))
        .collect();
    assert_eq!(ends.len(), 2, "{name}");
    assert_eq!(ends[&*format!("{name}_count")], last.1);
    assert!(ends.contains_key(&*format!("{name}_sum")));
}

#[test]
#[should_panic(expected = "twice")]
fn the_parser_is_strict() {
    parse("# HELP a b\n# TYPE a gauge\na 1\na 2\n");
}

#[test]
fn prometheus_text() {
    // (Some latencies are sampled.)
    in_goroutine(|| compute(Duration::from_millis(30)));
    let metrics = eventually_metrics(|now| now.sched_latencies.count() > 0);
    let mut text = Vec::new();
    metrics.write_prometheus(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text, metrics.to_string());
    let families = parse(&text);

    let values = [
        ("go_sched_goroutines", metrics.goroutines),
        ("go_sched_goroutines_runnable", metrics.goroutines_runnable),
        ("go_sched_goroutines_running", metrics.goroutines_running),
        ("go_sched_goroutines_waiting", metrics.goroutines_waiting),
        (
            "go_sched_goroutines_not_in_go",
            metrics.goroutines_not_in_go,
        ),
        (
            "go_sched_goroutines_created_total",
            metrics.goroutines_created,
        ),
        ("go_sched_gomaxprocs_threads", metrics.gomaxprocs),
        ("go_sched_threads", metrics.threads),
        ("go_sched_injector_goroutines", metrics.injector),
        ("go_blocking_queued_calls", metrics.blocking.queued),
    ];
    for (name, value) in values {
        assert_eq!(families[name].one(), value as f64, "{name}");
    }
    let waited = families["go_sync_mutex_wait_seconds_total"].one();
    assert_eq!(waited, metrics.mutex_wait.as_secs_f64());
    let stacks = families.get("go_memory_classes_heap_stacks_bytes");
    let stacks = stacks.map(|family| family.one() as usize);
    assert_eq!(stacks, metrics.stacks_bytes);

    let latencies = &families["go_sched_latencies_seconds"];
    assert_eq!(latencies.kind, "histogram");
    let of = |suffix| {
        let mut all = latencies.samples.iter();
        all.find(|sample| sample.0.ends_with(suffix)).unwrap().2
    };
    assert_eq!(of("_count"), metrics.sched_latencies.count() as f64);
    assert_eq!(of("_sum"), metrics.sched_latencies.sum.as_secs_f64());

    let turns = &families["go_worker_turns_total"].samples;
    assert_eq!(turns.len(), metrics.workers.len());
    for ((_, labels, value), (index, worker)) in
        turns.iter().zip(metrics.workers.iter().enumerate())
    {
        assert_eq!(labels[..], [("worker".to_owned(), index.to_string())]);
        assert_eq!(*value, worker.turns as f64);
    }
}

#[test]
fn an_error_of_the_writer_comes_back() {
    let mut none: &mut [u8] = &mut [];
    let error = metrics().write_prometheus(&mut none).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WriteZero);
}
