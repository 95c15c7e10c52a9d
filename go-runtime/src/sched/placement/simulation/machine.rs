//! The virtual machine: its clock and its events, its goroutines and channels, and what happens on
//! threads that are no workers.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::LINK;
use super::scheduler::{Phase, Worker};
use super::workloads::{ChannelId, MS, Nanos, Outside, Script, Step, US, Workload};
use crate::sched::load::{self, Period};
use crate::sched::task::MonitorTick;

/// Shortest and longest time that the system takes to run a woken thread.
const EARLIEST_WAKE_UP: Nanos = 5 * US;
pub(super) const LATEST_WAKE_UP: Nanos = 60 * US;
/// What it costs a worker to switch to a goroutine, and a goroutine to spawn another one or to send
/// a message.
const SWITCH: Nanos = 150;
const SPAWN: Nanos = 200;
/// When a workload starts. The workers sleep by then.
const START: Nanos = MS;
/// A run with more events than this counts as endless.
const MOST_EVENTS: usize = 20_000_000;

pub(super) type TaskId = usize;

/// A goroutine.
pub(super) struct Task {
    script: Script,
    /// The worker on which the goroutine has started.
    pub(super) worker: Option<usize>,
    /// Whether the worker that spawned the goroutine has to start it.
    local: bool,
    /// The time that the clock of idleness showed when the goroutine was spawned.
    spawned: Nanos,
    /// Number of tasks that idle workers had started when the goroutine was spawned.
    links: usize,
    /// The period in which the goroutine was last active, and whether it has spawned another one.
    pub(super) active_in: Period,
    pub(super) parent: bool,
}

#[derive(Default)]
struct Channel {
    messages: usize,
    receivers: VecDeque<TaskId>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
pub(super) enum Event {
    /// A worker goes on, unless a later event of this worker has replaced this one.
    Worker {
        index: usize,
        next_event: usize,
    },
    /// Something happens on a thread that is no worker: an index into `Machine::outside`.
    Outside(usize),
    Monitor,
    WorkerAdded,
}

/// The total time during which at least one worker that accepts goroutines was idle.
#[derive(Default)]
struct IdleClock {
    workers: usize,
    since: Nanos,
    total: Nanos,
}

impl IdleClock {
    fn read(&self, now: Nanos) -> Nanos {
        self.total
            + if self.workers > 0 {
                now - self.since
            } else {
                0
            }
    }

    fn set(&mut self, now: Nanos, workers: usize) {
        self.total = self.read(now);
        self.since = now;
        self.workers = workers;
    }
}

pub(super) struct Machine {
    pub(super) now: Nanos,
    base: Instant,
    events: BinaryHeap<Reverse<(Nanos, usize, Event)>>,
    sequence: usize,
    pub(super) rng: Rng,
    pub(super) tasks: Vec<Task>,
    channels: Vec<Channel>,
    /// The workers on which the members of each group have run.
    pub(super) groups: Vec<Vec<usize>>,
    outside: Vec<Option<Outside>>,
    idle_clock: IdleClock,
    /// The longest time that a task waited while a worker was idle, less a [`LINK`] for each task
    /// that an idle worker started meanwhile; and that task.
    links: usize,
    /// When the last goroutine ended; how long all goroutines computed; and the longest step of
    /// computing.
    pub(super) ended: Nanos,
    pub(super) total: Nanos,
    pub(super) longest: Nanos,
    pub(super) longest_wait: (Nanos, TaskId),
    pub(super) workers: Vec<Worker>,
    /// GOMAXPROCS, and the number of workers that have not retired.
    pub(super) wanted: usize,
    pub(super) active: usize,
    pub(super) injector: VecDeque<TaskId>,
    /// Number of tasks that no worker has placed.
    pub(super) waiting: usize,
    /// The counts of `sched::idle`.
    pub(super) sleepers: usize,
    pub(super) searching: usize,
    pub(super) tick: MonitorTick,
    pub(super) monitor: super::scheduler::Monitor,
}

impl Machine {
    pub(super) fn new(workers: usize, rng: Rng, workload: Workload) -> Machine {
        let mut machine = Machine {
            now: 0,
            base: Instant::now(),
            events: BinaryHeap::new(),
            sequence: 0,
            rng,
            tasks: Vec::new(),
            channels: (0..workload.channels).map(|_| Channel::default()).collect(),
            groups: vec![Vec::new(); workload.groups],
            outside: Vec::new(),
            idle_clock: IdleClock::default(),
            links: 0,
            ended: 0,
            total: 0,
            longest: 0,
            longest_wait: (0, 0),
            workers: Vec::new(),
            wanted: workers,
            active: workers,
            injector: VecDeque::new(),
            waiting: 0,
            sleepers: 0,
            searching: 0,
            tick: MonitorTick::from(u8::MAX),
            monitor: Default::default(),
        };
        (0..workers).for_each(|_| machine.add_worker());
        machine.at(0, Event::Monitor);
        for (i, (time, outside)) in workload.outside.into_iter().enumerate() {
            machine.outside.push(Some(outside));
            machine.at(START + time, Event::Outside(i));
        }
        machine
    }

    pub(super) fn add_worker(&mut self) {
        let index = self.workers.len();
        self.workers.push(Worker::default());
        self.note_tick(index);
        self.schedule(index, 0);
    }

    /// Runs the workload until no event is left.
    pub(super) fn run(&mut self) -> Result<(), String> {
        for _ in 0..MOST_EVENTS {
            let Some(Reverse((time, _, event))) = self.events.pop() else {
                self.check_waiting();
                return Ok(());
            };
            self.now = time;
            self.handle(event);
        }
        Err(format!("the run does not end: it is {} ms", self.now / MS))
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Worker { index, next_event } => {
                if self.workers[index].next_event == next_event {
                    self.go_on(index);
                    self.note_idle(index);
                }
            }
            Event::Outside(i) => match self.outside[i].take() {
                Some(Outside::Spawn(script)) => self.spawn(None, script),
                Some(Outside::Send(channel)) => self.send_message(None, channel),
                None => {}
            },
            Event::Monitor => {
                self.monitor_tick();
                self.check_waiting();
                (0..self.workers.len()).for_each(|index| self.note_idle(index));
            }
            Event::WorkerAdded => self.worker_added(),
        }
    }

    // --- time ---

    pub(super) fn at(&mut self, time: Nanos, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((time, self.sequence, event)));
    }

    /// Schedules the worker to go on after this time. An earlier event of the worker becomes void.
    pub(super) fn schedule(&mut self, index: usize, after: Nanos) {
        let worker = &mut self.workers[index];
        worker.next_event += 1;
        let next_event = worker.next_event;
        self.at(self.now + after, Event::Worker { index, next_event });
    }

    /// Schedules the system to run a sleeping worker's thread soon after this time has passed.
    pub(super) fn schedule_wake_up(&mut self, index: usize, after: Nanos) {
        let latency = self.rng.u64(EARLIEST_WAKE_UP..=LATEST_WAKE_UP);
        self.schedule(index, after + latency);
    }

    pub(super) fn instant(&self) -> Instant {
        self.base + Duration::from_nanos(self.now)
    }

    pub(super) fn nanos_until(&self, instant: Instant) -> Nanos {
        let left = instant.saturating_duration_since(self.instant());
        left.as_nanos() as Nanos
    }

    pub(super) fn period(&self) -> Period {
        load::period(self.tick)
    }

    // --- how long tasks wait ---

    /// Tells the clock of idleness whether this worker is idle now.
    pub(super) fn note_idle(&mut self, index: usize) {
        let is_idle = self.workers[index].is_idle();
        let was_idle = std::mem::replace(&mut self.workers[index].counts_as_idle, is_idle);
        if is_idle != was_idle {
            let idle = self.idle_clock.workers + usize::from(is_idle) - usize::from(was_idle);
            self.idle_clock.set(self.now, idle);
        }
    }

    fn note_wait(&mut self, task: TaskId) {
        let waited = self.idle_clock.read(self.now) - self.tasks[task].spawned;
        let links = (self.links - self.tasks[task].links).min(self.wanted) as Nanos;
        let waited = waited.saturating_sub(links * LINK);
        if !self.tasks[task].local {
            self.longest_wait = self.longest_wait.max((waited, task));
        }
    }

    /// Notes how long the oldest task of each queue has waited.
    fn check_waiting(&mut self) {
        let queues = self
            .workers
            .iter()
            .flat_map(|worker| [&worker.own, &worker.sent]);
        let oldest = queues
            .chain([&self.injector])
            .filter_map(|queue| queue.front());
        let oldest: Vec<_> = oldest.copied().collect();
        oldest.into_iter().for_each(|task| self.note_wait(task));
    }

    // --- goroutines ---

    fn add_task(&mut self, script: Script, local: bool) -> TaskId {
        self.tasks.push(Task {
            script,
            worker: None,
            local,
            links: self.links,
            spawned: self.idle_clock.read(self.now),
            active_in: load::NEVER,
            parent: false,
        });
        self.tasks.len() - 1
    }

    /// Queues a new goroutine and announces it.
    fn spawn(&mut self, by: Option<usize>, script: Script) {
        let task = self.add_task(script, false);
        match by {
            Some(index) => self.queue(index, task),
            None => {
                self.waiting += 1;
                self.injector.push_back(task);
            }
        }
        self.announce_work();
    }

    /// Switches to a goroutine, and starts it if it is new.
    pub(super) fn execute(&mut self, index: usize, task: TaskId) {
        if self.tasks[task].worker.is_none() {
            self.note_wait(task);
            self.links += usize::from(self.workers[index].was_idle);
            self.tasks[task].worker = Some(index);
            self.tasks[task].active_in = self.workers[index].period;
            self.workers[index].load.start();
        }
        self.workers[index].was_idle = false;
        self.note_active(index, task);
        let now = self.now;
        let worker = &mut self.workers[index];
        worker.phase = Phase::Running {
            task,
            blocked: false,
        };
        worker.computing_since = Some(now);
        self.schedule(index, SWITCH);
    }

    /// Takes the next step of the goroutine that runs.
    pub(super) fn resume(&mut self, index: usize, task: TaskId) {
        match self.tasks[task].script.next() {
            Some(Step::Compute(time)) => {
                self.total += time;
                self.longest = self.longest.max(time);
                self.keep_running(index, task, time, false);
            }
            Some(Step::Block(time)) => self.keep_running(index, task, time, true),
            Some(Step::Spawn(script)) => {
                self.spawn(Some(index), script);
                self.keep_running(index, task, SPAWN, false);
            }
            Some(Step::SpawnLocal(script)) => {
                let child = self.add_task(script, true);
                self.queue_local(index, child);
                self.keep_running(index, task, SPAWN, false);
            }
            Some(Step::Send(channel)) => {
                self.send_message(Some(index), channel);
                self.keep_running(index, task, SPAWN, false);
            }
            Some(Step::Arrive(group)) => {
                self.groups[group].push(index);
                self.keep_running(index, task, 0, false);
            }
            Some(Step::Receive(channel)) => self.receive(index, task, channel),
            Some(Step::Sleep(time)) => {
                let until = self.now + time;
                self.workers[index].timers.push(Reverse((until, task)));
                self.end_turn(index, task, false);
            }
            Some(Step::Yield) => {
                self.workers[index].ready.push_back(task);
                self.end_turn(index, task, false);
            }
            None => {
                self.ended = self.now - START;
                self.end_turn(index, task, true);
            }
        }
    }

    fn keep_running(&mut self, index: usize, task: TaskId, time: Nanos, blocked: bool) {
        let now = self.now;
        let worker = &mut self.workers[index];
        worker.stop_computing(now);
        worker.computing_since = (!blocked).then_some(now);
        worker.phase = Phase::Running { task, blocked };
        self.schedule(index, time);
    }

    fn end_turn(&mut self, index: usize, task: TaskId, ended: bool) {
        self.workers[index].stop_computing(self.now);
        self.turn_ended(index, task, ended);
    }

    fn receive(&mut self, index: usize, task: TaskId, channel: ChannelId) {
        let channel = &mut self.channels[channel];
        if channel.messages > 0 {
            channel.messages -= 1;
            self.keep_running(index, task, SPAWN, false);
        } else {
            channel.receivers.push_back(task);
            self.end_turn(index, task, false);
        }
    }

    fn send_message(&mut self, by: Option<usize>, channel: ChannelId) {
        let channel = &mut self.channels[channel];
        let Some(receiver) = channel.receivers.pop_front() else {
            channel.messages += 1;
            return;
        };
        if let Some(worker) = self.tasks[receiver].worker {
            self.deliver(by, worker, receiver);
        }
    }
}
