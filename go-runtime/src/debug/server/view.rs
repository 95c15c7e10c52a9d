//! Goroutines, workers and figures as JSON. All times are in nanoseconds.
//!
//! A program may have a million goroutines. They are counted and sorted here, while they are seen
//! one by one, so that neither the memory nor an answer grows with their number.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::convert::Infallible;
use std::panic::Location;
use std::time::Duration;

use super::super::goroutine::{add_frames, for_each};
use super::super::{Goroutine, GoroutineState, Metrics, metrics};
use super::json::{self, Object};
use crate::clock;

/// Maximum number of groups in an answer: the largest ones. Few programs have as many spawn sites.
const MAX_GROUPS: usize = 1000;
/// Maximum number of different names that a group tells.
const MAX_NAMES: usize = 3;
/// Maximum length of a name in bytes.
const MAX_NAME: usize = 200;
/// Number of goroutines on a page of a list.
const PAGE: usize = 20;
/// Maximum number of goroutines before the page.
pub(super) const MAX_OFFSET: usize = 100_000;

/// A text that goroutines are filtered by.
pub(super) struct Filter {
    lowercase: String,
}

impl Filter {
    pub(super) fn new(text: &str) -> Filter {
        Filter {
            lowercase: text.trim().to_lowercase(),
        }
    }

    fn accepts(&self, one: &Goroutine) -> bool {
        let has = |text: &str| text.to_lowercase().contains(&self.lowercase);
        self.lowercase.is_empty()
            || one.name().is_some_and(has)
            || one.thread().is_some_and(has)
            || has(&one.state().to_string())
            || one.spawned_at().is_some_and(|site| has(&site.to_string()))
            || one.number().to_string() == self.lowercase
    }
}

/// The spawn site in a request.
struct Site<'a> {
    file: &'a str,
    line: u32,
    column: u32,
}

impl Site<'_> {
    fn parse(text: &str) -> Option<Site<'_>> {
        let (rest, column) = text.rsplit_once(':')?;
        let (file, line) = rest.rsplit_once(':')?;
        Some(Site {
            file,
            line: line.parse().ok()?,
            column: column.parse().ok()?,
        })
    }

    fn is(&self, site: &Location<'_>) -> bool {
        (site.line(), site.column()) == (self.line, self.column) && site.file() == self.file
    }
}

/// Goroutines that were spawned at one place, and are in one state.
struct Group {
    count: usize,
    /// How many of them hold their worker.
    holding: usize,
    longest: Duration,
    names: Vec<String>,
}

type Kind = (Option<&'static Location<'static>>, GoroutineState);

/// The goroutines that a filter accepts, by kind.
struct Groups {
    total: usize,
    matching: usize,
    groups: HashMap<Kind, Group>,
    /// All goroutines that hold a worker, whatever the filter says.
    holders: Vec<Goroutine>,
}

impl Groups {
    fn new(filter: &Filter) -> Groups {
        let mut all = Groups {
            total: 0,
            matching: 0,
            groups: HashMap::new(),
            holders: Vec::new(),
        };
        let Ok(()) = for_each(|one| {
            all.add(one, filter);
            Ok::<_, Infallible>(())
        });
        all
    }

    fn add(&mut self, one: Goroutine, filter: &Filter) {
        self.total += 1;
        let holds = one.holds_worker_for().is_some();
        if filter.accepts(&one) {
            self.matching += 1;
            let group = self
                .groups
                .entry((one.spawned_at(), one.state()))
                .or_insert_with(|| Group {
                    count: 0,
                    holding: 0,
                    longest: Duration::ZERO,
                    names: Vec::new(),
                });
            group.count += 1;
            group.holding += usize::from(holds);
            group.longest = group.longest.max(time_of(&one));
            if group.names.len() < MAX_NAMES
                && let Some(name) = label(&one)
                && !group.names.iter().any(|other| other == name)
            {
                group.names.push(name.to_owned());
            }
        }
        if holds {
            self.holders.push(one);
        }
    }

    fn put(mut self, o: &mut Object<'_>) {
        o.plain("total", self.total);
        o.plain("matching", self.matching);
        let mut groups: Vec<_> = self.groups.drain().collect();
        groups.sort_by_cached_key(|((site, state), group)| {
            (
                Reverse(group.holding > 0),
                Reverse(group.count),
                *site,
                state.to_string(),
            )
        });
        o.plain("groups_left_out", groups.len().saturating_sub(MAX_GROUPS));
        groups.truncate(MAX_GROUPS);
        o.objects("groups", groups, |o, ((site, state), group)| {
            o.maybe("site", site.map(Location::to_string));
            o.string("state", &state.to_string());
            o.plain("count", group.count);
            o.plain("holding", group.holding);
            o.plain("longest", group.longest.as_nanos());
            o.strings("names", &group.names);
        });
    }
}

/// Returns how long the goroutine has been in its state.
fn time_of(one: &Goroutine) -> Duration {
    one.holds_worker_for().unwrap_or_else(|| one.since())
}

/// Returns the goroutine's name, or its thread's, cut off if it is very long.
fn label(one: &Goroutine) -> Option<&str> {
    let name = one.own_name()?;
    let mut end = name.len().min(MAX_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    Some(&name[..end])
}

fn put_goroutine(o: &mut Object<'_>, one: &Goroutine) {
    o.string("kind", one.kind());
    o.plain("number", one.number());
    o.maybe("name", label(one));
    o.string("state", &one.state().to_string());
    o.plain("since", time_of(one).as_nanos());
    o.maybe_plain("worker", one.worker());
    o.plain("holds_worker", one.holds_worker_for().is_some());
    o.maybe("system_call", one.system_call());
    o.maybe(
        "object",
        one.object().map(|address| format!("{address:#x}")),
    );
    o.maybe("site", one.spawned_at().map(Location::to_string));
    o.maybe("spawner", one.spawner().map(Location::to_string));
    o.objects("frames", one.frames(), |o, frame| {
        o.string("function", frame.function());
        o.maybe("location", frame.location());
    });
}

/// Returns the goroutines that the filter accepts, counted by spawn site and state.
pub(super) fn goroutines_json(filter: &Filter) -> String {
    json::object(|o| Groups::new(filter).put(o))
}

/// Returns figures, workers and goroutines: all that the page shows anew each second.
pub(super) fn state_json(filter: &Filter) -> String {
    let groups = Groups::new(filter);
    let metrics = metrics();
    json::object(|o| {
        let program = std::env::current_exe().ok();
        let name = program.as_deref().and_then(std::path::Path::file_name);
        o.maybe("program", name.map(std::ffi::OsStr::to_string_lossy));
        o.plain("process", std::process::id());
        o.object("metrics", |o| put_metrics(o, &metrics));
        o.objects(
            "workers",
            metrics.workers.iter().enumerate(),
            |o, (index, worker)| {
                o.plain("retired", worker.retired);
                o.plain("age", worker.age.as_nanos());
                o.plain("busy", worker.busy.as_nanos());
                o.maybe_plain("cpu", worker.cpu.map(|cpu| cpu.as_nanos()));
                o.plain("run_queue", worker.run_queue);
                o.plain("unstarted", worker.unstarted);
                o.plain("live", worker.live);
                o.plain("turns", worker.turns);
                o.plain("steals", worker.steals);
                o.plain("wakeups", worker.wakeups);
                let holds = |one: &&Goroutine| one.worker() == Some(index);
                o.objects("held_by", groups.holders.iter().find(holds), put_goroutine);
            },
        );
        o.object("goroutines", |o| groups.put(o));
    })
}

fn put_metrics(o: &mut Object<'_>, metrics: &Metrics) {
    o.plain("goroutines", metrics.goroutines);
    o.plain("runnable", metrics.goroutines_runnable);
    o.plain("running", metrics.goroutines_running);
    o.plain("waiting", metrics.goroutines_waiting);
    o.plain("not_in_go", metrics.goroutines_not_in_go);
    o.plain("created", metrics.goroutines_created);
    o.plain("gomaxprocs", metrics.gomaxprocs);
    o.plain("threads", metrics.threads);
    o.plain("mutex_wait", metrics.mutex_wait.as_nanos());
    o.maybe_plain("stacks_bytes", metrics.stacks_bytes);
    o.plain("injector", metrics.injector);
    o.plain("blocking_busy", metrics.blocking.busy);
    o.plain("blocking_idle", metrics.blocking.idle);
    o.plain("blocking_queued", metrics.blocking.queued);
    o.object("latencies", |o| {
        let bounds = metrics.sched_latencies.bounds.iter();
        o.plains("bounds", bounds.map(Duration::as_nanos));
        o.plains("counts", metrics.sched_latencies.counts.iter().copied());
        o.plain("sum", metrics.sched_latencies.sum.as_nanos());
    });
}

/// Returns a page of the goroutines of a group, with frames: those that hold their worker, and then
/// those that have waited longest. Threads that are no goroutines have no spawn site. `None` if
/// `site` is no spawn site.
pub(super) fn group_json(
    site: Option<&str>,
    state: &str,
    filter: &Filter,
    offset: usize,
) -> Option<String> {
    let site = match site {
        Some(text) => Some(Site::parse(text)?),
        None => None,
    };
    let key = |one: &Goroutine| {
        let holds = one.holds_worker_for().is_some();
        (Reverse((holds, time_of(one))), one.number())
    };
    let wanted = offset + PAGE;
    let (mut count, mut found) = (0_usize, Vec::new());
    let Ok(()) = for_each(|one| {
        let is_here = match (&site, one.spawned_at()) {
            (Some(site), Some(this)) => site.is(this),
            (None, None) => true,
            _ => false,
        };
        if is_here && one.state().to_string() == state && filter.accepts(&one) {
            count += 1;
            found.push(one);
            if found.len() >= 2 * wanted {
                found.sort_by_cached_key(key);
                found.truncate(wanted);
            }
        }
        Ok::<_, Infallible>(())
    });
    found.sort_by_cached_key(key);
    let mut page: Vec<_> = found.into_iter().skip(offset).take(PAGE).collect();
    add_frames(&mut page);
    Some(json::object(|o| {
        o.plain("count", count);
        o.plain("offset", offset);
        o.objects("goroutines", &page, put_goroutine);
    }))
}

/// Returns the goroutines that wait for each other.
pub(super) fn deadlocks_json() -> String {
    #[cfg(target_os = "linux")]
    let found = super::super::deadlocks();
    json::object(|o| {
        o.plain("available", cfg!(target_os = "linux"));
        #[cfg(target_os = "linux")]
        o.objects("deadlocks", &found, |o, one| {
            o.string("text", &one.to_string());
            o.objects("goroutines", one.goroutines(), put_goroutine);
        });
        #[cfg(not(target_os = "linux"))]
        o.objects("deadlocks", None::<()>, |_, ()| {});
    })
}

/// Returns the goroutines that nothing can wake any more, or why they are not known.
pub(super) fn leaks_json() -> String {
    let begun = clock::now();
    let found = leaks();
    put_leaks(found, begun.elapsed())
}

/// A goroutine that has leaked.
struct Leaked {
    is_certain: bool,
    text: String,
    goroutine: Goroutine,
}

#[cfg(target_os = "linux")]
fn leaks() -> Result<Vec<Leaked>, String> {
    let found = crate::debug::leaks().map_err(|error| error.to_string())?;
    let leaked = found.iter().map(|leak| Leaked {
        is_certain: leak.is_certain(),
        text: leak.to_string(),
        goroutine: leak.goroutine().clone(),
    });
    Ok(leaked.collect())
}

#[cfg(not(target_os = "linux"))]
fn leaks() -> Result<Vec<Leaked>, String> {
    Err("they are searched for on Linux only".to_owned())
}

/// Writes leaks by spawn site, state, and whether they are certain, the certain ones first. Each
/// group has the text and the goroutine of the leak that has waited longest.
fn put_leaks(found: Result<Vec<Leaked>, String>, took: Duration) -> String {
    json::object(|o| {
        o.plain("took", took.as_nanos());
        o.plain("available", found.is_ok());
        o.maybe("reason", found.as_ref().err());
        let leaks = found.unwrap_or_default();
        o.plain("total", leaks.len());
        let mut groups: HashMap<_, Vec<&Leaked>> = HashMap::new();
        for leak in &leaks {
            let one = &leak.goroutine;
            let kind = (leak.is_certain, one.spawned_at(), one.state());
            groups.entry(kind).or_default().push(leak);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_cached_key(|((is_certain, site, state), group)| {
            (
                Reverse(*is_certain),
                Reverse(group.len()),
                *site,
                state.to_string(),
            )
        });
        o.plain("groups_left_out", groups.len().saturating_sub(MAX_GROUPS));
        groups.truncate(MAX_GROUPS);
        o.objects("leaks", groups, |o, ((is_certain, site, state), group)| {
            let of = |leak: &&&Leaked| (leak.goroutine.since(), Reverse(leak.goroutine.number()));
            let mut names: Vec<_> = group
                .iter()
                .filter_map(|leak| label(&leak.goroutine))
                .collect();
            names.sort_unstable();
            names.dedup();
            names.truncate(MAX_NAMES);
            o.plain("certain", is_certain);
            o.plain("count", group.len());
            o.maybe("site", site.map(Location::to_string));
            o.string("state", &state.to_string());
            o.strings("names", &names);
            o.objects("longest", group.iter().max_by_key(of), |o, longest| {
                o.string("text", &longest.text);
                o.object("goroutine", |o| put_goroutine(o, &longest.goroutine));
            });
        });
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites() {
        let here = Location::caller();
        assert!(Site::parse(&here.to_string()).unwrap().is(here));
        assert!(Site::parse("C:\\src\\a.rs:3:4").unwrap().file == "C:\\src\\a.rs");
        for text in ["", "a.rs", "a.rs:3", "a.rs:x:4", "a.rs:3:-4"] {
            assert!(Site::parse(text).is_none(), "{text}");
        }
    }
}
