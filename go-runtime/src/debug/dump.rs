//! The dump: all goroutines as text.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, Write};
use std::panic::Location;
use std::time::Duration;

use super::blockers;
use super::goroutine::{self, Goroutine, GoroutineState, Longest, Recorded, Rounded};

/// Number of goroutines above which a dump counts those of a kind instead of listing all.
const MANY: usize = 1000;

/// How [`dump`] writes.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct DumpOptions {
    all: bool,
    no_frames: bool,
}

impl DumpOptions {
    /// The options of a dump that groups the goroutines if there are more than 1,000.
    pub fn new() -> DumpOptions {
        DumpOptions::default()
    }

    /// Lists each goroutine, however many there are. If there are more than 1,000, they come in no
    /// particular order, and are written as they are seen, without [what blocks
    /// them](Goroutine::blocked_by).
    pub fn all(mut self, all: bool) -> DumpOptions {
        self.all = all;
        self
    }

    /// Whether the [frames](super::goroutines_with_frames) of waiting goroutines are written, as
    /// they are by default: of each group the one's that has waited longest; of at most 1,000
    /// goroutines in all.
    pub fn frames(mut self, frames: bool) -> DumpOptions {
        self.no_frames = !frames;
        self
    }
}

/// Writes all goroutines that have started, and the threads that wait in one of the runtime's
/// calls, those first that have waited longest.
///
/// If there are more than 1,000, it writes one paragraph for all goroutines that were spawned at
/// the same place and wait for the same reason, unless the options ask for
/// [`all`](DumpOptions::all). Those that hold their worker are listed in any case.
///
/// A dump of a million goroutines takes about a second and few megabytes of memory, beside the
/// program's debug information if there are frames. Goroutines start and end meanwhile.
///
/// # Errors
/// An error of the writer.
///
/// ```
/// use go_runtime::debug::{DumpOptions, dump};
///
/// dump(&mut std::io::stdout(), DumpOptions::new())?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn dump(writer: &mut dyn Write, options: DumpOptions) -> io::Result<()> {
    dump_others(writer, options, None)
}

/// A goroutine that a dump leaves out.
#[derive(Clone, Copy)]
pub(crate) struct Except {
    pub(crate) number: usize,
    /// Where it was spawned, if it has ended: then another one may have its number by now.
    pub(crate) spawned_at: Option<&'static Location<'static>>,
}

impl Except {
    fn is(self, goroutine: &Goroutine) -> bool {
        goroutine.number() == self.number
            && (self.spawned_at.is_none() || self.spawned_at == goroutine.spawned_at())
    }
}

/// Does what [`dump`] does, without one goroutine.
pub(super) fn dump_others(
    writer: &mut dyn Write,
    options: DumpOptions,
    except: Option<Except>,
) -> io::Result<()> {
    let is_left_out = |one: &Goroutine| except.is_some_and(|except| except.is(one));
    let mut seen = Seen::default();
    let Ok(()) = goroutine::for_each(|goroutine| {
        if !is_left_out(&goroutine) {
            seen.add(goroutine, options);
        }
        Ok::<_, Infallible>(())
    });
    if !seen.too_many {
        if !options.no_frames {
            goroutine::add_frames(seen.firsts());
        }
        blockers::add_blockers(seen.firsts());
        let notes = seen.notes(options);
        seen.write(writer)?;
        return writer.write_all(notes.as_bytes());
    }
    let recorded = if options.no_frames {
        Recorded::default()
    } else {
        seen.longest.record()
    };
    goroutine::for_each(|mut goroutine| {
        if is_left_out(&goroutine) {
            return Ok(());
        }
        recorded.add_to(&mut goroutine);
        writeln!(writer, "{goroutine}\n")
    })
}

/// What a dump has seen. It lists all goroutines until there are too many, and counts from then on,
/// or only remembers which have waited longest, so it never needs much memory.
#[derive(Default)]
struct Seen {
    listed: Vec<Goroutine>,
    groups: BTreeMap<Kind, Group>,
    /// Whether there are too many to list and all are to be listed: a second walk writes them.
    too_many: bool,
    longest: Longest,
}

/// What the goroutines of a group have in common: their spawn site, and what they wait for.
type Kind = (Option<&'static Location<'static>>, &'static str);

struct Group {
    count: usize,
    /// The one that has waited longest.
    first: Goroutine,
    /// Where the goroutine was spawned that has spawned them, if that is the same for all.
    spawner: Option<&'static Location<'static>>,
}

impl Seen {
    fn add(&mut self, goroutine: Goroutine, options: DumpOptions) {
        if self.too_many {
            self.longest.add(&goroutine);
        } else if !self.groups.is_empty() {
            self.count(goroutine);
        } else if self.listed.len() < MANY {
            self.listed.push(goroutine);
        } else {
            let mut listed = std::mem::take(&mut self.listed);
            listed.push(goroutine);
            if options.all {
                self.too_many = true;
                listed.iter().for_each(|one| self.longest.add(one));
            } else {
                listed.into_iter().for_each(|one| self.count(one));
            }
        }
    }

    fn count(&mut self, goroutine: Goroutine) {
        if goroutine.holds_worker_for().is_some() {
            self.listed.push(goroutine);
            return;
        }
        let kind = (goroutine.spawned_at(), goroutine.state().as_str());
        match self.groups.get_mut(&kind) {
            Some(group) => {
                group.count += 1;
                if group.spawner != goroutine.spawner() {
                    group.spawner = None;
                }
                if group.first.since() < goroutine.since() {
                    group.first = goroutine;
                }
            }
            None => {
                let group = Group {
                    count: 1,
                    spawner: goroutine.spawner(),
                    first: goroutine,
                };
                self.groups.insert(kind, group);
            }
        }
    }

    /// Says why frames are missing, if they are.
    fn notes(&mut self, options: DumpOptions) -> String {
        if options.no_frames {
            return String::new();
        }
        let mut notes = String::new();
        let holds = |one: &&mut Goroutine| one.holds_worker_for().is_some();
        let holders = self.firsts().filter(holds);
        let mut held: Vec<_> = holders
            .filter_map(|one| Some((one.worker()?, one.number())))
            .collect();
        held.sort_unstable();
        let is_held = |worker| held.iter().any(|(held, _)| *held == worker);
        let (mut of_held, mut others, mut any_place) = (Vec::new(), false, false);
        for one in self.firsts() {
            if let (GoroutineState::Waiting(_), Some(worker)) = (one.state(), one.worker()) {
                if is_held(worker) {
                    of_held.push(worker);
                } else {
                    others = true;
                    any_place |= one.frames().iter().any(|frame| frame.location().is_some());
                }
            }
        }
        for (worker, holder) in held {
            if of_held.contains(&worker) {
                notes += &format!(
                    "The goroutines of worker {worker} have no frames here, because goroutine \
                     {holder} holds it. (gdb shows them all.)\n"
                );
            }
        }
        if others && !any_place {
            notes += "No lines are known: the program has no line tables. They need `debug = \
                      \"line-tables-only\"` in its profile.\n";
        }
        notes
    }

    /// Returns those that are listed, and of each group the one that has waited longest.
    fn firsts(&mut self) -> impl Iterator<Item = &mut Goroutine> {
        let first = self.groups.values_mut().map(|group| &mut group.first);
        self.listed.iter_mut().chain(first)
    }

    fn write(mut self, writer: &mut dyn Write) -> io::Result<()> {
        self.listed
            .sort_by_key(|one| (std::cmp::Reverse(one.since()), one.number()));
        for goroutine in &self.listed {
            writeln!(writer, "{goroutine}\n")?;
        }
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(_, group)| std::cmp::Reverse((group.first.since(), group.count)));
        for ((site, _), group) in groups {
            let kind = goroutine::kind(*site);
            let plural = if group.count == 1 { "" } else { "s" };
            write!(
                writer,
                "{} {kind}{plural} [{}",
                group.count,
                group.first.state()
            )?;
            if group.first.since() >= Duration::from_secs(60) {
                write!(writer, ", up to {}", Rounded(group.first.since()))?;
            }
            writeln!(writer, "]:")?;
            for frame in group.first.frames() {
                writeln!(writer, "{frame}")?;
            }
            if let Some(site) = site {
                writeln!(writer, "created at {site}")?;
            }
            if let Some(spawner) = group.spawner {
                writeln!(writer, "\tby the goroutine created at {spawner}")?;
            }
            let mut blocker = String::new();
            let one = "The one that has waited longest";
            let _ = group.first.write_blocker(&mut blocker, one, "\n");
            writeln!(writer, "{blocker}")?;
        }
        Ok(())
    }
}
