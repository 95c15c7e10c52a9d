//! CPU profiles by kind of goroutine, and the forms in which they are written.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, Write};
use std::panic::Location;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::protobuf::Message;
use crate::clock;
use crate::primitives::one_line::OneLine;
use crate::sched::global;
use crate::sched::profile::{Collected, Profiling};
use crate::wait::{WaitReason, sleep_until};

/// Time between two samples, in nanoseconds.
const PERIOD: u64 = 5_000_000;

/// How the goroutines of each kind have used the workers' CPU time; [`profile`] makes it.
///
/// It displays as a table like that of `go tool pprof -top`, with the kinds that used most first:
///
/// ```text
/// Duration: 10.00s, Total samples = 14.02s (140.20%)
///       flat   flat%    sum%
///      9.31s  66.41%  66.41%  src/main.rs:41:9
///      3.58s  25.53%  91.94%  src/main.rs:57:13 {name: printer}
///      1.11s   7.92%  99.86%  (scheduler)
///      0.02s   0.14% 100.00%  (unattributed)
/// ```
///
/// *flat* is CPU time, *flat%* its share of all, *sum%* the share of this and the lines above.
/// `(scheduler)` are the workers themselves, which search for work and wait for events;
/// `(unattributed)` is what workers have used while no sample met the goroutine that used it.
#[derive(Clone, Debug)]
pub struct Profile {
    begun: SystemTime,
    duration: Duration,
    entries: Vec<ProfileEntry>,
    unattributed: Duration,
}

/// A line of a [`Profile`]: the goroutines that were spawned at one place, with one name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProfileEntry {
    /// Where the goroutines were spawned; `None` for the workers themselves, which search for work
    /// and wait for events.
    pub spawned_at: Option<&'static Location<'static>>,
    /// The goroutines' name, if they have one.
    pub name: Option<String>,
    /// The CPU time that they have used.
    pub cpu: Duration,
    /// The number of samples that have met one of them while it computed. If there are few, the
    /// time is a rough estimate: of 100 samples, a kind that uses half of the time gets 50 ± 5.
    pub samples: u64,
}

/// Blocks the calling thread, or parks the calling goroutine, for `duration`, and returns how the
/// goroutines have used the workers' CPU time meanwhile.
///
/// The runtime's monitor samples every 5 ms which goroutine each worker runs, and adds the CPU time
/// that the worker's thread has used since the last sample to the goroutine's spawn site and name.
/// So a goroutine that is preempted or blocked by the system counts for nothing. Goroutines' code
/// runs as without a profile, and while no profile is made, nothing is sampled. Several profiles
/// may be made at the same time. (Work in step with the samples, which begins anew every 5 ms, is
/// met too often or too rarely, as in every profile that is sampled.)
///
/// Not seen are goroutines with a thread of their own, calls of [`blocking`](crate::blocking()),
/// and other threads. (A profile of functions, as `perf` makes it, shows those as well.) In a
/// profile with over 1,000 names the other goroutines go by their spawn sites only.
///
/// The profile ends in time, also if a goroutine holds the caller's worker when the time is over;
/// the caller then goes on later.
///
/// On systems other than Linux, which do not tell the CPU time of other threads, a goroutine that
/// runs counts as computing.
///
/// # Panics
/// If the runtime cannot start.
///
/// ```
/// use std::time::Duration;
/// use go_runtime::debug::profile;
///
/// let profile = profile(Duration::from_millis(20));
/// println!("{profile}");
/// for entry in profile.entries() {
///     println!("{:?} used {:?}", entry.spawned_at, entry.cpu);
/// }
/// ```
#[must_use]
#[track_caller]
pub fn profile(duration: Duration) -> Profile {
    let runtime = global::get();
    let begun = SystemTime::now();
    let until = clock::after(duration);
    let profiling = Profiling::begin(runtime, until);
    sleep_until(WaitReason::Sleep, until);
    Profile::new(begun, profiling.collect(runtime))
}

impl Profile {
    fn new(begun: SystemTime, collected: Collected) -> Profile {
        let entry = |(kind, used): (Option<(_, _)>, crate::sched::profile::Use)| {
            let (spawned_at, name) = kind.unzip();
            ProfileEntry {
                spawned_at,
                name: name.flatten(),
                cpu: used.cpu,
                samples: used.samples,
            }
        };
        let mut entries: Vec<_> = collected.kinds.into_iter().map(entry).collect();
        entries.sort_by(|one, other| {
            let key = |entry: &ProfileEntry| (Reverse(entry.cpu), entry.place());
            key(one).cmp(&key(other)).then(one.name.cmp(&other.name))
        });
        Profile {
            begun,
            duration: collected.duration,
            entries,
            unattributed: collected.unattributed,
        }
    }

    /// Returns the kinds of goroutines that have used CPU time, the one that used most first.
    #[must_use]
    pub fn entries(&self) -> &[ProfileEntry] {
        &self.entries
    }

    /// Returns for how long the profile was made.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Returns the CPU time of all entries, and the [unattributed](Profile::unattributed).
    #[must_use]
    pub fn total(&self) -> Duration {
        self.entries.iter().map(|entry| entry.cpu).sum::<Duration>() + self.unattributed
    }

    /// Returns the CPU time that workers have used while no sample met the goroutine that used it.
    #[must_use]
    pub fn unattributed(&self) -> Duration {
        self.unattributed
    }

    /// Writes the profile as folded stacks, which flame graphs are drawn from: a line for each
    /// entry with its spawn site, a semicolon and its name, if it has one, and the CPU time in
    /// microseconds.
    ///
    /// # Errors
    /// An error of the writer.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let mut text = Vec::new();
    /// go_runtime::debug::profile(Duration::from_millis(10)).write_folded(&mut text)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write_folded(&self, writer: &mut dyn Write) -> io::Result<()> {
        // Neither may stand in a frame: they end it.
        let frame = |text: &str| text.replace([';', '\n', '\r'], "_");
        for row in self.rows() {
            writer.write_all(frame(&row.place).as_bytes())?;
            if let Some(name) = row.name {
                write!(writer, ";{}", frame(name))?;
            }
            writeln!(writer, " {}", row.cpu.as_micros())?;
        }
        Ok(())
    }

    /// Writes the profile in pprof's format, which `go tool pprof` and other tools open. (It is not
    /// compressed, which they accept.) A spawn site stands for a function; the name is the tag
    /// `name`, by which `-tagfocus` filters.
    ///
    /// # Errors
    /// An error of the writer.
    ///
    /// ```no_run
    /// use std::fs::File;
    /// use std::time::Duration;
    ///
    /// let profile = go_runtime::debug::profile(Duration::from_secs(10));
    /// profile.write_pprof(&mut File::create("cpu.pprof")?)?; // go tool pprof -top cpu.pprof
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write_pprof(&self, writer: &mut dyn Write) -> io::Result<()> {
        writer.write_all(self.to_pprof().as_bytes())
    }

    /// Returns the profile as a message of pprof's
    /// [schema](https://github.com/google/pprof/blob/main/proto/profile.proto), whose names the
    /// fields below have.
    fn to_pprof(&self) -> Message {
        let mut strings = Strings::new();
        let mut message = Message::new();
        for (kind, unit) in [("samples", "count"), ("cpu", "nanoseconds")] {
            let (kind, unit) = (strings.add(kind), strings.add(unit));
            message.message(1, |sample_type| {
                sample_type.number(1, kind).number(2, unit);
            });
        }
        let mut functions = BTreeMap::new();
        for row in self.rows() {
            // The number of the row's function, which is also that of its place.
            let next = functions.len() as u64 + 1;
            let (function, file) = (strings.add(&row.place), strings.add(row.file));
            let id = functions
                .entry(function)
                .or_insert((next, file, row.line))
                .0;
            let name = row
                .name
                .map(|name| (strings.add("name"), strings.add(name)));
            message.message(2, |sample| {
                sample.number(1, id);
                sample.number(2, row.samples);
                sample.number(2, nanoseconds(row.cpu));
                if let Some((key, text)) = name {
                    sample.message(3, |label| {
                        label.number(1, key).number(2, text);
                    });
                }
            });
        }
        for (&function, &(id, file, line)) in &functions {
            message.message(4, |location| {
                location.number(1, id).message(4, |in_line| {
                    in_line.number(1, id).number(2, line);
                });
            });
            message.message(5, |of_site| {
                of_site
                    .number(1, id)
                    .number(2, function)
                    .number(3, function);
                of_site.number(4, file).number(5, line);
            });
        }
        let (cpu, unit) = (strings.add("cpu"), strings.add("nanoseconds"));
        for string in &strings.all {
            message.text(6, string);
        }
        let begun = self.begun.duration_since(UNIX_EPOCH).unwrap_or_default();
        message
            .number(9, nanoseconds(begun))
            .number(10, nanoseconds(self.duration))
            .message(11, |period_type| {
                period_type.number(1, cpu).number(2, unit);
            })
            .number(12, PERIOD);
        message
    }

    /// Returns what all forms of the profile list: the entries, and what belongs to none.
    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let rest = Row {
            place: "(unattributed)".to_owned(),
            file: "",
            line: 0,
            name: None,
            cpu: self.unattributed,
            samples: 0,
        };
        let rest = (!self.unattributed.is_zero()).then_some(rest);
        self.entries.iter().map(Row::new).chain(rest)
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

impl ProfileEntry {
    fn place(&self) -> String {
        match self.spawned_at {
            Some(site) => site.to_string(),
            None => "(scheduler)".to_owned(),
        }
    }
}

/// An entry of a profile, or what belongs to none, as it is written.
struct Row<'a> {
    place: String,
    file: &'a str,
    line: u64,
    name: Option<&'a str>,
    cpu: Duration,
    samples: u64,
}

impl Row<'_> {
    fn new(entry: &ProfileEntry) -> Row<'_> {
        Row {
            place: entry.place(),
            file: entry.spawned_at.map_or("", Location::file),
            line: entry.spawned_at.map_or(0, |site| site.line().into()),
            name: entry.name.as_deref(),
            cpu: entry.cpu,
            samples: entry.samples,
        }
    }
}

/// The table of strings of a message of pprof's, in which the first string is empty.
struct Strings {
    all: Vec<String>,
    numbers: HashMap<String, u64>,
}

impl Strings {
    fn new() -> Strings {
        let mut strings = Strings {
            all: Vec::new(),
            numbers: HashMap::new(),
        };
        strings.add("");
        strings
    }

    /// Returns the number of the string.
    fn add(&mut self, string: &str) -> u64 {
        if let Some(&number) = self.numbers.get(string) {
            return number;
        }
        let number = self.all.len() as u64;
        self.all.push(string.to_owned());
        self.numbers.insert(string.to_owned(), number);
        number
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total().as_secs_f64();
        let percent = |part: f64, of: f64| if of > 0.0 { part / of * 100.0 } else { 0.0 };
        let duration = self.duration.as_secs_f64();
        writeln!(
            f,
            "Duration: {duration:.2}s, Total samples = {total:.2}s ({:.2}%)",
            percent(total, duration)
        )?;
        write!(f, "{:>10} {:>7} {:>7}", "flat", "flat%", "sum%")?;
        let mut sum = 0.0;
        for row in self.rows() {
            let flat = row.cpu.as_secs_f64();
            sum += flat;
            write!(
                f,
                "\n{flat:>9.2}s {:>6.2}% {:>6.2}%  {}",
                percent(flat, total),
                percent(sum, total),
                row.place
            )?;
            if let Some(name) = row.name {
                write!(f, " {{name: {}}}", OneLine(name))?;
            }
        }
        Ok(())
    }
}
