//! Inbox, handshake, and the notifications to sleeping workers.
//!
//! A sleeping thread yields here until the word that it sleeps on has changed: if no thread ever
//! changes it, loom reports too many branches. (loom's own `park` cannot be mixed with `join`.) The
//! models assert that exactly one thread is told to wake the sleeper.

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering, fence};
use loom::sync::{Arc, Notify};
use loom::thread;

use crate::check;
use crate::primitives::real_spin_lock::RawSpinLock;
use crate::sched::idle::Idle;
use crate::sched::inbox::{Inbox, Node, Sleep};
use crate::sched::monitor_sleep::MonitorSleep;
use crate::sched::sleep_state::SleepState;
use crate::wait::handshake::Handshake;

/// Two threads push while the owner sleeps whenever it may: everything arrives, in order for each
/// pusher, and exactly one of them ends each sleep.
#[test]
fn inbox_loses_no_wake_up() {
    check("inbox, two pushers", 2, || {
        struct Shared {
            inbox: Inbox<usize>,
            nodes: [Node<usize>; 4],
            wake_ups: AtomicUsize,
        }
        let shared = Arc::new(Shared {
            inbox: Inbox::new(),
            nodes: [0, 1, 2, 3].map(Node::new),
            wake_ups: AtomicUsize::new(0),
        });
        let push = |which: &'static [[usize; 2]]| {
            let shared = shared.clone();
            thread::spawn(move || {
                for chain in which {
                    let [first, last] = chain.map(|i| &shared.nodes[i]);
                    if !std::ptr::eq(first, last) {
                        last.link(first);
                    }
                    // SAFETY: each node is pushed once, and lives in an `Arc` until the inbox has
                    // been drained.
                    if unsafe { shared.inbox.push(last, first) }.is_some() {
                        shared.wake_ups.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        };
        // One thread pushes two nodes one after the other, the other thread a chain of two.
        let pushers = [push(&[[0, 0], [1, 1]]), push(&[[2, 3]])];
        let (mut got, mut sleeps) = (vec![], 0);
        while got.len() < 4 {
            shared.inbox.drain(|i| got.push(i));
            if got.len() < 4 && shared.inbox.fall_asleep(Sleep::Counted) {
                sleeps += 1;
                while shared.inbox.is_asleep() {
                    thread::yield_now();
                }
            }
        }
        for pusher in pushers {
            pusher.join().unwrap();
        }
        assert_eq!(sleeps, shared.wake_ups.load(Ordering::Relaxed));
        let position = |i| got.iter().position(|g| *g == i).unwrap();
        assert!(position(0) < position(1));
        assert!(position(2) < position(3));
    });
}

/// A sleeping owner is notified, gets a goroutine, and may wake up by itself, all at the same time.
/// At most one thread is told that it woke the owner, and the owner learns whether that was the
/// notifying thread.
#[test]
fn inbox_says_which_thread_woke_the_owner() {
    check("inbox, notification, push and alarm", 4, || {
        let shared = Arc::new((Inbox::<usize>::new(), Node::new(7)));
        assert!(shared.0.fall_asleep(Sleep::Uncounted));
        let pusher = thread::spawn({
            let shared = shared.clone();
            // SAFETY: each node is pushed once, and lives in an `Arc` until the inbox has been
            // drained.
            move || unsafe { shared.0.push(&shared.1, &shared.1) }
        });
        let notifier = thread::spawn({
            let shared = shared.clone();
            move || shared.0.notify()
        });
        let by_itself = shared.0.wake_up();
        let mut got = 0;
        let mut notified = shared.0.drain(|i| got += i).notified;
        let (pushed_first, notification_woke) = (pusher.join().unwrap(), notifier.join().unwrap());
        notified |= shared.0.drain(|i| got += i).notified;
        assert_eq!(got, 7);
        assert_eq!(notified, notification_woke.is_some());
        assert_eq!(
            1,
            [by_itself, pushed_first, notification_woke]
                .iter()
                .filter(|woke| **woke == Some(Sleep::Uncounted))
                .count()
        );
    });
}

/// Two threads try to end the wait of one blocked goroutine, and one of them claims it. The
/// goroutine, spinning or parked, continues once, and sees what the claiming thread wrote.
fn claim_and_wake(spinning: bool, quietly: bool) {
    struct Shared {
        handshake: Handshake,
        verdict: UnsafeCell<usize>,
        inbox: Inbox<usize>,
        node: Node<usize>,
    }
    let shared = Arc::new(Shared {
        handshake: Handshake::new(spinning),
        verdict: UnsafeCell::new(0),
        inbox: Inbox::new(),
        node: Node::new(1),
    });
    let wakers: Vec<_> = [1, 2]
        .into_iter()
        .map(|name| {
            let shared = shared.clone();
            thread::spawn(move || {
                let won = shared.handshake.claim();
                if won {
                    shared
                        .verdict
                        // SAFETY: only the thread that has won the claim writes. (loom checks
                        // that.)
                        .with_mut(|verdict| unsafe { *verdict = name });
                    if shared.handshake.finish() {
                        // SAFETY: each node is pushed once, and lives in an `Arc` until the inbox
                        // has been drained.
                        let _ = unsafe { shared.inbox.push(&shared.node, &shared.node) };
                    }
                }
                won
            })
        })
        .collect();
    // The goroutine checks once, unless it waits quietly, and then parks; its worker then drains
    // the inbox until it finds the goroutine.
    let handshake = &shared.handshake;
    if quietly && handshake.may_spin() {
        let _ = handshake.stop_spinning();
    }
    let spun = handshake.may_spin() && (handshake.is_done() || !handshake.stop_spinning());
    if !spun {
        let mut woken = 0;
        while woken == 0 {
            shared.inbox.drain(|goroutine| woken += goroutine);
            if woken == 0 && shared.inbox.fall_asleep(Sleep::Counted) {
                while shared.inbox.is_asleep() {
                    thread::yield_now();
                }
            }
        }
    }
    // SAFETY: the writer has finished the handshake before. (loom checks that.)
    let verdict = shared.verdict.with(|verdict| unsafe { *verdict });
    let won: Vec<bool> = wakers.into_iter().map(|w| w.join().unwrap()).collect();
    assert_eq!(won, [verdict == 1, verdict == 2]);
    // The goroutine was woken once, so nothing is left in the inbox.
    shared.inbox.drain(|_| panic!("a second wake-up"));
}

#[test]
fn a_parked_goroutine_is_woken_once() {
    check("handshake, parked", 3, || claim_and_wake(false, false));
}

#[test]
fn a_spinning_goroutine_is_woken_once() {
    check("handshake, spinning", 3, || claim_and_wake(true, false));
}

/// A goroutine may spin but does not want to: either it parks and is made runnable, or its wait is
/// over before, but never both. (Both happened once: a goroutine whose spinning was given up in the
/// middle of `finish` continued by itself, and its node was in the inbox all the same.)
#[test]
fn a_goroutine_that_does_not_spin_is_woken_once() {
    check("handshake, spinning given up", 3, || {
        claim_and_wake(true, true)
    });
}

/// Unstarted tasks, one in each bit. They stand for one of crossbeam's queues, whose emptiness
/// check and steals order no more memory accesses than these.
struct Tasks(Option<AtomicUsize>);

impl Tasks {
    /// Makes a queue. In a model where it is not `used`, no thread reads it, or there would be too
    /// many orders.
    fn new(used: bool) -> Tasks {
        Tasks(used.then(|| AtomicUsize::new(0)))
    }

    fn push(&self, task: usize) {
        self.0.as_ref().unwrap().fetch_or(task, Ordering::Relaxed);
    }

    fn all(&self) -> usize {
        self.0
            .as_ref()
            .map_or(0, |tasks| tasks.load(Ordering::Relaxed))
    }

    fn is_empty(&self) -> bool {
        self.all() == 0
    }

    /// Takes one task, while other threads may try to take tasks as well.
    fn steal(&self) -> Option<usize> {
        let queue = self.0.as_ref()?;
        let mut tasks = queue.load(Ordering::Relaxed);
        while tasks != 0 {
            let rest = tasks & (tasks - 1);
            match queue.compare_exchange(tasks, rest, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(tasks - rest),
                Err(now) => tasks = now,
            }
        }
        None
    }
}

/// A place where tasks wait.
#[derive(PartialEq)]
enum Place {
    Injector,
    Own(usize),
    Sent(usize),
}

/// The part of a worker that other threads see, as in `shared::WorkerShared`.
struct WorkerShared {
    sleep: SleepState<usize>,
    /// The tasks in the worker's own queue, and those that were sent to the worker.
    own: Tasks,
    sent: Tasks,
    /// As in `stats::WorkerStats`.
    turns: AtomicUsize,
    held_turn: AtomicUsize,
    /// The worker's thread sleeps on this, as on std's `park`.
    parker: Notify,
}

impl WorkerShared {
    fn new(index: usize, used: &[Place]) -> WorkerShared {
        WorkerShared {
            sleep: SleepState::new(),
            own: Tasks::new(used.contains(&Place::Own(index))),
            sent: Tasks::new(used.contains(&Place::Sent(index))),
            turns: AtomicUsize::new(0),
            held_turn: AtomicUsize::new(0),
            parker: Notify::new(),
        }
    }

    fn has_unstarted(&self) -> bool {
        !self.own.is_empty() || !self.sent.is_empty()
    }

    fn takes_on(&self) -> bool {
        let is_held = || {
            let turn = self.turns.load(Ordering::Relaxed);
            turn > 0 && self.held_turn.load(Ordering::Relaxed) == turn
        };
        !self.sleep.is_retired() && !is_held()
    }
}

/// The state that the workers, the monitor and the threads that queue work share, as in
/// `runtime::Runtime`. The model is over when no thread has anything left to do; by then every task
/// must have found a worker.
struct Pool {
    idle: Idle,
    injector: Tasks,
    /// The workers. The first ones have threads that go to sleep; the thread of a busy worker only
    /// queues tasks.
    workers: Vec<WorkerShared>,
    /// The number of threads that are awake, including the model's own thread until all have
    /// started. It is no part of the protocol, so loom does not see it.
    awake: std::sync::atomic::AtomicUsize,
    /// The threads that are not workers.
    others: std::sync::Mutex<Vec<thread::JoinHandle<()>>>,
}

/// (std's `Arc`: loom need not see the counting of references.)
type SharedPool = std::sync::Arc<Pool>;

impl Pool {
    fn new(workers: usize, used: &[Place]) -> SharedPool {
        SharedPool::new(Pool {
            idle: Idle::new(),
            injector: Tasks::new(used.contains(&Place::Injector)),
            workers: (0..workers)
                .map(|index| WorkerShared::new(index, used))
                .collect(),
            awake: std::sync::atomic::AtomicUsize::new(1),
            others: std::sync::Mutex::default(),
        })
    }

    fn count_awake(&self) {
        self.awake.fetch_add(1, Ordering::Relaxed);
    }

    fn count_asleep(&self) {
        if self.awake.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.workers
                .iter()
                .for_each(|worker| worker.parker.notify());
        }
    }

    /// Calls `end_sleep`, and wakes the worker's thread if that ended its sleep.
    fn wake(&self, worker: &WorkerShared, end_sleep: impl FnOnce() -> bool) -> bool {
        // The worker is counted before its thread is woken, because it may be asleep again before
        // this thread goes on.
        self.count_awake();
        let slept = end_sleep();
        if slept {
            worker.parker.notify();
        } else {
            self.count_asleep();
        }
        slept
    }

    /// Starts a thread that queues tasks, wakes goroutines, or is the monitor.
    fn spawn(self: &std::sync::Arc<Pool>, f: impl FnOnce(&Pool) + 'static) {
        self.count_awake();
        let pool = self.clone();
        let thread = thread::spawn(move || {
            f(&pool);
            pool.count_asleep();
        });
        self.others.lock().unwrap().push(thread);
    }

    /// `WorkerShared::notify`
    fn notify_worker(&self, worker: &WorkerShared) -> bool {
        self.wake(worker, || worker.sleep.notify(&self.idle))
    }

    /// `WorkerShared::deliver`, for a goroutine of the worker `to`.
    fn deliver(&self, to: usize, node: &Node<usize>) {
        let worker = &self.workers[to];
        // SAFETY: the pool, which owns the node, outlives the models' threads, and each node is
        // pushed once.
        self.wake(worker, || unsafe {
            worker.sleep.push(node, node, &self.idle)
        });
    }

    /// `Runtime::has_unstarted`
    fn has_unstarted(&self) -> bool {
        !self.injector.is_empty() || self.workers.iter().any(WorkerShared::has_unstarted)
    }

    /// `Runtime::sleeps_any`
    fn sleeps_any(&self) -> bool {
        self.workers
            .iter()
            .any(|worker| worker.sleep.is_asleep() && worker.takes_on())
    }

    /// `Runtime::announce_work`
    fn announce_work(&self) {
        if self.idle.should_notify() {
            let wake = || {
                let mut asleep = self
                    .workers
                    .iter()
                    .filter(|worker| worker.sleep.is_asleep() && worker.takes_on());
                asleep.any(|worker| self.notify_worker(worker))
            };
            self.idle
                .notify_one(wake, || self.has_unstarted() && self.sleeps_any());
        }
    }

    /// `Runtime::notify`
    fn notify(&self, worker: &WorkerShared) {
        self.idle.start_searching();
        if !self.notify_worker(worker) && self.idle.stop_searching() && self.has_unstarted() {
            self.announce_work();
        }
    }

    /// `Runtime::send`
    fn send(&self, to: usize, task: usize) {
        let to = &self.workers[to];
        to.sent.push(task);
        fence(Ordering::SeqCst);
        if to.sleep.is_asleep() {
            self.notify(to);
        } else {
            self.announce_work();
        }
    }

    /// `Worker::spawn`, by the busy worker with this number.
    fn spawn_task(&self, worker: usize, task: usize) {
        self.workers[worker].own.push(task);
        self.announce_work();
    }

    /// `hiring::retire_one`
    fn retire(&self, worker: usize) {
        self.workers[worker].sleep.set_retired(true);
        self.notify(&self.workers[worker]);
    }

    /// Lets the workers and the other threads come to an end. `tasks` are the bits of all queued
    /// tasks. A worker must watch the tasks that have not started, unless no worker sleeps.
    fn end(&self, tasks: usize, workers: Vec<thread::JoinHandle<End>>) -> Vec<End> {
        self.count_asleep();
        let ends: Vec<End> = workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect();
        let others = std::mem::take(&mut *self.others.lock().unwrap());
        others.into_iter().for_each(|thread| thread.join().unwrap());
        let mut started = 0;
        for end in &ends {
            assert_eq!(started & end.started, 0, "a task was started twice");
            started |= end.started;
        }
        let queues = self
            .workers
            .iter()
            .flat_map(|worker| [&worker.own, &worker.sent]);
        let waiting = queues
            .chain([&self.injector])
            .fold(0, |all, queue| all | queue.all());
        assert_eq!(
            (started | waiting, started & waiting),
            (tasks, 0),
            "lost, or twice"
        );
        let sleepers = ends.iter().filter(|end| end.asleep && !end.retired);
        if waiting != 0 && sleepers.clone().next().is_some() {
            assert!(
                sleepers.clone().any(|end| end.watches),
                "no worker watches a task that waits"
            );
        }
        assert_eq!(
            (self.idle.sleepers(), self.idle.searching()),
            (sleepers.count(), 0)
        );
        ends
    }
}

/// How a worker ended.
#[derive(Debug, Default)]
struct End {
    /// The bits of the tasks that the worker started.
    started: usize,
    asleep: bool,
    retired: bool,
    /// Whether the worker sleeps with an alarm for the tasks that it left to other workers.
    watches: bool,
}

/// What a worker's survey finds about tasks elsewhere.
#[derive(Clone, Copy)]
enum Survey {
    Take,
    /// Leave them to less loaded workers, one of which (`to`) may be asleep.
    Leave {
        to: Option<usize>,
    },
}

/// A worker's own side, as in `worker::Worker`. A goroutine that it runs never ends, so other
/// workers have to take the tasks that wait there.
struct Worker {
    pool: SharedPool,
    index: usize,
    survey: Survey,
    /// How often the worker searches before it sleeps.
    spins: usize,
    ready: usize,
    searching: bool,
    searching_or_watching: bool,
    watch: bool,
    /// A task that the worker took from another worker.
    taken: Option<usize>,
    end: End,
}

impl Worker {
    fn new(pool: &SharedPool, index: usize, survey: Survey) -> Worker {
        Worker {
            pool: pool.clone(),
            index,
            survey,
            spins: 0,
            ready: 0,
            searching: false,
            searching_or_watching: false,
            watch: false,
            taken: None,
            end: End::default(),
        }
    }

    /// Makes the worker search once before it sleeps.
    fn searching(mut self) -> Worker {
        self.spins = 1;
        self
    }

    fn shared(&self) -> &WorkerShared {
        &self.pool.workers[self.index]
    }

    /// Starts the worker's thread, awake.
    fn start(self) -> thread::JoinHandle<End> {
        self.pool.count_awake();
        thread::spawn(|| self.run(false))
    }

    /// Starts the worker's thread, which is already asleep.
    fn start_asleep(self) -> thread::JoinHandle<End> {
        assert!(self.shared().sleep.fall_asleep(&self.pool.idle));
        thread::spawn(|| self.run(true))
    }

    /// `Worker::run`
    fn run(mut self, asleep: bool) -> End {
        if asleep && self.stay_asleep() {
            return self.over();
        }
        let mut spun = 0;
        loop {
            if let Some(task) = self.next() {
                self.stop_searching_or_watching();
                self.end.started |= task;
                self.pool.count_asleep();
                return self.end;
            }
            if spun < self.spins && self.start_searching() {
                spun += 1;
            } else {
                spun = 0;
                if self.sleep() {
                    return self.over();
                }
            }
        }
    }

    /// Ends the worker, which is asleep, because the model is over.
    fn over(mut self) -> End {
        self.end.asleep = true;
        self.end.retired = self.shared().sleep.is_retired();
        self.end.watches = self.watch;
        self.end
    }

    /// `Worker::next_here` and then `Worker::search`. (A goroutine of its own does not count as a
    /// task.)
    fn next(&mut self) -> Option<usize> {
        let turn = self.shared().turns.load(Ordering::Relaxed) + 1;
        self.shared().turns.store(turn, Ordering::Relaxed);
        if let Some(task) = self.taken.take().or_else(|| self.next_unstarted()) {
            return Some(task);
        }
        if self.shared().sleep.inbox_nonempty() {
            assert!(!self.drain(), "only a sleeping worker is notified");
        }
        if std::mem::take(&mut self.ready) > 0 {
            return Some(0);
        }
        self.search();
        self.taken.take()
    }

    fn next_unstarted(&self) -> Option<usize> {
        let worker = self.shared();
        if !worker.has_unstarted() {
            return None;
        }
        if worker.sleep.is_retired() {
            // `Unstarted::hand_over`
            while let Some(task) = worker.sent.steal().or_else(|| worker.own.steal()) {
                self.pool.injector.push(task);
            }
            self.pool.announce_work();
            return None;
        }
        worker.sent.steal().or_else(|| worker.own.steal())
    }

    /// `Stealing::search` after a sleep: it takes one task at most.
    fn search(&mut self) -> bool {
        if self.shared().sleep.is_retired() {
            return false;
        }
        let pool = self.pool.clone();
        let others = (0..pool.workers.len()).filter(|other| *other != self.index);
        let theirs = others.flat_map(|other| [&pool.workers[other].own, &pool.workers[other].sent]);
        let mut found = false;
        for queue in [&pool.injector].into_iter().chain(theirs) {
            if queue.is_empty() {
                continue;
            }
            found = true;
            match self.survey {
                Survey::Take => {
                    if let Some(task) = queue.steal() {
                        self.taken = Some(task);
                        return true;
                    }
                }
                Survey::Leave { to } => {
                    let to = to.map(|to| &pool.workers[to]);
                    if let Some(to) = to.filter(|to| to.sleep.is_asleep()) {
                        pool.notify(to);
                    }
                    // The less loaded workers have not been busy for long enough.
                    (self.searching_or_watching, self.watch) = (true, true);
                }
            }
        }
        if !found {
            self.watch = false;
        }
        false
    }

    /// `Idling::start_searching`, without the limit on the number of searching workers.
    fn start_searching(&mut self) -> bool {
        if self.shared().sleep.is_retired() {
            return false;
        }
        if !self.searching {
            self.pool.idle.start_searching();
            (self.searching, self.searching_or_watching) = (true, true);
        }
        true
    }

    /// Stops searching and watching, if the worker does either.
    fn stop_searching_or_watching(&mut self) {
        if self.searching_or_watching {
            self.stop_searching();
        }
    }

    /// `Idling::stop_searching`
    fn stop_searching(&mut self) {
        let was_last = std::mem::take(&mut self.searching) && self.pool.idle.stop_searching();
        self.searching_or_watching = false;
        if (was_last || self.watch) && self.pool.has_unstarted() {
            self.pool.announce_work();
        }
    }

    /// `Worker::sleep`. Returns whether the model is over.
    fn sleep(&mut self) -> bool {
        if !self.shared().sleep.fall_asleep(&self.pool.idle) {
            // (The worker's inbox holds something, or the worker was retired. Another thread
            // counted the worker as searching only if it notified it.)
            if self.resume_after_sleep() == Some(true) {
                self.pool.count_asleep();
            }
            return false;
        }
        self.pool
            .idle
            .begin_final_check(std::mem::take(&mut self.searching));
        if self.shared().sleep.is_retired() && self.pool.has_unstarted() {
            self.pool.announce_work();
        }
        if self.shared().has_unstarted() || self.search() {
            // `search_again`
            self.start_searching();
            if self.resume_after_sleep().is_some() {
                self.pool.count_asleep();
            }
            return false;
        }
        self.pool.count_asleep();
        self.stay_asleep()
    }

    /// Waits until another thread wakes the worker, or the model is over. Returns whether the model
    /// is over.
    fn stay_asleep(&mut self) -> bool {
        while self.shared().sleep.is_asleep() {
            if self.pool.awake.load(Ordering::Relaxed) == 0 {
                return true;
            }
            self.shared().parker.wait();
        }
        assert!(
            self.resume_after_sleep().is_some(),
            "it was woken by another thread"
        );
        false
    }

    /// `Worker::resume_after_sleep`. Returns whether another thread notified the worker, or `None`
    /// if the worker woke up by itself.
    fn resume_after_sleep(&mut self) -> Option<bool> {
        if self.shared().sleep.wake_up(&self.pool.idle) {
            return None;
        }
        let notified = self.drain();
        if notified {
            self.searching_or_watching = true;
            if std::mem::replace(&mut self.searching, true) {
                self.pool.idle.stop_searching();
            }
        }
        Some(notified)
    }

    fn drain(&mut self) -> bool {
        let worker = &self.pool.workers[self.index];
        worker
            .sleep
            .drain(|goroutines| self.ready += goroutines)
            .notified
    }
}

/// A worker goes to sleep while two threads queue work: it sees the work, or it is notified.
#[test]
fn queued_work_finds_a_worker() {
    check("idle, one worker and two spawners", 2, || {
        let pool = Pool::new(1, &[Place::Injector]);
        let worker = Worker::new(&pool, 0, Survey::Take).searching().start();
        for task in [1, 2] {
            pool.spawn(move |pool| {
                pool.injector.push(task);
                pool.announce_work();
            });
        }
        pool.end(0b11, vec![worker]);
    });
}

/// A worker is retired and taken back while it goes to sleep and a thread queues work: afterwards
/// the worker gets the work.
#[test]
fn queued_work_finds_a_worker_that_was_retired() {
    check("sleep, a worker, the monitor and a spawner", 2, || {
        let pool = Pool::new(1, &[Place::Injector]);
        let worker = Worker::new(&pool, 0, Survey::Take).searching().start();
        pool.spawn(|pool| {
            pool.retire(0);
            // `hiring::add_worker`
            pool.workers[0].sleep.set_retired(false);
            pool.notify(&pool.workers[0]);
        });
        pool.spawn(|pool| {
            pool.injector.push(1);
            pool.announce_work();
        });
        let ends = pool.end(1, vec![worker]);
        assert_eq!(ends[0].started, 1);
    });
}

/// A goroutine that has held its worker returns while another thread queues work. The monitor has
/// marked the worker as held; the spawner must still notify the worker when it sleeps.
#[test]
fn queued_work_finds_a_worker_that_was_held() {
    check("idle, a held worker, the monitor and a spawner", 2, || {
        let pool = Pool::new(1, &[Place::Injector]);
        // The worker runs a goroutine in its first turn.
        pool.workers[0].turns.store(1, Ordering::Relaxed);
        let worker = Worker::new(&pool, 0, Survey::Take).start();
        pool.spawn(|pool| pool.workers[0].held_turn.store(1, Ordering::Relaxed));
        pool.spawn(|pool| {
            pool.injector.push(1);
            pool.announce_work();
        });
        let ends = pool.end(1, vec![worker]);
        assert_eq!(ends[0].started, 1);
    });
}

/// A worker that is falling asleep starts a task that is sent to it.
#[test]
fn a_sent_task_finds_its_worker() {
    check("send, to a worker that falls asleep", 2, || {
        let pool = Pool::new(1, &[Place::Sent(0)]);
        let worker = Worker::new(&pool, 0, Survey::Take).searching().start();
        for task in [1, 2] {
            pool.spawn(move |pool| pool.send(0, task));
        }
        pool.end(0b11, vec![worker]);
    });
}

/// A task is sent to a worker that sleeps or is falling asleep. Another idle worker takes tasks
/// that it finds, or leaves them. The task is started exactly once.
#[test]
fn a_sent_task_is_started_once() {
    for (asleep, survey) in [
        (true, Survey::Take),
        (false, Survey::Take),
        (true, Survey::Leave { to: Some(0) }),
        (false, Survey::Leave { to: Some(0) }),
    ] {
        check("send, beside a worker that steals", 2, move || {
            let pool = Pool::new(2, &[Place::Sent(0)]);
            let to = Worker::new(&pool, 0, Survey::Take);
            let to = if asleep {
                to.start_asleep()
            } else {
                to.start()
            };
            let thief = Worker::new(&pool, 1, survey).start();
            pool.spawn(|pool| pool.send(0, 1));
            let ends = pool.end(1, vec![to, thief]);
            assert_eq!(ends[0].started | ends[1].started, 1);
        });
    }
}

/// A worker is retired while another worker sends it a task. It starts the task, or leaves it to a
/// worker that has not retired.
#[test]
fn a_task_sent_to_a_worker_that_retires_is_started() {
    for (asleep, preemptions) in [(true, 1), (false, 0)] {
        check("send, to a worker that retires", preemptions, move || {
            let pool = Pool::new(2, &[Place::Injector, Place::Sent(0)]);
            let to = Worker::new(&pool, 0, Survey::Take);
            let to = if asleep {
                to.start_asleep()
            } else {
                to.start()
            };
            let other = Worker::new(&pool, 1, Survey::Take).start_asleep();
            pool.spawn(|pool| pool.retire(0));
            pool.spawn(|pool| pool.send(0, 1));
            let ends = pool.end(1, vec![to, other]);
            assert_eq!(ends[0].started | ends[1].started, 1);
        });
    }
}

/// A worker that is retired while it falls asleep does not count among the workers that can be
/// notified of new work.
#[test]
fn a_retired_worker_is_not_counted() {
    for asleep in [true, false] {
        check("sleep, a worker that retires", 3, move || {
            let pool = Pool::new(1, &[]);
            let worker = Worker::new(&pool, 0, Survey::Take);
            let worker = if asleep {
                worker.start_asleep()
            } else {
                worker.start()
            };
            pool.spawn(|pool| pool.retire(0));
            let ends = pool.end(0, vec![worker]);
            assert!(ends[0].retired);
        });
    }
}

/// A task is sent to a worker that is busy for long: another worker that sleeps, or is about to,
/// takes the task or watches it.
#[test]
fn a_task_sent_to_a_busy_worker_is_seen() {
    for survey in [Survey::Take, Survey::Leave { to: None }] {
        check("send, to a busy worker", 3, move || {
            let pool = Pool::new(2, &[Place::Sent(1)]);
            let worker = Worker::new(&pool, 0, survey).searching().start();
            pool.spawn(|pool| pool.send(1, 1));
            pool.end(1, vec![worker]);
        });
    }
}

/// An idle worker watches a task that a busy worker does not start. When it gets a goroutine of its
/// own to run, another idle worker takes over the watch.
#[test]
fn a_watch_is_handed_over() {
    check("watch, two sleepers, a wake-up", 1, || {
        let pool = Pool::new(3, &[Place::Own(2)]);
        let node = Arc::new(Node::new(1));
        let workers = [0, 1].map(|index| {
            let worker = Worker::new(&pool, index, Survey::Leave { to: None });
            worker.start_asleep()
        });
        pool.spawn(|pool| pool.spawn_task(2, 1));
        pool.spawn({
            let node = node.clone();
            move |pool| pool.deliver(0, &node)
        });
        let ends = pool.end(1, workers.into());
        assert!(ends[1].watches);
    });
}

/// A busy worker spawns two tasks while one worker sleeps and another is about to: both tasks are
/// started or watched.
#[test]
fn one_searcher_and_one_sleeper_see_all_tasks() {
    for survey in [Survey::Take, Survey::Leave { to: None }] {
        check("idle, a sleeper, a searcher and a spawner", 1, move || {
            let pool = Pool::new(3, &[Place::Own(2)]);
            let sleeper = Worker::new(&pool, 0, survey).start_asleep();
            let searcher = Worker::new(&pool, 1, survey).searching().start();
            pool.spawn(|pool| {
                pool.spawn_task(2, 1);
                pool.spawn_task(2, 2);
            });
            pool.end(0b11, vec![sleeper, searcher]);
        });
    }
}

/// The monitor falls asleep while two sleeping workers wake up: its sleep ends if a worker is awake
/// and has checked whether the monitor sleeps.
#[test]
fn the_monitor_does_not_sleep_while_a_worker_is_awake() {
    check("monitor's sleep, two workers", 4, || {
        let shared = Arc::new((MonitorSleep::new(), [Inbox::<usize>::new(), Inbox::new()]));
        let workers: Vec<_> = (0..2)
            .map(|i| {
                assert!(shared.1[i].fall_asleep(Sleep::Counted));
                let shared = shared.clone();
                thread::spawn(move || {
                    assert_eq!(shared.1[i].wake_up(), Some(Sleep::Counted));
                    shared.0.end(|| ())
                })
            })
            .collect();
        shared.0.begin(|| shared.1.iter().all(Inbox::is_asleep));
        while shared.0.is_on() {
            thread::yield_now();
        }
        let wakers = workers.into_iter().map(|worker| worker.join().unwrap());
        // The worker that ends the sleep has to wake the monitor's thread; at most one worker does.
        assert!(wakers.filter(|woke| *woke).count() <= 1);
    });
}

#[test]
fn the_spin_lock_excludes() {
    check("spin lock, two threads, twice each", 5, || {
        struct Shared(RawSpinLock, loom::cell::UnsafeCell<usize>);
        // SAFETY: the cell is accessed only under the lock, which is what loom checks here.
        unsafe impl Sync for Shared {}
        // SAFETY: the cell is accessed only under the lock, which is what loom checks here.
        unsafe impl Send for Shared {}
        let shared = Arc::new(Shared(RawSpinLock::new(), loom::cell::UnsafeCell::new(0)));
        let add = |shared: &Shared| {
            for _ in 0..2 {
                shared.0.lock();
                // SAFETY: the caller holds the lock, so no other thread is in the cell. (loom
                // checks that.)
                shared.1.with_mut(|n| unsafe { *n += 1 });
                // SAFETY: this thread has locked.
                unsafe { shared.0.unlock() };
            }
        };
        let other = shared.clone();
        let thread = thread::spawn(move || add(&other));
        add(&shared);
        thread.join().unwrap();
        shared.0.lock();
        // SAFETY: the caller holds the lock, so no other thread is in the cell. (loom checks that.)
        assert_eq!(shared.1.with(|n| unsafe { *n }), 4);
    });
}
