//! `GODEBUG=nesting=1`: a search, on the stack of a goroutine that is about to park, for code that
//! assumes that the calls on its thread nest.
//!
//! Each park walks the goroutine's stack and looks up a hash of the return addresses in the set of
//! stacks seen so far. A new stack is symbolized by a separate thread, since that takes more stack
//! than a goroutine may have; the goroutine's thread waits for it. The functions on the stack are
//! compared with the entries of [`RULES`].
//!
//! ```text
//!   goroutine about to park             thread "go-nesting"
//!   hash of the stack: new? --Request--> symbolize, compare with RULES, report
//!   (its thread is blocked) <---done---'
//! ```

use std::backtrace::Backtrace;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use super::task::Task;
use crate::primitives::one_line::OneLine;

/// Functions that must not be on the stack of a goroutine that parks.
struct Rule {
    /// Substrings, one of which is in the path of the function or of its file. (For an inlined
    /// function a backtrace may contain only the file and the last part of the name.)
    within: &'static [&'static str],
    /// Last parts of function names, one of which is the function's.
    functions: &'static [&'static str],
    /// The consequence of parking there, as the end of a sentence.
    danger: &'static str,
    way_out: &'static str,
}

impl Rule {
    fn is_about(&self, frame: &Frame<'_>) -> bool {
        let at = frame.at.unwrap_or_default();
        self.functions.contains(&frame.last_name())
            && self
                .within
                .iter()
                .any(|part| frame.function.contains(part) || at.contains(part))
    }
}

const REGION: &str = "give the goroutine a thread of its own, with go!(thread; ...); or, if no \
                      goroutine of this worker has to let it go on, run that call within \
                      go_runtime::without_parking";
const DANGLES: &str = "may leave a dangling pointer in a thread-local (undefined behavior)";
const CRASHES: &str = "may corrupt the state that the crate keeps of the thread (it crashes)";

/// Makes a rule for functions of the crates `within` that leave a pointer in a thread-local.
const fn dangles(within: &'static [&'static str], functions: &'static [&'static str]) -> Rule {
    Rule {
        within,
        functions,
        danger: DANGLES,
        way_out: REGION,
    }
}

/// The functions to search for. To add one, add a line. A crate is named as in paths of functions
/// and, for inlined functions, as in paths of files.
const RULES: &[Rule] = &[
    Rule {
        within: &["thread_local"],
        functions: &["get_or_init_slow", "initialize"],
        danger: "may drop a thread-local while it is in use (undefined behavior)",
        way_out: "have the initializer compute and nothing else, or use go_runtime::sync::OnceLock \
                  or LazyLock, whose initializers may wait",
    },
    dangles(&["scoped_tls::", "/scoped-tls-"], &["set"]),
    dangles(&["metrics::", "/metrics-"], &["with_local_recorder"]),
    dangles(&["slog_scope::", "/slog-scope-"], &["scope"]),
    dangles(
        &["environmental::", "/environmental-"],
        &["using", "using_once"],
    ),
    dangles(&["sentry_core::", "/sentry-core-"], &["run"]),
    dangles(
        &["async_std::", "/async-std-", "async_global_executor::"],
        &["block_on"],
    ),
    Rule {
        within: &["mlua::", "/mlua-"],
        functions: &["call", "exec", "eval", "resume"],
        danger: CRASHES,
        way_out: REGION,
    },
    Rule {
        within: &["wasmtime::", "/wasmtime-"],
        functions: &["invoke_wasm_and_catch_traps", "call", "catch_traps"],
        danger: CRASHES,
        way_out: REGION,
    },
    Rule {
        within: &["tokio::runtime::", "/tokio-1"],
        functions: &["enter_runtime"],
        danger: "may leave another runtime's context to other goroutines (tokio panics)",
        way_out: REGION,
    },
    Rule {
        within: &["tracing::span::", "/tracing-0"],
        functions: &["in_scope"],
        danger: "lends the span to other goroutines meanwhile (wrong spans in the log)",
        way_out: "turn on go-runtime's feature `tracing`, or do not wait within the span",
    },
    Rule {
        within: &["openssl::ssl::bio", "/openssl-0"],
        functions: &["bread", "bwrite"],
        danger: "may mix up OpenSSL's queue of errors, which is the thread's (errors of one \
                 connection are told to another)",
        way_out: "give the goroutine a thread of its own, with go!(thread; ...), or use rustls",
    },
];

/// A captured stack, sent to the thread that symbolizes it.
struct Request {
    backtrace: Backtrace,
    who: String,
    done: SyncSender<()>,
}

/// Searches the stack of the calling goroutine, whose task is `task`, for functions that [`RULES`]
/// name, and reports the first hit of each place.
#[cold]
#[inline(never)]
pub(super) fn check(task: &Task) {
    static SEEN: Mutex<Option<HashSet<u64>>> = Mutex::new(None);
    let stack = hash_of_stack();
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let is_new = seen.get_or_insert_default().insert(stack);
    drop(seen);
    if !is_new {
        return;
    }
    let (done, is_done) = sync_channel(1);
    let name = task
        .name()
        .map_or(String::new(), |name| format!("'{}', ", OneLine(name)));
    let request = Request {
        backtrace: Backtrace::force_capture(),
        who: format!("the goroutine {name}spawned at {}", task.spawned_at()),
        done,
    };
    // If the thread cannot be made, or has ended, nothing is reported. The report comes before what
    // it warns of, unless no process reads standard error: then no worker waits for it any more.
    if let Some(symbolizer) = symbolizer()
        && symbolizer.send(request).is_ok()
        && !IS_STUCK.load(Ordering::Relaxed)
        && is_done.recv_timeout(LONGEST_REPORT) == Err(RecvTimeoutError::Timeout)
    {
        IS_STUCK.store(true, Ordering::Relaxed);
    }
}

/// How long a worker waits for a report. (The first one takes up to some seconds, because the debug
/// information has to be read.)
const LONGEST_REPORT: Duration = Duration::from_secs(20);
/// Whether a worker has waited so long in vain.
static IS_STUCK: AtomicBool = AtomicBool::new(false);

fn symbolizer() -> Option<&'static Sender<Request>> {
    static SYMBOLIZER: OnceLock<Option<Sender<Request>>> = OnceLock::new();
    let start = || {
        let (tx, rx) = channel::<Request>();
        let run = move || {
            let mut told = HashSet::new();
            let mut is_first = true;
            for request in rx {
                if mem::take(&mut is_first) && !has_names(&request.backtrace.to_string()) {
                    tell(
                        "go-runtime: GODEBUG=nesting=1 finds nothing in this program, which has no \
                         symbols: build it without `strip`\n",
                    );
                }
                search(&request, &mut told);
                let _ = request.done.send(());
            }
        };
        let thread = thread::Builder::new().name("go-nesting".into()).spawn(run);
        thread.is_ok().then_some(tx)
    };
    SYMBOLIZER.get_or_init(start).as_ref()
}

/// Reports the functions on the stack that [`RULES`] name, except at places already in `told`.
fn search(request: &Request, told: &mut HashSet<String>) {
    let text = request.backtrace.to_string();
    let mut frames = frames(&text).take_while(|frame| !is_entry(frame));
    while let Some(frame) = frames.next() {
        let Some(rule) = RULES.iter().find(|rule| rule.is_about(&frame)) else {
            continue;
        };
        let caller = frames.by_ref().find(|frame| !frame.is_stds());
        let place = caller
            .as_ref()
            .map_or("an unknown place".to_owned(), |caller| {
                format!(
                    "{} ({})",
                    caller.function,
                    caller.at.unwrap_or("no line known")
                )
            });
        if told.insert(format!("{}{place}", frame.function)) {
            let line = format!(
                "go-runtime: {} parks within {}, called by {place}. That {}, as other goroutines \
                 of this worker run before it goes on. The way out: {}.\n",
                request.who, frame.function, rule.danger, rule.way_out
            );
            tell(&line);
        }
    }
}

/// Writes a line to stderr.
fn tell(line: &str) {
    // A single write keeps the line in one piece. If stderr is closed, the line is lost.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Returns whether a backtrace names any function.
fn has_names(text: &str) -> bool {
    frames(text).any(|frame| frame.function != "<unknown>")
}

struct Frame<'a> {
    function: &'a str,
    /// The file and line, if the backtrace has them.
    at: Option<&'a str>,
}

impl Frame<'_> {
    /// Returns whether the function is one of std's. The file tells if the function is inlined.
    fn is_stds(&self) -> bool {
        let function = self.function.trim_start_matches('<');
        let in_std = ["std::", "core::", "alloc::"];
        in_std.iter().any(|name| function.starts_with(name))
            || self.at.is_some_and(|at| at.starts_with("/rustc/"))
    }

    /// Returns the last part of the function's path, without generics, and ignoring closures.
    fn last_name(&self) -> &str {
        let path = match self.function.split_once('<') {
            // `<impl path>::name`, or `<Type as Trait>::name`.
            Some(("", rest)) => rest.rsplit_once(">::").map_or(rest, |(_, name)| name),
            // `name<T>`, or `Type<T>::name`.
            Some((before, rest)) => rest.rsplit_once(">::").map_or(before, |(_, name)| name),
            None => self.function,
        };
        let mut names = path.rsplit("::").filter(|name| !name.starts_with('{'));
        names.next().unwrap_or(path)
    }
}

/// Returns whether the frame is the entry of a goroutine: the frames beyond it are not the user's.
fn is_entry(frame: &Frame<'_>) -> bool {
    frame.function.contains("go_runtime::goroutine::job::Job")
}

/// Returns the frames in the text of a backtrace. Each frame has a line with its number and the
/// function's name, and perhaps a second line with its file and line.
fn frames(text: &str) -> impl Iterator<Item = Frame<'_>> {
    let mut lines = text.lines().map(str::trim).peekable();
    std::iter::from_fn(move || {
        loop {
            let (number, function) = lines.next()?.split_once(": ").unwrap_or_default();
            if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
                let at = lines.next_if(|line| line.starts_with("at "));
                let at = at.and_then(|at| at.strip_prefix("at "));
                return Some(Frame { function, at });
            }
        }
    })
}

/// Returns a hash of the return addresses on the calling thread's stack.
fn hash_of_stack() -> u64 {
    /// The unwinder's record of a frame.
    #[repr(C)]
    struct Context {
        _opaque: [u8; 0],
    }
    // From the Itanium C++ ABI, level I; every Rust program that unwinds links these functions.
    unsafe extern "C-unwind" {
        fn _Unwind_Backtrace(
            step: extern "C-unwind" fn(*mut Context, *mut libc::c_void) -> libc::c_int,
            argument: *mut libc::c_void,
        ) -> libc::c_int;
        fn _Unwind_GetIP(context: *mut Context) -> usize;
    }
    extern "C-unwind" fn step(context: *mut Context, argument: *mut libc::c_void) -> libc::c_int {
        // SAFETY: the call of `_Unwind_Backtrace` below passes a pointer to its hasher, and nothing
        // else uses the hasher until that call returns.
        let hasher = unsafe { &mut *argument.cast::<DefaultHasher>() };
        // SAFETY: the unwinder calls `step` with the valid context of a frame.
        unsafe { _Unwind_GetIP(context) }.hash(hasher);
        // (`_URC_NO_REASON`, which continues the walk.)
        0
    }
    let mut hasher = DefaultHasher::new();
    // SAFETY: `step` has the type that the ABI requires, and does not unwind; the hasher outlives
    // the call.
    unsafe { _Unwind_Backtrace(step, (&raw mut hasher).cast()) };
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_functions() {
        for (function, name) in [
            ("scoped_tls::ScopedKey<T>::set", "set"),
            ("set<u32, fn() -> u32>", "set"),
            ("a::b::{{closure}}", "b"),
            ("<a::B as c::D<E>>::f", "f"),
            ("main", "main"),
        ] {
            let frame = Frame { function, at: None };
            assert_eq!(frame.last_name(), name, "{function}");
        }
    }

    #[test]
    fn stripped_programs() {
        assert!(!has_names("   0: <unknown>\n   1: <unknown>\n"));
        assert!(has_names("   0: <unknown>\n   1: main\n"));
    }

    #[test]
    fn frames_of_a_backtrace() {
        let text =
            "   0: a::b<T>::c\n             at ./src/a.rs:1:2\n  10: <x as y>::z\n  11: main\n";
        let found =
            frames(text).map(|frame| (frame.function.to_owned(), frame.at.map(str::to_owned)));
        let found: Vec<_> = found.collect();
        assert_eq!(
            found,
            [
                ("a::b<T>::c".to_owned(), Some("./src/a.rs:1:2".to_owned())),
                ("<x as y>::z".to_owned(), None),
                ("main".to_owned(), None)
            ]
        );
    }
}
