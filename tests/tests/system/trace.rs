//! The flight recorder and traces, as a reader of their files sees them.

#[path = "trace/reader.rs"]
mod reader;

use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{env, fs, panic, process, thread};

use go_runtime::channel::{bounded, unbounded};
use go_runtime::sync::WaitGroup;
use go_runtime::trace::{self, FlightRecorder, FlightRecorderConfig};
use go_runtime::{Builder, blocking, go, gomaxprocs, scope, time, yield_now};

use go_tests::support::{at_several_gomaxprocs, in_goroutine, run_with};
use reader::{Trace, Type};

/// One recording is active at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `test` in a goroutine while no other test records.
#[track_caller]
fn alone_in_goroutine(test: impl FnOnce() + Send + 'static) {
    let _alone = alone();
    in_goroutine(test);
}

/// Makes a recorder with room for what one test does. (Its reader is not optimized.)
fn recorder() -> FlightRecorder {
    FlightRecorder::new(FlightRecorderConfig {
        max_bytes: 100_000 * (gomaxprocs() + 1),
        ..Default::default()
    })
}

/// Returns a started recorder, with which the caller's worker records already.
fn started() -> FlightRecorder {
    let recorder = recorder();
    recorder.start().unwrap();
    yield_now();
    recorder
}

fn written(recorder: &FlightRecorder) -> Trace {
    let mut bytes = Vec::new();
    let length = recorder.write_to(&mut bytes).unwrap();
    assert_eq!(length, bytes.len() as u64);
    Trace::read(&bytes)
}

/// A writer that others can look into.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn read(&self) -> Trace {
        Trace::read(&self.0.lock().unwrap())
    }
}

/// Runs two goroutines that send each other a hundred messages.
fn play() {
    play_on(false);
}

/// Runs the two goroutines of [`play`]: both on the caller's worker, so that they have to park, or
/// wherever they start, where they may only spin.
fn play_on(this_worker: bool) {
    let (ping, pinged) = bounded(0);
    let (pong, ponged) = bounded(0);
    let pings = move || {
        for _ in 0..100 {
            ping.send(()).unwrap();
            ponged.recv().unwrap();
        }
    };
    let pongs = move || {
        for _ in pinged {
            if pong.send(()).is_err() {
                return;
            }
        }
    };
    let builder = Builder::new().name("pinger");
    let (pinger, ponger) = if this_worker {
        (builder.spawn_local(pings), go!(local; pongs()))
    } else {
        (builder.spawn(pings), go!(pongs()))
    };
    pinger.unwrap().join().unwrap();
    ponger.join().unwrap();
}

#[test]
fn few_and_many_workers() {
    at_several_gomaxprocs(&["every::"]);
    at_several_gomaxprocs(&["first::"]);
    run_with(&["1", "4"], &["whole", "python"]);
}

/// What has to hold with every number of workers.
mod every {
    use super::*;

    #[test]
    #[ignore = "few_and_many_workers runs it"]
    fn spawn_sites_names_reasons_and_flows() {
        alone_in_goroutine(|| {
            let recorder = started();
            play_on(true);
            let line = line!() + 1;
            go! { yield_now() }.join().unwrap();
            let trace = written(&recorder);
            recorder.stop();

            let [pinger] = trace.goroutines("pinger")[..] else {
                panic!("one goroutine has the name: {:?}", trace.tracks)
            };
            let states = trace.slices(pinger);
            assert_eq!(states[0], "running");
            assert!(states.contains(&"runnable"), "{states:?}");
            let waits = ["chan receive", "chan send"];
            assert!(
                states.iter().any(|state| waits.contains(state)),
                "{states:?}"
            );
            // A turn has the name, or the spawn site.
            assert!(!trace.on_threads("pinger").is_empty());
            let site = format!("trace.rs:{line}:");
            let turns = trace.on_threads(&site);
            assert!(turns.iter().any(|turn| turn.kind == Type::Begin));
            let [yielding] = trace.goroutines(&format!("trace.rs:{line}"))[..] else {
                panic!("one goroutine was spawned there: {:?}", trace.tracks)
            };
            let states = trace.slices(yielding);
            assert_eq!(states, ["running", "runnable", "running"]);
            // Its spawn and its first turn are connected, and so are wake-ups and turns.
            let is_spawn = |(begin, end): &&(reader::Event, reader::Event)| {
                begin.name.starts_with("spawn ")
                    && begin.name.contains(&site)
                    && end.name.contains(&site)
            };
            assert_eq!(trace.flows.iter().filter(is_spawn).count(), 1);
            let unparks = trace.flows.iter().filter(|flow| flow.0.name == "unpark");
            assert!(unparks.count() >= 100);
            assert!(trace.events.iter().any(|event| event.kind == Type::Counter));
        });
    }

    #[test]
    #[ignore = "few_and_many_workers runs it"]
    fn started_and_stopped_while_goroutines_run() {
        alone_in_goroutine(|| {
            let stop = AtomicBool::new(false);
            scope(|s| {
                for _ in 0..4 {
                    s.spawn(|| {
                        while !stop.load(Ordering::Relaxed) {
                            play();
                        }
                    });
                }
                // (Few rounds: the reader, which is not optimized, takes most of the time.)
                for round in 0..4 {
                    let recorder = started();
                    assert!(recorder.enabled());
                    play();
                    let trace = written(&recorder);
                    if round % 2 == 0 {
                        recorder.stop();
                        assert!(!recorder.enabled());
                    } else {
                        drop(recorder);
                    }
                    assert!(!trace.events.is_empty());
                    let shared = Shared::default();
                    trace::start(shared.clone()).unwrap();
                    play();
                    trace::stop().unwrap();
                    shared.read();
                }
                stop.store(true, Ordering::Relaxed);
            });
        });
    }

    #[test]
    #[ignore = "few_and_many_workers runs it"]
    fn written_by_many_at_a_time() {
        alone_in_goroutine(|| {
            // A small ring, which is overwritten all the time.
            let recorder = FlightRecorder::new(FlightRecorderConfig {
                max_bytes: 64 << 10,
                ..Default::default()
            });
            recorder.start().unwrap();
            let (recorder, wg) = (Arc::new(recorder), WaitGroup::new());
            let mut threads = Vec::new();
            for writer in 0..6 {
                let recorder = Arc::clone(&recorder);
                let write = move || {
                    for _ in 0..5 {
                        written(&recorder);
                    }
                };
                if writer % 3 == 0 {
                    threads.push(thread::spawn(write));
                } else {
                    wg.spawn(write);
                }
            }
            (0..20).for_each(|_| play());
            wg.wait();
            blocking(|| threads.into_iter().for_each(|one| one.join().unwrap()));
            assert!(recorder.enabled());
        });
    }

    #[test]
    #[ignore = "few_and_many_workers runs it"]
    fn written_by_a_destructor() {
        struct OnDrop(Arc<FlightRecorder>, Arc<AtomicUsize>);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                self.1
                    .store(written(&self.0).events.len(), Ordering::Relaxed);
            }
        }
        alone_in_goroutine(|| {
            let recorder = Arc::new(started());
            let count = Arc::new(AtomicUsize::new(0));
            play();
            let on_drop = OnDrop(Arc::clone(&recorder), Arc::clone(&count));
            let unwinding = go! {
                let _on_drop = on_drop;
                panic::resume_unwind(Box::new("unwinds"));
            };
            unwinding.join().unwrap_err();
            assert!(count.swap(0, Ordering::Relaxed) > 0);
            // The destructor of a goroutine's result, which is dropped when it has ended.
            let on_drop = OnDrop(Arc::clone(&recorder), Arc::clone(&count));
            drop(go!(move || on_drop));
            while count.load(Ordering::Relaxed) == 0 {
                yield_now();
            }
            // (The goroutine may not have dropped its share of the recorder yet.)
            recorder.stop();
        });
    }

    #[test]
    #[ignore = "few_and_many_workers runs it"]
    fn threads_timers_and_blocking_calls() {
        alone_in_goroutine(|| {
            let recorder = started();
            let (tx, rx) = unbounded();
            let waiting = Builder::new().name("waiting").spawn(move || {
                rx.recv().unwrap();
                time::sleep(Duration::from_millis(1));
                blocking(|| ());
            });
            yield_now();
            let sender = thread::Builder::new().name("sender".into());
            let sender = sender.spawn(move || tx.send(()).unwrap()).unwrap();
            waiting.unwrap().join().unwrap();
            sender.join().unwrap();
            let trace = written(&recorder);
            let [track] = trace.goroutines("waiting")[..] else {
                panic!("one goroutine has the name: {:?}", trace.tracks)
            };
            let states = trace.slices(track);
            assert!(states.contains(&"sleep"), "{states:?}");
            assert!(states.contains(&"blocking"), "{states:?}");
            let [call] = trace.on_threads("blocking")[..] else {
                panic!("there was one call")
            };
            assert_eq!(trace.tracks[&call.track].name, "go-blocking");
            let by_pool = |flow: &&(reader::Event, reader::Event)| flow.0.track == call.track;
            assert_eq!(trace.flows.iter().filter(by_pool).count(), 1);
            if states.contains(&"chan receive") {
                let of_sender = |flow: &&(reader::Event, reader::Event)| {
                    trace.tracks[&flow.0.track].name == "sender"
                };
                assert!(trace.flows.iter().filter(of_sender).count() >= 1);
            }
        });
    }

    #[test]
    #[ignore = "few_and_many_workers runs it"]
    fn a_slow_writer_loses_events_and_says_how_many() {
        /// Blocks its first write until it is told to go on.
        struct Gate(Arc<(Mutex<bool>, Condvar)>, Shared);
        impl Write for Gate {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let open = self.0.0.lock().unwrap();
                drop(self.0.1.wait_while(open, |open| !*open).unwrap());
                self.1.write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        alone_in_goroutine(|| {
            let (gate, shared) = (Arc::default(), Shared::default());
            trace::start(Gate(Arc::clone(&gate), shared.clone())).unwrap();
            yield_now();
            // Each turn makes two events, and a ring has room for 65,536.
            const TURNS: u64 = 100_000;
            let line = line!() + 1;
            let local = go!(local; for _ in 1..TURNS { yield_now() });
            local.join().unwrap();
            *gate.0.lock().unwrap() = true;
            gate.1.notify_all();
            trace::stop().unwrap();
            let trace = shared.read();
            let lost = trace.lost();
            let turns = trace.on_threads(&format!("trace.rs:{line}:"));
            let turns = turns.iter().filter(|turn| turn.kind == Type::Begin).count() as u64;
            assert!(lost > 0 && turns > 0);
            assert!(
                2 * turns + lost >= 2 * TURNS,
                "{turns} turns, {lost} events lost"
            );
        });
    }

    #[test]
    #[ignore = "few_and_many_workers runs it"]
    fn writers_that_fail() {
        struct Fails(bool);
        impl Write for Fails {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                if self.0 {
                    panic::resume_unwind(Box::new("the writer panics"));
                }
                Err(io::Error::new(io::ErrorKind::StorageFull, "no room"))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        alone_in_goroutine(|| {
            let recorder = started();
            play();
            let error = recorder.write_to(&mut Fails(false)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            let panics = || drop(recorder.write_to(&mut Fails(true)));
            panic::catch_unwind(panic::AssertUnwindSafe(panics)).unwrap_err();
            assert!(!written(&recorder).events.is_empty());
            recorder.stop();
            for panics in [false, true] {
                trace::start(Fails(panics)).unwrap();
                play();
                let error = trace::stop().unwrap_err();
                let kind = if panics {
                    io::ErrorKind::Other
                } else {
                    io::ErrorKind::StorageFull
                };
                assert_eq!(error.kind(), kind);
                trace::stop().unwrap();
            }
            let shared = Shared::default();
            trace::start(shared.clone()).unwrap();
            play();
            trace::stop().unwrap();
            shared.read();
        });
    }

    #[test]
    #[ignore = "few_and_many_workers runs it"]
    fn one_at_a_time() {
        alone_in_goroutine(|| {
            let (first, second) = (started(), recorder());
            assert!(second.start().unwrap_err().is_active());
            assert!(first.start().unwrap_err().is_active());
            assert!(trace::start(io::sink()).unwrap_err().is_active());
            assert!(first.enabled() && !second.enabled());
            let error = second.write_to(&mut io::sink()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotConnected);
            second.stop();
            assert!(first.enabled());
            first.stop();
            first.stop();
            second.start().unwrap();
            assert!(first.write_to(&mut io::sink()).is_err());
            drop(second);
            trace::start(io::sink()).unwrap();
            assert!(first.start().unwrap_err().is_active());
            assert!(trace::start(io::sink()).unwrap_err().is_active());
            trace::stop().unwrap();
            first.start().unwrap();
        });
    }
}

/// What has to hold when no worker has recorded before: a worker that has just ended one recording
/// may begin the next a round later.
mod first {
    use super::*;

    #[test]
    #[ignore = "few_and_many_workers runs it"]
    fn thousands_that_end() {
        alone_in_goroutine(|| {
            let shared = Shared::default();
            trace::start(shared.clone()).unwrap();
            yield_now();
            const MANY: usize = 2000;
            let line = line!() + 2;
            for _ in 0..4 {
                let handles: Vec<_> = (0..MANY / 4).map(|_| go! { yield_now() }).collect();
                handles.into_iter().for_each(|one| one.join().unwrap());
            }
            trace::stop().unwrap();
            let trace = shared.read();
            let tracks = trace.goroutines(&format!("trace.rs:{line}"));
            if trace.lost() == 0 {
                assert_eq!(tracks.len(), MANY);
                for track in tracks {
                    assert_eq!(trace.slices(track), ["running", "runnable", "running"]);
                }
                let spawns = trace
                    .flows
                    .iter()
                    .filter(|flow| flow.0.name.contains("spawn"));
                assert!(spawns.count() >= MANY);
            }
        });
    }
}

/// A recorder keeps what is younger than its age, at most.
#[test]
fn age() {
    alone_in_goroutine(|| {
        let recorder = FlightRecorder::new(FlightRecorderConfig {
            min_age: Duration::ZERO,
            ..Default::default()
        });
        recorder.start().unwrap();
        play();
        assert!(written(&recorder).goroutines("pinger").is_empty());
    });
}

/// Names of threads are forgotten when their events are, and told again with new events.
#[test]
fn many_threads() {
    alone_in_goroutine(|| {
        // The ring of the threads has room for 64 events.
        let recorder = FlightRecorder::new(FlightRecorderConfig {
            max_bytes: 0,
            ..Default::default()
        });
        recorder.start().unwrap();
        let on_thread = |name: String, run: Box<dyn FnOnce() + Send>| {
            let thread = thread::Builder::new().name(name).spawn(run).unwrap();
            blocking(|| thread.join().unwrap());
        };
        let (again, turns) = std::sync::mpsc::channel();
        let lasting = thread::Builder::new().name("lasting".into());
        let lasting = lasting.spawn(move || turns.into_iter().for_each(|()| drop(go!({}))));
        again.send(()).unwrap();
        for number in 0..300 {
            on_thread(format!("thread {number}"), Box::new(|| drop(go!({}))));
        }
        again.send(()).unwrap();
        drop(again);
        blocking(|| lasting.unwrap().join().unwrap());
        let trace = written(&recorder);
        let is_there = |name: &str| trace.tracks.values().any(|track| track.name == name);
        assert!(
            is_there("lasting") && is_there("thread 299"),
            "{:?}",
            trace.tracks
        );
        assert!(!is_there("thread 0"), "{:?}", trace.tracks);
        recorder.stop();
    });
}

/// Without a worker: from a thread.
#[test]
fn whole_from_a_thread() {
    let _alone = alone();
    let shared = Shared::default();
    trace::start(shared.clone()).unwrap();
    // The workers begin within a round.
    let is_there = |trace: &Trace| !trace.goroutines("pinger").is_empty();
    for _ in 0..gomaxprocs() + 1 {
        play();
    }
    trace::stop().unwrap();
    assert!(is_there(&shared.read()));
}

/// Perfetto's own message classes read the same, if Python has them (`pip install perfetto`).
/// PYTHON names another interpreter than `python3`.
#[test]
fn python_reads_it() {
    alone_in_goroutine(|| {
        let path = env::temp_dir().join(format!("go-trace-{}.perfetto-trace", process::id()));
        trace::start(fs::File::create(&path).unwrap()).unwrap();
        yield_now();
        play();
        go! { time::sleep(Duration::from_millis(1)) }
            .join()
            .unwrap();
        blocking(|| ());
        trace::stop().unwrap();
        let ours = Trace::read(&fs::read(&path).unwrap());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system/trace/read.py");
        let python = env::var_os("PYTHON").unwrap_or("python3".into());
        let run = Command::new(python).arg(script).arg(&path).output();
        fs::remove_file(&path).unwrap();
        let Ok(run) = run else {
            println!("skipped: there is no python3");
            return;
        };
        let (out, err) = (
            String::from_utf8_lossy(&run.stdout),
            String::from_utf8_lossy(&run.stderr),
        );
        assert!(run.status.success(), "{out}{err}");
        println!("{out}");
        if out.starts_with("missing") {
            println!("skipped: python3 has no package perfetto");
            return;
        }
        let (flows, goroutines) = (ours.flows.len(), ours.goroutines("").len());
        let expected = format!("{goroutines} goroutines, {flows} flows");
        assert!(out.contains(&expected), "{expected}: {out}");
    });
}
