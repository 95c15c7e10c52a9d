//! The workers' loop and the monitor, as in `worker`, `runtime` and `monitor`, with the decisions
//! of `placement` itself. Each `impl` block names the module that it mirrors, and most methods have
//! the names of the methods that they stand for.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::mem;
use std::time::Duration;

use super::super::{OnStart, OnSteal, Survey, View, Watch, may_start_anyway};
use super::machine::{Event, Machine, TaskId};
use super::workloads::{MS, Nanos, US};
use smallvec::SmallVec;

use crate::sched::load::{Load, NEVER, Period};
use crate::sched::task::MonitorTick;

/// Maximum number of other workers whose loads a decision reads; as in `tuning`.
pub(super) const SURVEYED: usize = 16;
/// Maximum number of turns in a round, after which a worker reads its inbox and fires its timers;
/// as in `tuning`.
const ROUND: usize = 64;
/// When the oldest task is preferred, and up to how many tasks the two ends alternate; as in
/// `tuning`.
const OLDEST_WAIT: Nanos = MS;
const FEW: usize = 8;
/// How long an idle worker spins, and up to which wait for work it does; as in `tuning`.
const SPIN: Nanos = 20 * US;
const SOON: Nanos = 250 * US;
/// Times of the monitor; as in `tuning` and `load` (`ACTIVE_FOR`).
const TICK: Nanos = 5 * MS;
const SLICE: Nanos = 10 * MS;
const SURPLUS_TIMEOUT: Nanos = 100 * MS;
const SLEEP_AFTER: Nanos = 200 * MS;

/// Pause between two searches of an idle worker.
const POLL: Nanos = 2 * US;
/// Time until a new worker's thread runs.
const HIRING: Nanos = 50 * US;

#[derive(Clone, Copy)]
pub(super) enum Phase {
    Running {
        task: TaskId,
        blocked: bool,
    },
    Searching,
    Asleep,
    /// Another thread woke the worker, and the system is about to run the worker's thread.
    Waking,
}

pub(super) struct Worker {
    pub(super) phase: Phase,
    /// The number of the event at which the worker goes on; earlier events are void.
    pub(super) next_event: usize,
    pub(super) counts_as_idle: bool,
    /// Tasks that have not started: the worker's own, the ones that other workers have sent to it,
    /// and the ones that no other worker may start.
    pub(super) own: VecDeque<TaskId>,
    pub(super) sent: VecDeque<TaskId>,
    local: VecDeque<TaskId>,
    pub(super) ready: VecDeque<TaskId>,
    /// Goroutines that other workers woke.
    inbox: Vec<TaskId>,
    notified: bool,
    /// Whether the worker has been idle since it last ran a goroutine.
    pub(super) was_idle: bool,
    pub(super) timers: BinaryHeap<Reverse<(Nanos, TaskId)>>,
    pub(super) load: Load,
    /// The monitor's tick that the worker has seen last.
    tick: MonitorTick,
    pub(super) period: Period,
    is_new_tick: bool,
    /// The number of the worker's turn, and the latest turn in which a goroutine held the worker.
    turns: usize,
    held_turn: usize,
    /// The latest turn for whose end another worker waited too long.
    long_turn: usize,
    retired: bool,
    oldest_started: Option<Nanos>,
    oldest_has_turn: bool,
    searching: bool,
    searching_or_watching: bool,
    batch: usize,
    watch: Watch,
    idle_since: Option<Nanos>,
    spin_for: Nanos,
    soon: bool,
    /// Processor time that the worker has used, and the time at which it began to compute.
    computed: Nanos,
    pub(super) computing_since: Option<Nanos>,
}

impl Default for Worker {
    fn default() -> Worker {
        Worker {
            phase: Phase::Searching,
            next_event: 0,
            counts_as_idle: false,
            own: VecDeque::new(),
            sent: VecDeque::new(),
            local: VecDeque::new(),
            ready: VecDeque::new(),
            inbox: Vec::new(),
            notified: false,
            was_idle: false,
            timers: BinaryHeap::new(),
            load: Load::default(),
            tick: 0,
            period: NEVER,
            is_new_tick: false,
            turns: 0,
            held_turn: 0,
            long_turn: 0,
            retired: false,
            oldest_started: None,
            oldest_has_turn: false,
            searching: false,
            searching_or_watching: false,
            batch: 1,
            watch: Watch::default(),
            idle_since: None,
            spin_for: SPIN,
            soon: false,
            computed: 0,
            computing_since: None,
        }
    }
}

impl Worker {
    fn is_asleep(&self) -> bool {
        matches!(self.phase, Phase::Asleep)
    }

    fn is_held(&self) -> bool {
        self.turns > 0 && self.held_turn == self.turns
    }

    fn accepts(&self) -> bool {
        !self.retired && !self.is_held()
    }

    fn is_surveyed(&self) -> bool {
        self.accepts() && !(self.turns > 0 && self.long_turn == self.turns)
    }

    fn has_unstarted(&self) -> bool {
        !self.own.is_empty() || !self.sent.is_empty()
    }

    /// Whether the worker could start a task at once.
    pub(super) fn is_idle(&self) -> bool {
        let has_nothing = self.ready.is_empty() && self.inbox.is_empty() && self.local.is_empty();
        self.accepts() && !matches!(self.phase, Phase::Running { .. }) && has_nothing
    }

    fn view(&self, index: usize, now: Period) -> View {
        let active = self.load.read(now);
        View {
            index,
            leaves: active.leaves,
            parents: active.parents > 0,
            sent: self.sent.len(),
            live: active.live,
            busy: matches!(self.phase, Phase::Running { .. }),
            turn: self.turns,
            asleep: self.is_asleep(),
        }
    }

    fn computed(&self, now: Nanos) -> Duration {
        let current = self.computing_since.map_or(0, |since| now - since);
        Duration::from_nanos(self.computed + current)
    }

    pub(super) fn stop_computing(&mut self, now: Nanos) {
        self.computed += self.computing_since.take().map_or(0, |since| now - since);
    }

    fn is_blocked(&self) -> bool {
        matches!(self.phase, Phase::Running { blocked: true, .. })
    }

    fn has_due_timer(&self, now: Nanos) -> bool {
        self.timers
            .peek()
            .is_some_and(|Reverse((time, _))| *time <= now)
    }

    fn drain_inbox(&mut self) {
        self.ready.extend(self.inbox.drain(..));
    }

    fn fire_timers(&mut self, now: Nanos) {
        while self.has_due_timer(now) {
            let due = self.timers.pop();
            self.ready.extend(due.map(|Reverse((_, task))| task));
        }
    }

    fn take_unstarted(&mut self, turn: usize) -> Option<TaskId> {
        if let Some(task) = self.sent.pop_front() {
            return Some(task);
        }
        let is_mixed = self.own.len() <= FEW && turn & 2 == 0;
        if mem::take(&mut self.oldest_has_turn) || is_mixed {
            self.own.pop_front()
        } else {
            self.own.pop_back()
        }
    }

    fn is_turn_of_the_oldest(&mut self, now: Nanos) -> bool {
        let is_due = self
            .oldest_started
            .is_none_or(|last| now - last >= OLDEST_WAIT);
        if is_due {
            self.oldest_started = Some(now);
        }
        is_due
    }

    fn note_gap(&mut self, gap: Nanos) {
        self.soon = gap < SOON;
        self.spin_for = if self.soon {
            SPIN.max(gap * 3 / 2)
        } else {
            SPIN
        };
    }
}

/// A queue, other than its own, that a worker may take tasks from.
#[derive(Clone, Copy)]
enum Queue {
    Injector,
    Own(usize),
    Sent(usize),
}

/// `worker::run`.
impl Machine {
    /// Takes the worker's next step: the event that is due for it now.
    pub(super) fn go_on(&mut self, index: usize) {
        match self.workers[index].phase {
            Phase::Running { task, .. } => self.resume(index, task),
            Phase::Searching => self.turn(index),
            Phase::Asleep | Phase::Waking => {
                self.resume_after_sleep(index);
                self.turn(index);
            }
        }
    }

    /// One pass through the worker's loop.
    fn turn(&mut self, index: usize) {
        self.workers[index].phase = Phase::Searching;
        if let Some(task) = self.next(index) {
            self.workers[index].idle_since = None;
            self.stop_searching_or_watching(index);
            return self.execute(index, task);
        }
        self.workers[index].was_idle = true;
        let since = *self.workers[index].idle_since.get_or_insert(self.now);
        if self.now - since < self.spin_for(index) && self.start_searching(index) {
            self.schedule(index, POLL);
        } else {
            self.sleep(index);
        }
    }

    pub(super) fn turn_ended(&mut self, index: usize, task: TaskId, ended: bool) {
        self.note_tick(index);
        if ended {
            let (active_in, parent) = (self.tasks[task].active_in, self.tasks[task].parent);
            self.workers[index].load.end(active_in, parent);
        } else {
            self.note_active(index, task);
        }
        self.turn(index);
    }

    pub(super) fn note_tick(&mut self, index: usize) {
        let (tick, period) = (self.tick, self.period());
        let worker = &mut self.workers[index];
        worker.is_new_tick |= mem::replace(&mut worker.tick, tick) != tick;
        if mem::replace(&mut worker.period, period) != period {
            worker.load.enter(period);
        }
    }

    pub(super) fn note_active(&mut self, index: usize, task: TaskId) {
        let (task, worker) = (&mut self.tasks[task], &self.workers[index]);
        if task.active_in != worker.period {
            worker.load.activate(task.active_in, task.parent);
            task.active_in = worker.period;
        }
    }

    fn next(&mut self, index: usize) -> Option<TaskId> {
        let worker = &mut self.workers[index];
        worker.turns += 1;
        let turn = worker.turns;
        let is_new_tick = mem::take(&mut worker.is_new_tick);
        if (turn.is_multiple_of(ROUND) || is_new_tick)
            && let Some(task) = self.end_round(index)
        {
            return Some(task);
        }
        let found = if turn.is_multiple_of(2) {
            self.next_ready(index)
                .or_else(|| self.next_new(index, turn))
        } else {
            self.next_new(index, turn)
                .or_else(|| self.next_ready(index))
        };
        found.or_else(|| self.next_elsewhere(index, turn))
    }

    fn end_round(&mut self, index: usize) -> Option<TaskId> {
        let now = self.now;
        let worker = &mut self.workers[index];
        worker.drain_inbox();
        worker.fire_timers(now);
        if !worker.has_unstarted() {
            self.search(index, false);
            return None;
        }
        worker.oldest_has_turn = worker.is_turn_of_the_oldest(now);
        self.next_injected(index)
    }

    fn next_ready(&mut self, index: usize) -> Option<TaskId> {
        self.workers[index].ready.pop_front()
    }

    fn next_new(&mut self, index: usize, turn: usize) -> Option<TaskId> {
        if self.workers[index].local.is_empty() {
            self.next_unstarted(index, turn)
        // (Not the bit of `take_unstarted`.)
        } else if turn & 4 == 0 {
            self.workers[index].local.pop_front()
        } else {
            let task = self.next_unstarted(index, turn);
            task.or_else(|| self.workers[index].local.pop_front())
        }
    }

    fn next_elsewhere(&mut self, index: usize, turn: usize) -> Option<TaskId> {
        let worker = &mut self.workers[index];
        worker.drain_inbox();
        worker.fire_timers(self.now);
        let ready = self.next_ready(index);
        if ready.is_none() && self.search(index, true) {
            return self.next_new(index, turn);
        }
        ready
    }
}

/// `worker`: spawning.
impl Machine {
    pub(super) fn queue(&mut self, index: usize, task: TaskId) {
        self.note_spawn(index);
        self.waiting += 1;
        if self.workers[index].retired {
            self.injector.push_back(task);
        } else {
            self.workers[index].own.push_back(task);
        }
    }

    pub(super) fn queue_local(&mut self, index: usize, task: TaskId) {
        self.note_spawn(index);
        self.workers[index].local.push_back(task);
    }

    fn note_spawn(&mut self, index: usize) {
        let worker = &self.workers[index];
        if let Phase::Running { task, .. } = worker.phase
            && !mem::replace(&mut self.tasks[task].parent, true)
        {
            worker.load.become_parent(self.tasks[task].active_in);
        }
    }
}

/// `worker::unstarted` and `worker::stealing`.
impl Machine {
    fn next_unstarted(&mut self, index: usize, turn: usize) -> Option<TaskId> {
        loop {
            let worker = &mut self.workers[index];
            let queued = worker.own.len() + worker.sent.len();
            if queued == 0 {
                return None;
            }
            if worker.retired {
                self.hand_over(index);
                return None;
            }
            let task = worker.take_unstarted(turn)?;
            if let Some(task) = self.start_or_send(index, task, queued) {
                return Some(task);
            }
        }
    }

    fn hand_over(&mut self, index: usize) {
        while let Some(task) = self.workers[index].take_unstarted(0) {
            self.injector.push_back(task);
        }
        self.announce_work();
    }

    fn start_or_send(&mut self, index: usize, task: TaskId, queued: usize) -> Option<TaskId> {
        let worker = &self.workers[index];
        let (leaves, parents) = worker.load.own();
        if may_start_anyway(leaves, parents > 0, self.workers.len() - 1, queued) {
            return Some(self.place(task));
        }
        let worker = &self.workers[index];
        let queued = 1 + worker.own.len() + worker.sent.len();
        match self.survey(index).on_start(queued) {
            OnStart::Start => Some(self.place(task)),
            OnStart::Send { to, count } => {
                self.send(index, to, task, count);
                None
            }
        }
    }

    fn place(&mut self, task: TaskId) -> TaskId {
        self.waiting -= 1;
        task
    }

    fn next_injected(&mut self, index: usize) -> Option<TaskId> {
        if self.workers[index].retired {
            return None;
        }
        let task = self.injector.pop_front()?;
        let queued = 1 + self.workers[index].own.len();
        self.start_or_send(index, task, queued)
    }

    fn queue_mut(&mut self, queue: Queue) -> &mut VecDeque<TaskId> {
        match queue {
            Queue::Injector => &mut self.injector,
            Queue::Own(index) => &mut self.workers[index].own,
            Queue::Sent(index) => &mut self.workers[index].sent,
        }
    }

    /// Moves the oldest tasks of a queue to a worker's own queue. The worker takes the oldest of
    /// them first.
    fn steal_into(&mut self, index: usize, queue: Queue, most: usize) {
        let queue = self.queue_mut(queue);
        let stolen: Vec<_> = queue.drain(..most.min(queue.len())).collect();
        self.workers[index].own.extend(stolen.into_iter().rev());
        self.workers[index].batch = self.workers[index].batch.saturating_mul(2);
    }

    fn search(&mut self, index: usize, idle: bool) -> bool {
        if self.workers[index].retired {
            return false;
        }
        if self.waiting == 0 {
            self.workers[index].watch.end();
            return false;
        }
        let mut survey = None;
        let made = self.workers.len();
        let victims = (1..made).map(|i| (index + i) % made);
        let theirs = victims.flat_map(|victim| [Queue::Own(victim), Queue::Sent(victim)]);
        for queue in [Queue::Injector].into_iter().chain(theirs) {
            let queued = self.queue_mut(queue).len();
            if queued > 0 {
                let survey = &*survey.get_or_insert_with(|| self.survey(index));
                if self.search_in(index, queue, queued, survey, idle) {
                    return true;
                }
            }
        }
        if survey.is_none() && self.workers[index].watch.is_on() {
            self.workers[index].watch.end();
        }
        false
    }

    fn search_in(
        &mut self,
        index: usize,
        queue: Queue,
        queued: usize,
        survey: &Survey,
        idle: bool,
    ) -> bool {
        match survey.on_steal(queued) {
            OnSteal::Take(count) => {
                let most = count.min(self.workers[index].batch);
                self.steal_into(index, queue, most);
                true
            }
            OnSteal::Leave { wake } => {
                if let Some(least) = wake {
                    self.notify(least);
                }
                idle && self.watch_is_over(index, survey) && self.take_over(index, queue)
            }
        }
    }

    /// Starts a task that was left to other workers.
    fn take_over(&mut self, index: usize, queue: Queue) -> bool {
        let Some(task) = self.queue_mut(queue).pop_front() else {
            return false;
        };
        let task = self.place(task);
        self.workers[index].local.push_back(task);
        true
    }

    fn watch_is_over(&mut self, index: usize, survey: &Survey) -> bool {
        self.workers[index].searching_or_watching = true;
        let mut watch = mem::take(&mut self.workers[index].watch);
        let is_over = watch.is_over(
            survey,
            self.instant(),
            |index| Some(self.workers[index].computed(self.now)),
            |index| self.workers[index].is_blocked(),
        );
        if is_over {
            for (other, turn) in watch.long_turns(self.instant()) {
                self.workers[other].long_turn = turn;
            }
        }
        self.workers[index].watch = watch;
        is_over
    }
}

/// `worker::idling`, and the sleep of `worker::run`.
impl Machine {
    fn spin_for(&self, index: usize) -> Nanos {
        let worker = &self.workers[index];
        if !worker.soon && self.sleepers + 1 >= self.active {
            0
        } else {
            worker.spin_for
        }
    }

    fn start_searching(&mut self, index: usize) -> bool {
        let worker = &mut self.workers[index];
        if worker.retired {
            return false;
        }
        if !worker.searching {
            let others = self.searching - usize::from(self.searching > 0 && worker.soon);
            if others > 0 && others * 2 >= self.active {
                return false;
            }
            self.searching += 1;
            worker.searching = true;
            worker.searching_or_watching = true;
        }
        true
    }

    fn stop_searching_or_watching(&mut self, index: usize) {
        if !mem::take(&mut self.workers[index].searching_or_watching) {
            return;
        }
        let was_last = self.stop_searching_itself(index);
        if (was_last || self.workers[index].watch.is_on()) && self.anything_unstarted() {
            self.announce_work();
        }
    }

    /// Returns whether the worker was the last one that searched.
    fn stop_searching_itself(&mut self, index: usize) -> bool {
        let was_searching = mem::take(&mut self.workers[index].searching);
        was_searching && self.stop_searching()
    }

    fn sleep(&mut self, index: usize) {
        if !self.fall_asleep(index) {
            // The worker searches again later, and not in this step, because the run would never
            // end otherwise.
            self.workers[index].idle_since = None;
            return self.schedule(index, POLL);
        }
        let timer = self.workers[index].timers.peek();
        let timer = timer.map(|Reverse((time, _))| time.saturating_sub(self.now));
        let next_survey = self.workers[index].watch.next_survey(self.instant());
        let next_survey = next_survey.map(|next| self.nanos_until(next));
        if let Some(alarm) = timer.into_iter().chain(next_survey).min() {
            self.schedule_wake_up(index, alarm);
        }
    }

    /// Puts the worker to sleep unless there is something to do.
    fn fall_asleep(&mut self, index: usize) -> bool {
        self.workers[index].batch = 1;
        if !self.workers[index].inbox.is_empty() {
            return false;
        }
        self.workers[index].phase = Phase::Asleep;
        self.sleepers += usize::from(!self.workers[index].retired);
        self.stop_searching_itself(index);
        if self.workers[index].retired && self.anything_unstarted() {
            self.announce_work();
        }
        if self.workers[index].has_unstarted() || self.search(index, true) {
            self.wake_up(index);
            self.resume_after_sleep(index);
            return false;
        }
        // The last search may have notified this worker itself.
        self.workers[index].is_asleep()
    }

    /// Ends a worker's sleep.
    fn wake_up(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        if worker.is_asleep() {
            worker.phase = Phase::Searching;
            self.sleepers -= usize::from(!worker.retired);
        }
    }

    fn resume_after_sleep(&mut self, index: usize) {
        self.note_tick(index);
        self.wake_up(index);
        let worker = &mut self.workers[index];
        worker.phase = Phase::Searching;
        worker.drain_inbox();
        if let Some(since) = worker.idle_since.take() {
            worker.note_gap(self.now - since);
        }
        if mem::take(&mut worker.notified) {
            worker.searching_or_watching = true;
            if mem::replace(&mut worker.searching, true) {
                self.stop_searching();
            }
        }
        self.end_monitor_sleep();
    }
}

/// `runtime`, `sleep_state` and `idle`.
impl Machine {
    fn stop_searching(&mut self) -> bool {
        self.searching -= 1;
        self.searching == 0
    }

    fn anything_unstarted(&self) -> bool {
        self.waiting > 0
            && (!self.injector.is_empty() || self.workers.iter().any(Worker::has_unstarted))
    }

    fn sleeps_any(&self) -> bool {
        self.workers
            .iter()
            .any(|worker| worker.is_asleep() && worker.accepts())
    }

    pub(super) fn announce_work(&mut self) {
        if self.sleepers > 0 && self.searching == 0 {
            self.notify_one();
        }
    }

    fn notify_one(&mut self) {
        let now = self.period();
        let workers = self.workers.iter().enumerate();
        let asleep = workers.filter(|(_, worker)| worker.is_asleep() && worker.accepts());
        let best = asleep.min_by_key(|(index, worker)| worker.view(*index, now).rank());
        if let Some((best, _)) = best {
            self.searching += 1;
            self.notify_sleeper(best);
        }
    }

    /// `WorkerShared::notify`: the caller has counted the worker as searching.
    fn notify_sleeper(&mut self, index: usize) -> bool {
        let was_asleep = self.workers[index].is_asleep();
        if was_asleep {
            self.workers[index].notified = true;
            self.start_waking(index);
        }
        was_asleep
    }

    fn start_waking(&mut self, index: usize) {
        self.wake_up(index);
        self.workers[index].phase = Phase::Waking;
        self.schedule_wake_up(index, 0);
    }

    fn notify(&mut self, index: usize) {
        self.searching += 1;
        if !self.notify_sleeper(index) && self.stop_searching() && self.anything_unstarted() {
            self.announce_work();
        }
    }

    /// Delivers a woken goroutine to its worker.
    pub(super) fn deliver(&mut self, by: Option<usize>, index: usize, task: TaskId) {
        if by == Some(index) {
            self.workers[index].ready.push_back(task);
            return;
        }
        self.workers[index].inbox.push(task);
        if self.workers[index].is_asleep() {
            self.start_waking(index);
        }
        self.note_idle(index);
    }

    fn survey(&mut self, index: usize) -> Survey {
        let (made, now) = (self.workers.len(), self.period());
        let first = if made - 1 > SURVEYED {
            self.rng.usize(..made)
        } else {
            0
        };
        let others: SmallVec<_> = (0..made)
            .map(|i| (first + i) % made)
            .filter(|other| *other != index && self.workers[*other].is_surveyed())
            .take(SURVEYED)
            .map(|other| self.workers[other].view(other, now))
            .collect();
        let total = if others.len() == SURVEYED {
            made - 1
        } else {
            others.len()
        };
        Survey::new(
            self.workers[index].view(index, now),
            others,
            total,
            self.waiting,
        )
    }

    fn send(&mut self, from: usize, to: usize, first: TaskId, count: usize) {
        self.workers[to].sent.push_back(first);
        for _ in 1..count {
            let next = self.workers[from].take_unstarted(0);
            self.workers[to].sent.extend(next);
        }
        if self.workers[to].is_asleep() {
            self.notify(to);
        } else {
            self.announce_work();
        }
    }
}

/// The monitor's state.
#[derive(Default)]
pub(super) struct Monitor {
    /// Each worker's turn, and when the monitor first saw that turn.
    observed: Vec<(usize, Nanos)>,
    surplus_since: Option<Nanos>,
    asleep_since: Option<Nanos>,
    sleeps: bool,
}

/// `monitor` and `hiring`.
impl Machine {
    pub(super) fn monitor_tick(&mut self) {
        self.tick += 1;
        (0..self.workers.len()).for_each(|index| self.observe(index));
        self.adjust_workers();
        let all_asleep = self.workers.iter().all(Worker::is_asleep);
        let since = *self.monitor.asleep_since.get_or_insert(self.now);
        if !all_asleep {
            self.monitor.asleep_since = None;
        } else if self.now - since > SLEEP_AFTER && self.monitor.surplus_since.is_none() {
            self.monitor.sleeps = true;
            return;
        }
        self.at(self.now + TICK, Event::Monitor);
    }

    fn end_monitor_sleep(&mut self) {
        if mem::take(&mut self.monitor.sleeps) {
            self.monitor.asleep_since = None;
            self.at(self.now + TICK, Event::Monitor);
        }
    }

    fn observe(&mut self, index: usize) {
        let observed = &mut self.monitor.observed;
        observed.resize(observed.len().max(index + 1), (0, 0));
        let worker = &mut self.workers[index];
        let (turns, since) = observed[index];
        let is_running = matches!(worker.phase, Phase::Running { .. });
        if !is_running || turns != worker.turns {
            observed[index] = (worker.turns, self.now);
        } else if self.now - since >= SLICE {
            worker.held_turn = turns;
        }
    }

    fn adjust_workers(&mut self) {
        let accepting = self
            .workers
            .iter()
            .filter(|worker| worker.accepts())
            .count();
        if accepting <= self.wanted {
            self.monitor.surplus_since = None;
        } else if self.now - *self.monitor.surplus_since.get_or_insert(self.now) >= SURPLUS_TIMEOUT
        {
            self.retire_one();
        }
        if accepting < self.wanted && self.anything_unstarted() && !self.sleeps_any() {
            self.at(self.now + HIRING, Event::WorkerAdded);
        }
    }

    /// Brings a retired worker back, or makes a new one.
    pub(super) fn worker_added(&mut self) {
        let mut workers = self.workers.iter();
        self.active += 1;
        match workers.position(|worker| worker.retired && !worker.is_held()) {
            Some(index) => {
                self.workers[index].retired = false;
                // The sleep of a retired worker is not counted.
                self.sleepers += usize::from(self.workers[index].is_asleep());
                self.notify(index);
            }
            None => self.add_worker(),
        }
    }

    fn retire_one(&mut self) {
        let extra = (self.wanted..self.workers.len()).find(|index| self.workers[*index].accepts());
        if let Some(index) = extra {
            self.sleepers -= usize::from(self.workers[index].is_asleep());
            self.workers[index].retired = true;
            self.active -= 1;
            self.notify(index);
        }
    }
}
