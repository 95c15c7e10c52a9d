//! The paths, and what each answers.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use super::Failed;
use super::request::{Query, Request};
use super::view::{self, Filter};
use super::wire::{
    BAD_REQUEST, BYTES, CONFLICT, JSON, NOT_FOUND, PLAIN, PROMETHEUS, Refusal, SERVICE_UNAVAILABLE,
    Stream, Wire,
};
use crate::debug::{DumpOptions, dump, metrics, profile};
use crate::primitives::mutex::lock;
use crate::trace;

const PAGE: &str = include_str!("page.html");

/// The answer to a path that is none.
const PATHS: &str = "there is no such path; these are: / (the page), /metrics, /debug/dump, \
                     /debug/goroutines, /debug/group, /debug/state, /debug/deadlocks, \
                     /debug/leaks, /debug/profile, /debug/trace";

/// How long the result of a search answers further requests as well, so that clients cannot make
/// the program search all the time.
const DEADLOCKS_KEPT: Duration = Duration::from_secs(2);
const LEAKS_KEPT: Duration = Duration::from_secs(5);
/// The result of a search is kept for at least so many times as long as the search has taken: a
/// page that is looked at must not make a program with much memory search all the time.
const KEPT_TIMES: u32 = 9;

/// How often a recording looks whether its client is gone.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Answers a request.
pub(super) fn answer(request: &Request, wire: &mut Wire<'_>) -> Result<(), Failed> {
    let query = &request.query;
    match &*request.path {
        "/" => {
            query.may_have(&[])?;
            let nonce = nonce();
            let policy = format!(
                "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
                 connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
                 frame-ancestors 'none'"
            );
            wire.page(&policy, PAGE.replace("{nonce}", &nonce).as_bytes())?;
        }
        "/metrics" => {
            query.may_have(&[])?;
            wire.answer(PROMETHEUS, metrics().to_string().as_bytes())?;
        }
        "/debug/state" => {
            query.may_have(&["q"])?;
            let state = alone(|| view::state_json(&filter(query)));
            wire.answer(JSON, state.as_bytes())?;
        }
        "/debug/goroutines" => goroutines(query, wire)?,
        "/debug/group" => group(query, wire)?,
        "/debug/deadlocks" => {
            static FOUND: Kept = Kept::new(DEADLOCKS_KEPT, view::deadlocks_json);
            query.may_have(&[])?;
            wire.answer(JSON, FOUND.get().as_bytes())?;
        }
        "/debug/leaks" => {
            static FOUND: Kept = Kept::new(LEAKS_KEPT, view::leaks_json);
            query.may_have(&[])?;
            let asked = Instant::now();
            let found = FOUND.get();
            // With very many goroutines the search takes longer than an answer may.
            wire.extend_deadline(asked.elapsed());
            wire.answer(JSON, found.as_bytes())?;
        }
        "/debug/dump" => {
            query.may_have(&["all"])?;
            let all = query.one_of("all", &["0", "1"], "all is 0 or 1")? == "1";
            write_dump(wire, all, request.is_head)?;
        }
        "/debug/profile" => make_profile(request, wire)?,
        "/debug/trace" => make_trace(request, wire)?,
        _ => return Err(Refusal::new(NOT_FOUND, PATHS).into()),
    }
    Ok(())
}

/// Returns a word that no other site's page, and no text of the program, can know: only the script
/// and the style with this word are run.
fn nonce() -> String {
    let word = || RandomState::new().hash_one(Instant::now());
    format!("{:016x}{:016x}", word(), word())
}

/// Calls `f` while no other request lists goroutines: many clients cost no more than one.
fn alone<R>(f: impl FnOnce() -> R) -> R {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = lock(&ALONE);
    f()
}

/// What a search has found last. Requests wait for a search that goes on, and share its result.
struct Kept {
    time: Duration,
    search: fn() -> String,
    /// Until when the last result is kept, and that result.
    last: Mutex<Option<(Instant, String)>>,
}

impl Kept {
    const fn new(time: Duration, search: fn() -> String) -> Kept {
        Kept {
            time,
            search,
            last: Mutex::new(None),
        }
    }

    fn get(&self) -> String {
        let mut last = lock(&self.last);
        match &*last {
            Some((until, found)) if Instant::now() < *until => found.clone(),
            _ => {
                let begun = Instant::now();
                let found = (self.search)();
                let kept = self.time.max(begun.elapsed() * KEPT_TIMES);
                *last = Some((Instant::now() + kept, found.clone()));
                found
            }
        }
    }
}

fn filter(query: &Query) -> Filter {
    Filter::new(query.get("q").unwrap_or_default())
}

fn goroutines(query: &Query, wire: &mut Wire<'_>) -> Result<(), Failed> {
    query.may_have(&["format", "q"])?;
    let format = query.one_of("format", &["text", "json"], "the format is json or text")?;
    if format == "json" {
        let all = alone(|| view::goroutines_json(&filter(query)));
        return Ok(wire.answer(JSON, all.as_bytes())?);
    }
    if query.get("q").is_some() {
        let text = "only the format json has a filter";
        return Err(Refusal::new(BAD_REQUEST, text).into());
    }
    let mut text = Vec::new();
    // Grouped, so that it is short. (A vector takes all that is written.)
    let _ = alone(|| dump(&mut text, DumpOptions::new().frames(false)));
    Ok(wire.answer(PLAIN, &text)?)
}

fn group(query: &Query, wire: &mut Wire<'_>) -> Result<(), Failed> {
    let bad = |text| Refusal::new(BAD_REQUEST, text);
    query.may_have(&["site", "state", "q", "offset"])?;
    let state = query
        .get("state")
        .ok_or_else(|| bad("give the state of the goroutines"))?;
    let range = 0..=view::MAX_OFFSET;
    let offset = query.number("offset", 0, range, "the offset is a number up to 100000")?;
    let site = query.get("site");
    let page = alone(|| view::group_json(site, state, &filter(query), offset));
    let page = page.ok_or_else(|| bad("the site is a file, a line and a column"))?;
    Ok(wire.answer(JSON, page.as_bytes())?)
}

fn write_dump(wire: &mut Wire<'_>, all: bool, is_head: bool) -> Result<(), Failed> {
    /// Held while all goroutines are dumped, one by one. It is another lock than that of the other
    /// lists, which do not wait for a client that reads slowly.
    static FULL: Mutex<()> = Mutex::new(());
    if all {
        let mut body = wire.stream(PLAIN)?;
        if !is_head {
            let _alone = lock(&FULL);
            dump(&mut body, DumpOptions::new().all(true))?;
        }
        return Ok(body.finish()?);
    }
    let mut text = Vec::new();
    if !is_head {
        alone(|| dump(&mut text, DumpOptions::new()))?;
    }
    Ok(wire.answer(PLAIN, &text)?)
}

fn make_profile(request: &Request, wire: &mut Wire<'_>) -> Result<(), Failed> {
    static FREE: AtomicBool = AtomicBool::new(true);
    let query = &request.query;
    query.may_have(&["seconds", "format"])?;
    let format = query.one_of(
        "format",
        &["table", "folded", "pprof"],
        "the format is table, folded or pprof",
    )?;
    let seconds = query.number("seconds", 5, 1..=60, "seconds are a number from 1 to 60")?;
    let content_type = if format == "pprof" { BYTES } else { PLAIN };
    if request.is_head {
        return Ok(wire.answer(content_type, &[])?);
    }
    let text = "a profile is being made; try again later";
    let _alone = Flag::take(&FREE).ok_or_else(|| Refusal::new(CONFLICT, text))?;
    let time = Duration::from_secs(seconds as u64);
    wire.extend_deadline(time);
    let profile = profile(time);
    let mut body = Vec::new();
    match format {
        "folded" => profile.write_folded(&mut body),
        "pprof" => profile.write_pprof(&mut body),
        _ => writeln!(body, "{profile}"),
    }?;
    Ok(wire.answer(content_type, &body)?)
}

/// A permission that one request has at a time.
struct Flag(&'static AtomicBool);

impl Flag {
    fn take(free: &'static AtomicBool) -> Option<Flag> {
        free.swap(false, Ordering::Acquire).then_some(Flag(free))
    }
}

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn make_trace(request: &Request, wire: &mut Wire<'_>) -> Result<(), Failed> {
    request.query.may_have(&["seconds"])?;
    let range = 1..=30;
    let seconds = request
        .query
        .number("seconds", 2, range, "seconds are a number from 1 to 30")?;
    if request.is_head {
        return Ok(wire.answer(BYTES, &[])?);
    }
    let time = Duration::from_secs(seconds as u64);
    wire.extend_deadline(time);
    let (give, given) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    let writer = TraceWriter {
        given,
        body: None,
        has_failed: false,
        end,
    };
    // The recorder, and not a flag here, allows one trace at a time: the program may make one, too.
    trace::start(writer).map_err(|error| match error.is_active() {
        true => Refusal::new(
            CONFLICT,
            "a trace or a flight recorder is active; try again later",
        ),
        false => Refusal::new(
            SERVICE_UNAVAILABLE,
            "the runtime, or a thread, cannot start",
        ),
    })?;
    // Nothing returns or panics until the trace has been stopped.
    if let Ok(body) = wire.stream(BYTES) {
        let _ = give.send(body);
    }
    drop(give);
    let end = Instant::now() + time;
    let early = loop {
        if let Ok(early) = ended.recv_timeout(LOOK_EVERY) {
            break Some(early);
        }
        if Instant::now() >= end || wire.client_is_gone() {
            break None;
        }
    };
    // A trace that has ended early without a failure was stopped by the program, and another one
    // may have begun since.
    if early.as_ref().is_none_or(|(_, has_failed)| *has_failed) {
        let _ = trace::stop();
    }
    match early.or_else(|| ended.recv().ok()) {
        Some((Some(body), false)) => Ok(body.finish()?),
        _ => Err(Failed::Gone),
    }
}

/// Writes a trace to a client, on the thread that records it.
struct TraceWriter {
    /// The body of the answer, which begins when the trace has.
    given: mpsc::Receiver<Stream>,
    body: Option<Stream>,
    has_failed: bool,
    /// Gets the body back at the end, and whether writing has failed.
    end: mpsc::Sender<(Option<Stream>, bool)>,
}

impl TraceWriter {
    fn body(&mut self) -> io::Result<&mut Stream> {
        if self.body.is_none() {
            self.body = self.given.recv().ok();
        }
        self.body
            .as_mut()
            .ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for TraceWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.body().and_then(|body| body.write(bytes));
        self.has_failed |= written.is_err();
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.body().and_then(Write::flush);
        self.has_failed |= flushed.is_err();
        flushed
    }
}

impl Drop for TraceWriter {
    fn drop(&mut self) {
        // (If the request is gone, nothing waits for it.)
        let _ = self.end.send((self.body.take(), self.has_failed));
    }
}
