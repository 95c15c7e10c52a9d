//! The dump: all goroutines as text.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::panic::Location;

use super::goroutine::{self, Goroutine, GoroutineState};

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

    /// Lists each goroutine, however many there are.
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
/// [`all`](DumpOptions::all).
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
    let mut seen = Seen::default();
    goroutine::for_each(|goroutine| seen.add(goroutine, options));
    if !options.no_frames {
        seen.add_frames();
    }
    seen.write(writer)
}

/// What a dump has seen. It lists all goroutines until there are too many, and counts from then on,
/// so it never needs much memory.
#[derive(Default)]
struct Seen {
    listed: Vec<Goroutine>,
    groups: BTreeMap<Kind, Group>,
}

/// What the goroutines of a group have in common: their spawn site, and what they wait for.
type Kind = (Option<&'static Location<'static>>, &'static str);

struct Group {
    count: usize,
    /// The one that has waited longest.
    first: Goroutine,
}

impl Seen {
    fn add(&mut self, goroutine: Goroutine, options: DumpOptions) {
        if self.groups.is_empty() {
            self.listed.push(goroutine);
            if self.listed.len() > MANY && !options.all {
                let listed = std::mem::take(&mut self.listed);
                listed
                    .into_iter()
                    .for_each(|goroutine| self.count(goroutine));
            }
        } else {
            self.count(goroutine);
        }
    }

    fn count(&mut self, goroutine: Goroutine) {
        let state = goroutine.state();
        let words = match state {
            GoroutineState::Running => "running",
            GoroutineState::Runnable => "runnable",
            GoroutineState::Waiting(reason) => reason.as_str(),
        };
        let kind = (goroutine.spawned_at(), words);
        match self.groups.get_mut(&kind) {
            Some(group) => {
                group.count += 1;
                if group.first.since() < goroutine.since() {
                    group.first = goroutine;
                }
            }
            None => {
                let group = Group {
                    count: 1,
                    first: goroutine,
                };
                self.groups.insert(kind, group);
            }
        }
    }

    fn add_frames(&mut self) {
        let first = self.groups.values_mut().map(|group| &mut group.first);
        let mut all: Vec<_> = self.listed.iter_mut().chain(first).collect();
        goroutine::add_frames(&mut all);
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
            let kind = if site.is_some() {
                "goroutine"
            } else {
                "thread"
            };
            let plural = if group.count == 1 { "" } else { "s" };
            write!(
                writer,
                "{} {kind}{plural} [{}",
                group.count,
                group.first.state()
            )?;
            match group.first.since().as_secs() / 60 {
                0 => {}
                1 => writer.write_all(b", up to 1 minute")?,
                minutes => write!(writer, ", up to {minutes} minutes")?,
            }
            writeln!(writer, "]:")?;
            for frame in group.first.frames() {
                writeln!(writer, "{frame}")?;
            }
            if let Some(site) = site {
                writeln!(writer, "created at {site}")?;
            }
            writeln!(writer)?;
        }
        Ok(())
    }
}
