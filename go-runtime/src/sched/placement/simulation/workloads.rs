//! What the virtual goroutines do: scripts of steps, and the workloads that are made of them.

use std::iter;
use std::rc::Rc;

use fastrand::Rng;

/// Virtual time, in nanoseconds.
pub(super) type Nanos = u64;

pub(super) const US: Nanos = 1000;
pub(super) const MS: Nanos = 1000 * US;

/// Names a channel of a workload.
pub(super) type ChannelId = usize;

/// One step of a goroutine.
pub(super) enum Step {
    Compute(Nanos),
    /// Blocks the worker in a system call, without computing.
    Block(Nanos),
    Sleep(Nanos),
    Yield,
    Spawn(Script),
    /// Spawns a goroutine that only this worker may start.
    SpawnLocal(Script),
    Send(ChannelId),
    /// Records on which worker this member of a group runs.
    Arrive(usize),
    /// Parks the goroutine unless a message is there.
    Receive(ChannelId),
}

/// A goroutine's steps, which are made as they are needed.
pub(super) type Script = Box<dyn Iterator<Item = Step>>;

/// What happens on a thread that is no worker.
pub(super) enum Outside {
    Spawn(Script),
    Send(ChannelId),
}

/// What happens in a run of the simulation.
#[derive(Default)]
pub(super) struct Workload {
    /// The kinds that the workload mixes.
    pub(super) kinds: Vec<&'static str>,
    pub(super) outside: Vec<(Nanos, Outside)>,
    pub(super) channels: usize,
    pub(super) groups: usize,
}

fn script(steps: impl IntoIterator<Item = Step, IntoIter: 'static>) -> Script {
    Box::new(steps.into_iter())
}

/// A random number from `low` to `high`, with each order of magnitude equally likely.
pub(super) fn any_scale(rng: &mut Rng, low: Nanos, high: Nanos) -> Nanos {
    let (low, high) = (low as f64, high as f64);
    (low * (high / low).powf(rng.f64())) as Nanos
}

/// Goroutines that each compute once.
fn computing(count: usize, mut rng: Rng, longest: Nanos) -> impl Iterator<Item = Script> {
    iter::repeat_with(move || script([Step::Compute(any_scale(&mut rng, US, longest))])).take(count)
}

/// A goroutine that computes and sleeps by turns, for about as long as `lasts`.
fn short_sleeper(rng: &mut Rng, lasts: Nanos) -> Script {
    let work = rng.u64(500..5 * US);
    let sleep = any_scale(rng, 5 * US, 200 * US);
    let rounds = lasts / (work + sleep);
    script((0..rounds).flat_map(move |_| [Step::Compute(work), Step::Sleep(sleep)]))
}

/// A tree of goroutines, each of which waits for its children (skynet).
fn tree(fan: usize, depth: usize, work: Nanos, done: ChannelId, first: ChannelId) -> Script {
    let report = [Step::Compute(work), Step::Send(done)];
    if depth == 0 {
        return script(report);
    }
    let child = move |_| Step::Spawn(tree(fan, depth - 1, work, first, first + 1));
    let children = (0..fan).map(child);
    script(
        children
            .chain((0..fan).map(move |_| Step::Receive(first)))
            .chain(report),
    )
}

/// One stage of a pipeline.
fn stage(from: ChannelId, to: ChannelId, messages: usize, work: Nanos) -> Script {
    let steps = move |_| [Step::Receive(from), Step::Compute(work), Step::Send(to)];
    script((0..messages).flat_map(steps))
}

/// A server's connection, which is active in bursts.
fn connection(mut rng: Rng) -> Script {
    let bursts = rng.usize(1..10);
    script((0..bursts).flat_map(move |_| {
        let turns = rng.usize(1..5);
        let work = any_scale(&mut rng, US, 300 * US);
        let pause = any_scale(&mut rng, 20 * US, 20 * MS);
        let burst = (0..turns).flat_map(move |_| [Step::Compute(work), Step::Yield]);
        burst.chain([Step::Sleep(pause)])
    }))
}

impl Workload {
    /// A mixture of up to three kinds, all of which start within `lasts`.
    pub(super) fn mixed(rng: &mut Rng, workers: usize, lasts: Nanos) -> Workload {
        let mut workload = Workload::default();
        for _ in 0..rng.usize(1..=3) {
            let (name, add) = KINDS[rng.usize(..KINDS.len())];
            workload.kinds.push(name);
            add(&mut workload, rng, workers, lasts);
        }
        workload
    }

    pub(super) fn channel(&mut self) -> ChannelId {
        self.channels += 1;
        self.channels - 1
    }

    /// Adds a thread that spawns these goroutines from `at` on, one every 300 ns.
    pub(super) fn spawn(&mut self, at: Nanos, scripts: impl IntoIterator<Item = Script>) {
        let scripts = scripts.into_iter().enumerate();
        let spawns = scripts.map(|(i, script)| (at + i as Nanos * 300, Outside::Spawn(script)));
        self.outside.extend(spawns);
    }

    /// Adds a thread or a goroutine, at random, that spawns these goroutines.
    fn spawn_somehow(&mut self, rng: &mut Rng, at: Nanos, scripts: Vec<Script>) {
        if rng.bool() {
            self.spawn(at, scripts);
        } else {
            let parent = script(scripts.into_iter().map(Step::Spawn));
            self.spawn(at, [parent]);
        }
    }

    /// Goroutines that threads spawn throughout `lasts`, and that keep most workers busy.
    pub(super) fn stream(rng: &mut Rng, workers: usize, lasts: Nanos) -> Workload {
        let mut workload = Workload {
            kinds: vec!["stream"],
            ..Workload::default()
        };
        let work = any_scale(rng, 100 * US, 3 * MS);
        let pause = work * rng.u64(80..130) / 100 / workers as u64;
        let hold = if rng.bool() {
            Step::Block
        } else {
            Step::Compute
        };
        let mut at = 0;
        while at < lasts {
            let step = hold(any_scale(rng, work / 4, work * 4));
            workload.spawn(at, [script([step, Step::Sleep(rng.u64(1..5) * MS)])]);
            at += rng.u64(0..=2 * pause);
        }
        workload
    }

    /// A group of goroutines that wait on one channel, for 10 ms.
    pub(super) fn pool(&mut self, at: Nanos, members: usize, by_goroutine: bool) {
        let (jobs, ends, group) = (self.channel(), self.channel(), self.groups);
        self.groups += 1;
        let member = move |_| {
            let steps = [Step::Compute(US), Step::Arrive(group), Step::Receive(jobs)];
            script(steps.into_iter().chain([Step::Send(ends)]))
        };
        if by_goroutine {
            let spawns = (0..members).map(move |i| Step::Spawn(member(i)));
            let stop = (0..members).map(move |_| Step::Send(jobs));
            let join = (0..members).map(move |_| Step::Receive(ends));
            let pause = [Step::Sleep(10 * MS)];
            self.spawn(at, [script(spawns.chain(pause).chain(stop).chain(join))]);
        } else {
            self.spawn(at, (0..members).map(member));
            self.outside
                .extend((0..members).map(|_| (at + 10 * MS, Outside::Send(jobs))));
        }
    }

    /// A group of two goroutines: the first one spawns the second, and waits for it.
    pub(super) fn couple(&mut self, at: Nanos) {
        let (done, group) = (self.channel(), self.groups);
        self.groups += 1;
        let child = script([Step::Compute(US), Step::Arrive(group), Step::Send(done)]);
        let parent = [Step::Arrive(group), Step::Spawn(child), Step::Receive(done)];
        self.spawn(at, [script(parent)]);
    }

    /// Goroutines that park forever, in some runs all on the worker of their parent.
    pub(super) fn crowd(&mut self, rng: &mut Rng, at: Nanos, count: usize) {
        let never = self.channel();
        let parked = move |_| script([Step::Compute(US), Step::Receive(never)]);
        match rng.u32(..3) {
            0 => self.spawn(at, (0..count).map(parked)),
            1 => self.spawn(
                at,
                [script((0..count).map(move |i| Step::Spawn(parked(i))))],
            ),
            _ => self.spawn(
                at,
                [script((0..count).map(move |i| Step::SpawnLocal(parked(i))))],
            ),
        }
    }

    /// Short goroutines that keep the monitor awake, so that periods pass.
    pub(super) fn keep_awake(&mut self, until: Nanos) {
        for at in (0..until).step_by(4 * MS as usize) {
            self.spawn(at, [script([Step::Compute(US)])]);
        }
    }

    /// Goroutines that each compute for `work`, give or take a third.
    pub(super) fn computing(rng: &mut Rng, count: usize, work: Nanos) -> Workload {
        let works: Vec<_> = (0..count)
            .map(|_| rng.u64(work * 2 / 3..=work * 4 / 3))
            .collect();
        let mut workload = Workload {
            kinds: vec!["computing"],
            ..Workload::default()
        };
        let tasks = works
            .into_iter()
            .map(|work| script([Step::Compute(work)]))
            .collect();
        workload.spawn_somehow(rng, 0, tasks);
        workload
    }
}

type Add = fn(&mut Workload, &mut Rng, usize, Nanos);

/// The kinds of workloads.
const KINDS: [(&str, Add); 13] = [
    ("short sleepers", add_sleepers),
    ("sleepers beside few that compute", add_lopsided),
    ("computing", add_computing),
    ("blocking", add_blocking),
    ("pool", add_pool),
    ("tree", add_tree),
    ("pipeline", add_pipeline),
    ("server", add_server),
    ("bursts", add_bursts),
    ("held", add_held),
    ("crowd", add_crowd),
    ("forks", add_forks),
    ("spawner", add_spawner),
];

fn add_sleepers(load: &mut Workload, rng: &mut Rng, workers: usize, lasts: Nanos) {
    let count = rng.usize(1..=(3 * workers).min(40));
    let sleepers = (0..count).map(|_| short_sleeper(rng, lasts)).collect();
    load.spawn_somehow(rng, 0, sleepers);
}

/// Many sleepers, so that the least loaded workers are the ones that compute for long.
fn add_lopsided(load: &mut Workload, rng: &mut Rng, workers: usize, lasts: Nanos) {
    let busy = rng.usize(1..=workers);
    let work = any_scale(rng, 200 * US, 9 * MS);
    let rounds = (lasts / work) as usize;
    let steps = move |_| (0..rounds).flat_map(move |_| [Step::Compute(work), Step::Yield]);
    load.spawn(0, (0..busy).map(|i| script(steps(i))));
    let sleepers = (0..(4 * workers).min(40))
        .map(|_| short_sleeper(rng, lasts))
        .collect();
    load.spawn_somehow(rng, MS, sleepers);
    for _ in 0..rng.usize(1..10) {
        let at = rng.u64(MS..lasts);
        load.spawn(at, computing(rng.usize(1..=workers), rng.fork(), 100 * US));
    }
}

fn add_computing(load: &mut Workload, rng: &mut Rng, workers: usize, lasts: Nanos) {
    for _ in 0..rng.usize(1..=5) {
        let at = rng.u64(..lasts);
        let longest = any_scale(rng, 10 * US, 9 * MS);
        let tasks = computing(rng.usize(1..=3 * workers), rng.fork(), longest).collect();
        load.spawn_somehow(rng, at, tasks);
    }
}

fn add_blocking(load: &mut Workload, rng: &mut Rng, workers: usize, lasts: Nanos) {
    for _ in 0..rng.usize(1..=2 * workers) {
        let at = rng.u64(..lasts);
        let blocked = any_scale(rng, 100 * US, 40 * MS);
        load.spawn(at, [script([Step::Block(blocked)])]);
    }
}

fn add_pool(load: &mut Workload, rng: &mut Rng, workers: usize, lasts: Nanos) {
    let members = if rng.bool() {
        workers
    } else {
        rng.usize(1..=3 * workers)
    };
    load.pool(rng.u64(..lasts), members, rng.bool());
}

fn add_tree(load: &mut Workload, rng: &mut Rng, _workers: usize, lasts: Nanos) {
    let (fan, depth) = [(10, 2), (10, 3), (2, 7), (4, 4), (30, 1)][rng.usize(..5)];
    let work = any_scale(rng, 200, 20 * US);
    let first = load.channels;
    load.channels += depth + 2;
    load.spawn(rng.u64(..lasts), [tree(fan, depth, work, first, first + 1)]);
}

fn add_pipeline(load: &mut Workload, rng: &mut Rng, workers: usize, lasts: Nanos) {
    let stages = rng.usize(2..=(2 * workers).clamp(2, 40));
    let messages = rng.usize(1..100);
    let work = any_scale(rng, 200, 50 * US);
    let channels: Vec<_> = (0..=stages).map(|_| load.channel()).collect();
    let scripts = channels
        .windows(2)
        .map(|ends| stage(ends[0], ends[1], messages, work));
    let at = rng.u64(..lasts);
    load.spawn_somehow(rng, at, scripts.collect());
    let sends = (0..messages).map(|i| (at + i as Nanos * 2 * work, Outside::Send(channels[0])));
    load.outside.extend(sends);
}

/// An acceptor, which spawns a goroutine for each connection.
fn add_server(load: &mut Workload, rng: &mut Rng, _workers: usize, lasts: Nanos) {
    let pause = any_scale(rng, 10 * US, 5 * MS);
    let count = (lasts / pause).min(300);
    let mut own = rng.fork();
    let accept = move |_| [Step::Sleep(pause), Step::Spawn(connection(own.fork()))];
    load.spawn(0, [script((0..count).flat_map(accept))]);
}

fn add_bursts(load: &mut Workload, rng: &mut Rng, _workers: usize, lasts: Nanos) {
    for _ in 0..rng.usize(1..6) {
        let at = rng.u64(..lasts);
        let count = any_scale(rng, 1, 500) as usize;
        let longest = any_scale(rng, 2 * US, 200 * US);
        load.spawn(at, computing(count, rng.fork(), longest));
    }
}

/// Goroutines that hold their workers.
fn add_held(load: &mut Workload, rng: &mut Rng, workers: usize, lasts: Nanos) {
    for _ in 0..rng.usize(1..=workers) {
        let at = rng.u64(..lasts);
        let work = rng.u64(12 * MS..40 * MS);
        load.spawn(at, [script([Step::Compute(work)])]);
    }
}

fn add_crowd(load: &mut Workload, rng: &mut Rng, _workers: usize, lasts: Nanos) {
    let count = any_scale(rng, 1, 300) as usize;
    let at = rng.u64(..lasts);
    load.crowd(rng, at, count);
}

/// Goroutines that spawn a few children, and then compute.
fn add_forks(load: &mut Workload, rng: &mut Rng, workers: usize, lasts: Nanos) {
    for _ in 0..rng.usize(1..=2 * workers) {
        let at = rng.u64(..lasts);
        let children = computing(rng.usize(1..4), rng.fork(), MS).map(Step::Spawn);
        let work = any_scale(rng, 50 * US, 8 * MS);
        load.spawn(at, [script(children.chain([Step::Compute(work)]))]);
    }
}

/// Goroutines that spawn a short one in each round, for as long as the workload lasts.
fn add_spawner(load: &mut Workload, rng: &mut Rng, workers: usize, lasts: Nanos) {
    for _ in 0..rng.usize(1..=workers.min(8)) {
        let work = any_scale(rng, US, 300 * US);
        let pause = any_scale(rng, 5 * US, 500 * US);
        let child = Rc::new(any_scale(rng, US, 100 * US));
        let rounds = (lasts / (work + pause)).min(500);
        let steps = move |_| {
            let spawn = Step::Spawn(script([Step::Compute(*child)]));
            [Step::Compute(work), spawn, Step::Sleep(pause)]
        };
        load.spawn(0, [script((0..rounds).flat_map(steps))]);
    }
}
