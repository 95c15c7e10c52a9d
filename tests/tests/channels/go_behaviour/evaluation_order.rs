//! Go's `test/chan`, select5: in which order the expressions of a select are evaluated, and how
//! often.
//!
//! Macros cannot be generated while a test runs, so all selects of one to four arms are compiled
//! in; a seed picks one of them, and the states of its channels. Unlike in Go, the value of a send
//! is evaluated only when its arm has been chosen.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use go_runtime::channel::{Receiver, RecvError, SendError, Sender, TryRecvError, bounded};
use go_runtime::{go, select, select_biased};

use go_tests::support::{in_goroutine, settle};

/// An evaluated expression.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Step {
    Channel(usize),
    Value(usize),
    Duration,
    Body(usize),
    Default,
}

#[derive(PartialEq, Debug)]
enum End {
    Received(usize, Result<usize, RecvError>),
    Sent(usize, Result<(), SendError<usize>>),
    /// The arm with this number ran, and does not report its result.
    Sends(usize),
    Default,
}

/// The channels and the log that the expressions of the selects use.
struct World {
    log: RefCell<Vec<Step>>,
    channels: Vec<(Sender<usize>, Receiver<usize>)>,
    /// The number of each arm's channel; several arms may share one.
    of_arm: [usize; 4],
}

impl World {
    fn note(&self, step: Step) {
        self.log.borrow_mut().push(step);
    }
    fn rx(&self, arm: usize) -> &Receiver<usize> {
        self.note(Step::Channel(arm));
        &self.channels[self.of_arm[arm]].1
    }
    fn tx(&self, arm: usize) -> &Sender<usize> {
        self.note(Step::Channel(arm));
        &self.channels[self.of_arm[arm]].0
    }
    fn value(&self, arm: usize) -> usize {
        self.note(Step::Value(arm));
        message(arm)
    }
    fn no_time(&self) -> Duration {
        self.note(Step::Duration);
        Duration::ZERO
    }
    fn body(&self, arm: usize, end: End) -> End {
        self.note(Step::Body(arm));
        end
    }
    fn default(&self) -> End {
        self.note(Step::Default);
        End::Default
    }
}

/// Returns the message that arm `arm` sends.
fn message(arm: usize) -> usize {
    100 + arm
}

/// The message that a partner sends to a select that waits.
const LATE: usize = 200;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    Recv,
    Send,
}

type Run = fn(&World) -> End;

struct Shape {
    kinds: Vec<Kind>,
    /// Without a default, with one at the end, and with a timed one; first random, then biased.
    runs: [[Run; 3]; 2],
}

/// Builds a select, arm by arm. Arms of even number are written with Go's arrows.
macro_rules! arms {
    ($m:ident! $w:ident [$($done:tt)*]) => { $m! { $($done)* } };
    ($m:ident! $w:ident [$($done:tt)*] Recv 1 $($rest:tt)*) => {
        arms!($m! $w [
            $($done)* recv($w.rx(1)) -> got => $w.body(1, End::Received(1, got)),
        ] $($rest)*)
    };
    ($m:ident! $w:ident [$($done:tt)*] Recv 3 $($rest:tt)*) => {
        arms!($m! $w [
            $($done)* recv($w.rx(3)) -> got => $w.body(3, End::Received(3, got)),
        ] $($rest)*)
    };
    ($m:ident! $w:ident [$($done:tt)*] Recv $i:tt $($rest:tt)*) => {
        arms!($m! $w [
            $($done)* got = <-$w.rx($i) => $w.body($i, End::Received($i, got)),
        ] $($rest)*)
    };
    ($m:ident! $w:ident [$($done:tt)*] Send 1 $($rest:tt)*) => {
        arms!($m! $w [
            $($done)* send($w.tx(1), $w.value(1)) -> sent => $w.body(1, End::Sent(1, sent)),
        ] $($rest)*)
    };
    ($m:ident! $w:ident [$($done:tt)*] Send 3 $($rest:tt)*) => {
        arms!($m! $w [
            $($done)* send($w.tx(3), $w.value(3)) -> sent => $w.body(3, End::Sent(3, sent)),
        ] $($rest)*)
    };
    ($m:ident! $w:ident [$($done:tt)*] Send $i:tt $($rest:tt)*) => {
        arms!($m! $w [
            $($done)* $w.tx($i) <- $w.value($i) => $w.body($i, End::Sends($i)),
        ] $($rest)*)
    };
}

macro_rules! runs {
    ($m:ident! $($arms:tt)*) => {
        [
            |w| arms!($m! w [] $($arms)*),
            |w| arms!($m! w [default => w.default(),] $($arms)*),
            |w| arms!($m! w [default(w.no_time()) => w.default(),] $($arms)*),
        ]
    };
}

macro_rules! shapes {
    ($shapes:ident [$($kind:ident $i:tt)*]) => {};
    ($shapes:ident [$($arms:tt)*] $i:tt $($more:tt)*) => {
        shapes!(@ $shapes [$($arms)* Recv $i] $($more)*);
        shapes!(@ $shapes [$($arms)* Send $i] $($more)*);
    };
    (@ $shapes:ident [$($kind:ident $i:tt)*] $($more:tt)*) => {
        $shapes.push(Shape {
            kinds: vec![$(Kind::$kind),*],
            runs: [runs!(select! $($kind $i)*), runs!(select_biased! $($kind $i)*)],
        });
        shapes!($shapes [$($kind $i)*] $($more)*);
    };
}

/// Returns all selects of one to four arms.
fn shapes() -> Vec<Shape> {
    let mut shapes = Vec::new();
    shapes!(shapes [] 0 1 2 3);
    assert_eq!(shapes.len(), 2 + 4 + 8 + 16);
    shapes
}

/// The expected state of a channel.
#[derive(Clone, Debug)]
struct Model {
    capacity: usize,
    buffer: VecDeque<usize>,
    closed: bool,
}

impl Model {
    fn is_ready(&self, kind: Kind) -> bool {
        self.closed
            || match kind {
                Kind::Recv => !self.buffer.is_empty(),
                Kind::Send => self.buffer.len() < self.capacity,
            }
    }

    fn make(&self) -> (Sender<usize>, Receiver<usize>) {
        let (tx, rx) = bounded(self.capacity);
        self.buffer.iter().for_each(|n| tx.send(*n).unwrap());
        if self.closed {
            tx.close();
        }
        (tx, rx)
    }

    /// Carries out an operation that is ready.
    fn run(&mut self, kind: Kind, arm: usize) -> End {
        match kind {
            Kind::Recv => End::Received(arm, self.buffer.pop_front().ok_or(RecvError)),
            // An arm with an arrow does not report the result.
            Kind::Send if self.closed && arm.is_multiple_of(2) => End::Sends(arm),
            Kind::Send if self.closed => End::Sent(arm, Err(SendError(message(arm)))),
            Kind::Send => {
                self.buffer.push_back(message(arm));
                if arm.is_multiple_of(2) {
                    End::Sends(arm)
                } else {
                    End::Sent(arm, Ok(()))
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Case {
    shape: usize,
    variant: usize,
    biased: bool,
    channels: Vec<Model>,
    of_arm: [usize; 4],
    /// If the select has to wait: the arm whose partner comes (a number, modulo the arms), and
    /// whether that closes the channel instead.
    partner: (usize, bool),
}

impl Case {
    /// Returns the case that a seed stands for.
    fn new(seed: u64) -> Case {
        let mut rng = Rng::with_seed(seed);
        let channels = (0..4).map(|_| {
            let capacity = rng.usize(0..=2);
            Model {
                capacity,
                buffer: (0..rng.usize(0..=2).min(capacity)).collect(),
                closed: rng.u8(0..5) == 0,
            }
        });
        Case {
            channels: channels.collect(),
            shape: rng.usize(0..30),
            variant: rng.usize(0..3),
            biased: rng.bool(),
            of_arm: [(); 4].map(|()| rng.usize(0..4)),
            partner: (rng.usize(..), rng.bool()),
        }
    }
}

/// Runs the select, and compares its effects with the expected ones.
fn check(mut case: Case) {
    let Shape { kinds, runs } = &shapes()[case.shape];
    let run = runs[usize::from(case.biased)][case.variant];
    let world = Rc::new(World {
        log: RefCell::default(),
        channels: case.channels.iter().map(Model::make).collect(),
        of_arm: case.of_arm,
    });
    let of_arm = case.of_arm;
    let is_ready = |channels: &[Model], arm: usize| channels[of_arm[arm]].is_ready(kinds[arm]);
    let mut ready: Vec<_> = (0..kinds.len())
        .filter(|arm| is_ready(&case.channels, *arm))
        .collect();
    if case.biased {
        ready.truncate(1);
    }

    let running = go!(local; clone(world) { run(&world) });
    settle();
    // Before a partner comes only the expressions that belong to entering have been evaluated.
    let mut log = Vec::from_iter((case.variant == 2).then_some(Step::Duration));
    log.extend((0..kinds.len()).map(Step::Channel));
    assert_eq!(world.log.borrow()[..log.len()], log);

    if ready.is_empty() && case.variant == 0 {
        assert_eq!(*world.log.borrow(), log, "it waits");
        let arm = case.partner.0 % kinds.len();
        let (kind, on) = (kinds[arm], of_arm[arm]);
        let (model, (tx, rx)) = (&mut case.channels[on], &world.channels[on]);
        let close = case.partner.1;
        let fits = |other: &usize| of_arm[*other] == on && (close || kinds[*other] == kind);
        ready = (0..kinds.len()).filter(fits).collect();
        if close {
            tx.close();
            model.closed = true;
        } else if kind == Kind::Recv {
            tx.try_send(LATE).unwrap();
            model.buffer.push_back(LATE);
        } else if model.capacity > 0 {
            assert_eq!(rx.try_recv().ok(), model.buffer.pop_front());
        } else {
            let got = rx.try_recv().unwrap();
            assert!(ready.iter().any(|arm| message(*arm) == got));
            ready = vec![got - message(0)];
            // The message passed without a buffer: `finish` removes it from the model.
            model.capacity = 1;
        }
        let end = running.join().unwrap();
        finish(&case, kinds, &world, log, &ready, end);
        return;
    }
    let end = running.join().unwrap();
    finish(&case, kinds, &world, log, &ready, end);
}

fn finish(
    case: &Case,
    kinds: &[Kind],
    world: &World,
    mut log: Vec<Step>,
    ready: &[usize],
    end: End,
) {
    let mut channels = case.channels.clone();
    if ready.is_empty() {
        log.push(Step::Default);
        assert_eq!(end, End::Default);
    } else {
        let arm = match end {
            End::Received(arm, _) | End::Sent(arm, _) | End::Sends(arm) => arm,
            End::Default => panic!("an arm was ready"),
        };
        assert!(ready.contains(&arm), "{arm} of {ready:?}");
        log.extend((kinds[arm] == Kind::Send).then_some(Step::Value(arm)));
        log.push(Step::Body(arm));
        let model = &mut channels[case.of_arm[arm]];
        assert_eq!(end, model.run(kinds[arm], arm));
        // The model lent a rendezvous channel a place in a buffer; its message has been received
        // already.
        if world.channels[case.of_arm[arm]].0.capacity() == Some(0) {
            model.buffer.clear();
        }
    }
    assert_eq!(*world.log.borrow(), log);
    for (model, (_, rx)) in channels.iter().zip(&world.channels) {
        assert_eq!(rx.try_iter().collect::<VecDeque<_>>(), model.buffer);
        assert_eq!(
            rx.try_recv() == Err(TryRecvError::Disconnected),
            model.closed
        );
    }
}

#[test]
fn select5_evaluates_in_order() {
    for seed in 0..3_000 {
        let held = panic::catch_unwind(|| in_goroutine(move || check(Case::new(seed))));
        assert!(held.is_ok(), "seed {seed}: {:?}", Case::new(seed));
    }
}
