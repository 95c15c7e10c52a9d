//! `GODEBUG=nesting=1`: looks for code, under a goroutine that is about to park, which takes for
//! granted that the calls on its thread nest.
//!
//! Each park walks its stack and looks the addresses up in the set of stacks that it has seen. A
//! stack that is new is symbolized, by a thread of its own, since that takes more stack than a
//! goroutine may have; the goroutine's thread waits for it. The functions on the stack are compared
//! with those in [`RULES`].

use std::backtrace::Backtrace;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::mem;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use super::task::Task;

/// Functions over which a goroutine should not park.
struct Rule {
    /// What the path of the function or of its file contains, one of these. (Of inlined functions a
    /// backtrace may have the file and the last part of the name only.)
    within: &'static [&'static str],
    /// The last part of the function's name, one of these.
    functions: &'static [&'static str],
    /// What may come of it, as the end of a sentence.
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

/// A rule for functions of `within` that leave a pointer in a thread-local.
const fn dangles(within: &'static [&'static str], functions: &'static [&'static str]) -> Rule {
    Rule {
        within,
        functions,
        danger: DANGLES,
        way_out: REGION,
    }
}

/// To add a function, add a line. A crate is named as in paths of functions and, for inlined ones,
/// as in paths of files.
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

/// A stack, on its way to the thread that symbolizes it.
struct Request {
    backtrace: Backtrace,
    who: String,
    done: SyncSender<()>,
}

/// Looks for such code on the stack of the calling goroutine, which is `task`, and reports the
/// first hit of each place.
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
        .map_or(String::new(), |name| format!("'{name}', "));
    let request = Request {
        backtrace: Backtrace::force_capture(),
        who: format!("the goroutine {name}spawned at {}", task.spawned_at()),
        done,
    };
    // Without such a thread, and for its own sake, nothing is told.
    if let Some(symbolizer) = symbolizer()
        && symbolizer.send(request).is_ok()
    {
        let _ = is_done.recv();
    }
}

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

/// Reports what lies on the stack, unless its place is among those that have been `told`.
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
    // One write, so that it stays in one piece; if stderr is closed, so be it.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Returns whether a backtrace names any function.
fn has_names(text: &str) -> bool {
    frames(text).any(|frame| frame.function != "<unknown>")
}

struct Frame<'a> {
    function: &'a str,
    /// File and line.
    at: Option<&'a str>,
}

impl Frame<'_> {
    /// Returns whether the function is one of std's (of those that are inlined, the file tells).
    fn is_stds(&self) -> bool {
        let function = self.function.trim_start_matches('<');
        let in_std = ["std::", "core::", "alloc::"];
        in_std.iter().any(|name| function.starts_with(name))
            || self.at.is_some_and(|at| at.starts_with("/rustc/"))
    }

    /// The last part of the function's path, without its generics, and without closures in it.
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

/// Where the stack of a goroutine begins, seen from its end: nothing beyond is the user's.
fn is_entry(frame: &Frame<'_>) -> bool {
    frame.function.contains("go_runtime::goroutine::job::Job")
}

/// The frames in the text of a backtrace, which has a line with a number and the function's name
/// for each, and perhaps a second one with its place.
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

/// A hash of the return addresses of the calling thread's stack.
fn hash_of_stack() -> u64 {
    /// What the unwinder knows of a frame.
    #[repr(C)]
    struct Context {
        _opaque: [u8; 0],
    }
    // The C++ ABI for Itanium, level I: every Rust program that unwinds has them.
    unsafe extern "C-unwind" {
        fn _Unwind_Backtrace(
            step: extern "C-unwind" fn(*mut Context, *mut libc::c_void) -> libc::c_int,
            argument: *mut libc::c_void,
        ) -> libc::c_int;
        fn _Unwind_GetIP(context: *mut Context) -> usize;
    }
    extern "C-unwind" fn step(context: *mut Context, argument: *mut libc::c_void) -> libc::c_int {
        // SAFETY: the call below passes a pointer to its hasher, which nothing else uses meanwhile.
        let hasher = unsafe { &mut *argument.cast::<DefaultHasher>() };
        // SAFETY: the unwinder gives the context of a frame.
        unsafe { _Unwind_GetIP(context) }.hash(hasher);
        // (_URC_NO_REASON: go on.)
        0
    }
    let mut hasher = DefaultHasher::new();
    // SAFETY: `step` is of the type that the ABI asks for, and does not unwind.
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
