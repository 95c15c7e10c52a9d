//! The settings that the runtime starts with: the program's, or else those of the environment,
//! checked once.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::{Config, StartError};
use crate::stack;

/// Maximum number of workers. A larger number is surely a mistake, and would fail later and less
/// clearly.
const MAX_WORKERS: usize = 1024;

/// Default maximum number of threads for blocking calls (`GOBLOCKING`).
const BLOCKING_THREADS: usize = 1024;
/// Upper bound of `GOBLOCKING`. A larger number is surely a mistake: Linux allows a process about
/// this many threads in total.
const MAX_BLOCKING_THREADS: usize = 32_000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Number of workers.
    pub(crate) workers: usize,
    /// Number of processors that the process may use.
    pub(crate) processors: usize,
    /// Default stack size of a goroutine, in bytes.
    pub(crate) stack_size: usize,
    /// Maximum number of threads for blocking calls.
    pub(crate) blocking_threads: usize,
    /// What is written of the goroutines when an error ends the process.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "nothing is written there")
    )]
    pub(crate) traceback: Traceback,
    pub(crate) debug: Debug,
}

/// What is written of the goroutines when an error ends the process (`GOTRACEBACK`). Each level
/// includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Traceback {
    /// Nothing: the error's message stands alone.
    None,
    /// The goroutine that has failed.
    Single,
    /// All goroutines.
    All,
    /// All goroutines; then the process dies by SIGABRT, which leaves a core.
    Crash,
}

/// The settings of `GODEBUG`: a list of switches, `name`, `name=0` or `name=1`, and `schedtrace=`
/// with a number, separated by commas. As in Go, unknown names are ignored, because the list is
/// shared by all parts of a program. An item that resembles one of these settings but is none, or
/// has another value, is reported on stderr and has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Debug {
    /// Which goroutines that hold their worker are reported: `Some(true)` all of them after some
    /// milliseconds, `Some(false)` none, `None` (the default) those that block it for long while
    /// others wait.
    pub(crate) slow: Option<bool>,
    /// Checks at each park for code that assumes that calls on a thread nest.
    pub(crate) nesting: bool,
    /// Offsets the tops of stacks against each other.
    pub(crate) color: bool,
    /// Looks for deadlocks.
    pub(crate) deadlock: bool,
    /// Writes at the end of the program which goroutines are left.
    pub(crate) leaks: bool,
    /// Makes guard pages as on kernels before Linux 6.13, which costs mappings.
    pub(crate) mprotect: bool,
    /// The time from one line about the scheduler to the next.
    pub(crate) schedtrace: Option<Duration>,
}

impl Debug {
    const SWITCHES: [&str; 6] = ["slow", "nesting", "color", "deadlock", "leaks", "mprotect"];
    /// The setting with a number, of milliseconds.
    const SCHEDTRACE: &str = "schedtrace";

    /// Splits an item into its name and value. An item without a value has the value "1".
    fn split(item: &str) -> (&str, &str) {
        let (name, value) = item.trim().split_once('=').unwrap_or((item.trim(), "1"));
        (Self::canonical(name), value)
    }

    /// Returns the name `color` for its other spelling, and any other name as it is.
    fn canonical(name: &str) -> &str {
        if name == "colour" { "color" } else { name }
    }

    fn parse(list: &str) -> Debug {
        let said = |name: &str| {
            let mut said = list.split(',').filter_map(|item| match Self::split(item) {
                (said, "0") if said == name => Some(false),
                (said, "1") if said == name => Some(true),
                _ => None,
            });
            said.next_back()
        };
        let mut milliseconds = list.split(',').filter_map(|item| match Self::split(item) {
            (Self::SCHEDTRACE, number) => number.parse::<u32>().ok(),
            _ => None,
        });
        let is_on = |name: &str, usual: bool| said(name).unwrap_or(usual);
        Debug {
            slow: said("slow"),
            nesting: is_on("nesting", false),
            color: is_on("color", true),
            deadlock: is_on("deadlock", true),
            leaks: is_on("leaks", false),
            mprotect: is_on("mprotect", false),
            schedtrace: milliseconds
                .next_back()
                .filter(|&number| number > 0)
                .map(|number| Duration::from_millis(number.into())),
        }
    }

    /// Returns the items of the list that resemble a switch and are not valid, such as `Nesting=1`,
    /// `nesting=on`, and `slow=1 nesting=1`.
    fn mistakes(list: &str) -> impl Iterator<Item = &str> {
        let is_ours = |name: &str| {
            name == Self::SCHEDTRACE || Self::SWITCHES.contains(&Self::canonical(name))
        };
        list.split(',').map(str::trim).filter(move |item| {
            let (name, value) = Self::split(item);
            let is_right = if name == Self::SCHEDTRACE {
                value.parse::<u32>().is_ok()
            } else {
                is_ours(name) && ["0", "1"].contains(&value)
            };
            let mut words = item.split(|c: char| !c.is_alphanumeric());
            !is_right && words.any(|word| is_ours(&word.to_lowercase()))
        })
    }

    fn list() -> String {
        env::var("GODEBUG").unwrap_or_default()
    }

    /// Reports invalid items of the variable on stderr.
    pub(crate) fn tell_mistakes() {
        for item in Self::mistakes(&Self::list()) {
            // If stderr is closed, the message is lost.
            let _ = writeln!(
                io::stderr(),
                "go-runtime: `{item}` in GODEBUG is ignored: the settings are slow, nesting, \
                 color, deadlock, leaks and mprotect, each with =0 or =1, and schedtrace, with = \
                 and a number of milliseconds, and commas between them"
            );
        }
    }
}

impl Settings {
    /// Determines the settings. A variable is not read if `config` has its setting.
    pub(crate) fn new(config: &Config) -> Result<Settings, StartError> {
        let processors = num_cpus::get();
        Ok(Settings {
            workers: workers(config.workers, env::var_os("GOMAXPROCS"), processors)?,
            processors,
            stack_size: stack_size(config.stack_size, env::var_os("GOSTACK"))?,
            blocking_threads: blocking_threads(config.blocking_threads, env::var_os("GOBLOCKING"))?,
            traceback: traceback(env::var_os("GOTRACEBACK"))?,
            debug: Debug::parse(&Debug::list()),
        })
    }

    /// Returns whether these are the settings that `config` asks for.
    pub(crate) fn agree_with(&self, config: &Config) -> bool {
        let is_same_stack =
            |bytes| stack::check_size(bytes).is_ok() && stack::round_size(bytes) == self.stack_size;
        config.workers.is_none_or(|n| n == self.workers)
            && config.stack_size.is_none_or(is_same_stack)
            && config
                .blocking_threads
                .is_none_or(|n| n == self.blocking_threads)
    }
}

fn number(var: &OsString) -> Option<usize> {
    var.to_str().and_then(|text| text.trim().parse().ok())
}

fn workers(
    set: Option<usize>,
    var: Option<OsString>,
    processors: usize,
) -> Result<usize, StartError> {
    const RANGE: RangeInclusive<usize> = 1..=MAX_WORKERS;
    if let Some(n) = set {
        return check(n, RANGE, "workers");
    }
    let Some(var) = var.filter(|var| !var.is_empty()) else {
        return Ok(processors.min(MAX_WORKERS));
    };
    number(&var).filter(|n| RANGE.contains(n)).ok_or_else(|| {
        StartError::new(format!(
            "GOMAXPROCS={var:?} is no number of workers: set it to a whole number from 1 to \
             {MAX_WORKERS}, or unset it to get one worker a CPU ({processors} here)"
        ))
    })
}

fn blocking_threads(set: Option<usize>, var: Option<OsString>) -> Result<usize, StartError> {
    const RANGE: RangeInclusive<usize> = 1..=MAX_BLOCKING_THREADS;
    if let Some(n) = set {
        return check(n, RANGE, "blocking_threads");
    }
    let Some(var) = var.filter(|var| !var.is_empty()) else {
        return Ok(BLOCKING_THREADS);
    };
    number(&var).filter(|n| RANGE.contains(n)).ok_or_else(|| {
        StartError::new(format!(
            "GOBLOCKING={var:?} is no number of threads for blocking calls: set it to a whole \
             number from 1 to {MAX_BLOCKING_THREADS}, or unset it to get up to {BLOCKING_THREADS}"
        ))
    })
}

/// Checks a setting that the program has made.
fn check(n: usize, range: RangeInclusive<usize>, setting: &str) -> Result<usize, StartError> {
    if range.contains(&n) {
        return Ok(n);
    }
    let (least, most) = (range.start(), range.end());
    Err(StartError::new(format!(
        "the setting `{setting}` is {n}, and has to be from {least} to {most}"
    )))
}

fn stack_size(set: Option<usize>, var: Option<OsString>) -> Result<usize, StartError> {
    let round = |bytes: usize, what: &str| {
        stack::check_size(bytes)
            .map(stack::round_size)
            .map_err(|error| StartError::new(format!("{what}{bytes}: {error}")))
    };
    if let Some(bytes) = set {
        return round(bytes, "the setting `stack_size` is ");
    }
    let Some(var) = var.filter(|var| !var.is_empty()) else {
        return Ok(stack::round_size(stack::DEFAULT_SIZE));
    };
    let bytes = number(&var).ok_or_else(|| {
        StartError::new(format!(
            "GOSTACK={var:?} is no stack size: set it to a number of bytes from {} (32 KiB) to {} \
             (1 GiB), such as {} (256 KiB), or unset it",
            stack::MIN_SIZE,
            stack::MAX_SIZE,
            stack::DEFAULT_SIZE
        ))
    })?;
    round(bytes, "GOSTACK=")
}

fn traceback(var: Option<OsString>) -> Result<Traceback, StartError> {
    let Some(var) = var.filter(|var| !var.is_empty()) else {
        return Ok(Traceback::Single);
    };
    // Go's other names: it counts the levels, and `system` adds frames of its runtime.
    match var.to_str().map(str::trim) {
        Some("none" | "0") => Ok(Traceback::None),
        Some("single") => Ok(Traceback::Single),
        Some("all" | "1" | "system" | "2") => Ok(Traceback::All),
        Some("crash") => Ok(Traceback::Crash),
        _ => Err(StartError::new(format!(
            "GOTRACEBACK={var:?} is no level of detail: set it to none, single, all or crash, or \
             unset it to get single"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_traceback() {
        let level = |var: &str| traceback(Some(var.into()));
        assert_eq!(traceback(None), Ok(Traceback::Single));
        let levels = [
            (Traceback::None, &["none", "0"][..]),
            (Traceback::Single, &["", "single", " single "]),
            (Traceback::All, &["all", "1", "system", "2"]),
            (Traceback::Crash, &["crash"]),
        ];
        for (is, names) in levels {
            for name in names {
                assert_eq!(level(name), Ok(is), "{name:?}");
            }
        }
        for bad in ["All", "some", "3", "-1"] {
            let error = level(bad).unwrap_err().to_string();
            assert!(
                error.contains("GOTRACEBACK") && error.contains("crash"),
                "{error}"
            );
        }
    }

    #[test]
    fn workers_are_checked() {
        assert_eq!(workers(None, Some("3".into()), 4), Ok(3));
        assert_eq!(workers(None, Some("".into()), 4), Ok(4));
        for bad in ["abc", "0", "-1", "1.5", "99999999999999999999", "1025"] {
            let error = workers(None, Some(bad.into()), 4).unwrap_err().to_string();
            assert!(
                error.contains("GOMAXPROCS") && error.contains("from 1 to 1024"),
                "{error}"
            );
        }
    }

    #[test]
    fn blocking_threads_are_checked() {
        assert_eq!(blocking_threads(None, None), Ok(1024));
        assert_eq!(blocking_threads(None, Some("7".into())), Ok(7));
        for bad in ["abc", "0", "-1", "32001", "1e3"] {
            let error = blocking_threads(None, Some(bad.into()))
                .unwrap_err()
                .to_string();
            assert!(error.contains("GOBLOCKING"), "{error}");
        }
    }

    #[test]
    fn what_is_set_in_code_wins() {
        let bad = || Some("abc".into());
        assert_eq!(workers(Some(3), bad(), 4), Ok(3));
        assert_eq!(blocking_threads(Some(3), bad()), Ok(3));
        assert_eq!(stack_size(Some(70_000), bad()), Ok(131_072));
        let errors = [
            (
                workers(Some(0), None, 4),
                "`workers` is 0, and has to be from 1 to 1024",
            ),
            (workers(Some(1025), None, 4), "`workers` is 1025"),
            (blocking_threads(Some(0), None), "`blocking_threads` is 0"),
            (stack_size(Some(4096), None), "`stack_size` is 4096"),
        ];
        for (result, text) in errors {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn debug_switches() {
        let usual = Debug {
            slow: None,
            nesting: false,
            color: true,
            deadlock: true,
            leaks: false,
            mprotect: false,
            schedtrace: None,
        };
        assert_eq!(Debug::parse(""), usual);
        assert_eq!(Debug::parse("gctrace=1,,scheddetail=1"), usual);
        let slow = Debug {
            slow: Some(true),
            ..usual
        };
        for list in ["slow", "slow=1", "gctrace=1, slow", "slow=0,slow=1"] {
            assert_eq!(Debug::parse(list), slow, "{list}");
        }
        let others = Debug {
            slow: Some(false),
            nesting: true,
            color: false,
            deadlock: false,
            leaks: true,
            mprotect: true,
            schedtrace: Some(Duration::from_millis(1000)),
        };
        let list = "color=0,mprotect=1,slow=0,schedtrace=1000,nesting=1,deadlock=0,leaks=1";
        assert_eq!(Debug::parse(list), others);
        assert_eq!(Debug::parse(&list.replace("color", "colour")), others);
        for off in ["schedtrace=0", "schedtrace=7,schedtrace=0"] {
            assert_eq!(Debug::parse(off), usual, "{off}");
        }
    }

    #[test]
    fn mistakes_in_the_list_of_debug_switches() {
        fn mistakes(list: &str) -> Vec<&str> {
            Debug::mistakes(list).collect()
        }
        for right in [
            "",
            "slow",
            "slow=1, nesting=0",
            "color=0, colour=1",
            "gctrace=1,,http2debug=2",
            "panicnil",
            "schedtrace=1000,scheddetail=1",
        ] {
            assert_eq!(mistakes(right), [""; 0], "{right}");
        }
        for wrong in [
            "Nesting=1",
            "nesting=off",
            "slow=1 nesting=1",
            "nesting:1",
            "slow=2",
            "slow=",
            "Colour=0",
            "schedtrace=1s",
            "schedtrace=-1",
            "Schedtrace=1000",
        ] {
            let list = format!("gctrace=1, {wrong} ,mprotect=1");
            assert_eq!(mistakes(&list), [wrong]);
            let usual = Debug {
                mprotect: true,
                ..Debug::parse("")
            };
            assert_eq!(Debug::parse(&list), usual, "{wrong}");
        }
    }

    #[test]
    fn stack_sizes_are_checked() {
        assert_eq!(
            stack_size(None, None),
            Ok(stack::round_size(stack::DEFAULT_SIZE))
        );
        assert_eq!(stack_size(None, Some("65536".into())), Ok(65536));
        assert_eq!(stack_size(None, Some("70000".into())), Ok(131_072));
        for bad in ["abc", "3", "32767", "1073741825", "99999999999"] {
            let error = stack_size(None, Some(bad.into())).unwrap_err().to_string();
            for part in ["GOSTACK", "32 KiB", "1 GiB"] {
                assert!(error.contains(part), "{part}: {error}");
            }
        }
    }
}
