//! Reports of goroutines that hold their worker: the monitor has them written to stderr, once for
//! each spawn site. A thread of their own writes reports, because stderr may be a pipe that no
//! process reads, and ends when all are written.

use std::collections::{HashSet, VecDeque};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::label::Site;
use super::shared::WorkerShared;
use super::stats::Wait;
use crate::primitives::mutex::lock;
use crate::primitives::one_line::OneLine;
use crate::primitives::uncaptured;

/// A goroutine that holds or held a worker, with the data for a report.
pub(super) struct HoldingGoroutine {
    site: Site,
    name: Option<String>,
}

impl HoldingGoroutine {
    pub(super) fn new(site: Site, name: Option<&str>) -> HoldingGoroutine {
        HoldingGoroutine {
            site,
            name: name.map(str::to_owned),
        }
    }
}

/// The monitor's reports, and the spawn sites that have been reported.
#[derive(Default)]
pub(super) struct Reports {
    made: HashSet<Site>,
}

impl Reports {
    pub(super) fn has(&self, site: Site) -> bool {
        self.made.contains(site)
    }

    /// Reports a goroutine that has held its worker for `lasted`. The goroutine still holds the
    /// worker if `worker` is given; otherwise the hold is over.
    pub(super) fn held(
        &mut self,
        goroutine: &HoldingGoroutine,
        lasted: Duration,
        worker: Option<&WorkerShared>,
    ) {
        let doing = match worker.map(|worker| doing(worker.system_call(), worker)) {
            Some(doing) => format!(" so far, {doing}"),
            None => String::new(),
        };
        let advice = "Put calls that block into go_runtime::blocking, or give the goroutine a \
                      thread of its own, with go!(thread; ...); call yield_now in long \
                      computations, and hold no lock of std's over a wait";
        let what = "what has started there waits";
        self.report(
            goroutine,
            &format!(
                "has held its worker for {} ms{doing}: {what}. {advice}.",
                lasted.as_millis()
            ),
        );
    }

    /// Reports a goroutine that has blocked its worker's thread for `lasted`, while others wait for
    /// the worker.
    pub(super) fn blocked(
        &mut self,
        goroutine: &HoldingGoroutine,
        lasted: Duration,
        worker: &WorkerShared,
        now: Instant,
    ) {
        let waiting = worker.waiting(now);
        let (goroutines, wait) = if waiting == 1 {
            ("goroutine", "waits")
        } else {
            ("goroutines", "wait")
        };
        let call = worker.system_call();
        let advice = match worker.stats.wait() {
            Some(Wait::WhilePanicking) => {
                "A goroutine that panics does not switch, so neither a panic hook nor a Drop that \
                 runs meanwhile may wait for a goroutine of the same worker: hand over with \
                 try_send, to a channel with room, or to a thread"
            }
            Some(Wait::WithoutParking) => {
                "Nothing in without_parking lets other goroutines of the worker run: what it waits \
                 for must not come from one of them; wait outside of it, or give the goroutine a \
                 thread of its own, with go!(thread; ...)"
            }
            None => advice(call.as_deref()),
        };
        let others = match worker.load.live().saturating_sub(1) {
            0 => String::new(),
            others => format!(", and {others} in all have started there"),
        };
        let text = format!(
            "has blocked its worker for {} ms, {}: at least {waiting} {goroutines} that could run \
             on that worker {wait}{others}. {advice}. (GODEBUG=slow=0 silences this.)",
            lasted.as_millis(),
            doing(call, worker),
        );
        self.report(goroutine, &text);
    }

    fn report(&mut self, goroutine: &HoldingGoroutine, text: &str) {
        if !self.made.insert(goroutine.site) {
            return;
        }
        let mut line = String::from("go-runtime: the goroutine ");
        if let Some(name) = &goroutine.name {
            let _ = write!(line, "'{}', ", OneLine(name));
        }
        let _ = writeln!(line, "spawned at {} {text}", goroutine.site);
        write_report(line);
    }
}

/// The reports that a thread has yet to write; `None` if there is no such thread. There is one
/// report for each spawn site at most, or for each place at which a goroutine waits for itself, so
/// the list stays short.
static UNWRITTEN: Mutex<Option<VecDeque<String>>> = Mutex::new(None);

fn unwritten() -> MutexGuard<'static, Option<VecDeque<String>>> {
    lock(&UNWRITTEN)
}

/// Writes the line to stderr on another thread, after those that still have to be written.
pub(crate) fn write_report(line: String) {
    let mut lines = unwritten();
    if let Some(lines) = &mut *lines {
        lines.push_back(line);
        return;
    }
    *lines = Some(VecDeque::from([line]));
    drop(lines);
    let thread = thread::Builder::new().name("go-report".into());
    if uncaptured::spawn(thread, write_all).is_err() {
        // Without a thread the report is lost.
        *unwritten() = None;
    }
}

/// Writes the line, of up to 4 KiB, to stderr, at once if stderr takes it without waiting, or else
/// on another thread: for when there may be no memory for a thread.
pub(super) fn write_at_once(line: &[u8]) {
    if !takes_at_once() {
        return write_report(String::from_utf8_lossy(line).into_owned());
    }
    // Not through std's `Stderr` on Unix, whose lock the program may hold. A single write keeps the
    // line in one piece; if stderr is closed, the line is lost.
    #[cfg(unix)]
    // SAFETY: `write` reads `line.len()` bytes from the start of `line`, which has as many.
    unsafe {
        libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len());
    }
    #[cfg(not(unix))]
    let _ = io::stderr().write_all(line);
}

/// Returns whether stderr takes a line without waiting. (A pipe does if it has room for 4 KiB.)
#[cfg(unix)]
fn takes_at_once() -> bool {
    let mut stderr = libc::pollfd {
        fd: libc::STDERR_FILENO,
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: `poll` reads and writes one `pollfd`, `stderr`, which lives during the call.
    let ready = unsafe { libc::poll(&raw mut stderr, 1, 0) };
    ready == 1
}

#[cfg(not(unix))]
fn takes_at_once() -> bool {
    true
}

fn write_all() {
    loop {
        let mut lines = unwritten();
        let Some(line) = lines.as_mut().and_then(VecDeque::pop_front) else {
            *lines = None;
            return;
        };
        drop(lines);
        // A single write keeps the line in one piece. If stderr is closed, the report is lost.
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

/// Returns what a goroutine that blocks its worker in the system call `call` should do instead.
fn advice(call: Option<&str>) -> &'static str {
    match call.and_then(|call| call.split(' ').next()) {
        Some("futex") => {
            "It waits for a lock, a condition variable, a channel or a thread that is std's or \
             another crate's: for ever, if a goroutine of that worker has to let it go on. Use \
             go_runtime::sync and go_runtime::channel instead, and drop guards of other locks \
             before what may wait; or put the whole of it (lock, use and unlock) into \
             go_runtime::blocking; or give the goroutine a thread of its own, with \
             go!(thread; ...)"
        }
        Some("nanosleep" | "clock_nanosleep") => {
            "Use go_runtime::time::sleep instead, or give the goroutine a thread of its own, with \
             go!(thread; ...)"
        }
        _ => {
            "Use a type of go_runtime's that parks instead (channel, sync, io, net, fs, process, \
             time), put the call into go_runtime::blocking, or give the goroutine a thread of its \
             own, with go!(thread; ...)"
        }
    }
}

/// Describes what the goroutine that holds the worker is doing, and in which system call, if any.
fn doing(call: Option<String>, worker: &WorkerShared) -> String {
    let mut doing = match call {
        Some(call) => format!("in the system call {call}"),
        None if worker.is_blocked() == Some(true) => "blocked in the system".to_owned(),
        None => "computing".to_owned(),
    };
    match worker.stats.wait() {
        Some(Wait::WhilePanicking) => doing += ", while it panics (in a panic hook or a Drop)",
        Some(Wait::WithoutParking) => doing += ", within without_parking",
        None => {}
    }
    doing
}
