//! What the environment says about the runtime, checked once.

use std::env;
use std::fmt;

use crate::stack;

/// The largest number of workers; more is surely a mistake, and would fail later and less clearly.
const MAX_WORKERS: usize = 1024;

/// How many threads there may be for blocking calls, unless `GOBLOCKING` says otherwise.
const BLOCKING_THREADS: usize = 1024;
/// More than this many are surely a mistake: Linux allows a process about as many at all.
const MAX_BLOCKING_THREADS: usize = 32_000;

/// Why the runtime cannot start. The text says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StartError(pub(crate) String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// How many workers run goroutines.
    pub(crate) workers: usize,
    /// The default stack size in bytes.
    pub(crate) stack_size: usize,
    /// How many threads there may be for blocking calls.
    pub(crate) blocking_threads: usize,
    pub(crate) debug: Debug,
}

/// The switches of `GODEBUG`: a list of `name` or `name=0`, `name=1`, with commas between. As in Go, names that mean nothing to us are let
/// pass, for the list is shared by all that a program is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Debug {
    /// Whether goroutines are reported that hold their worker: all of them after some milliseconds, or
    /// none; by default those that block it for long while others wait.
    pub(crate) slow: Option<bool>,
    /// Looks, at each park, for code that takes for granted that calls on a thread nest.
    pub(crate) nesting: bool,
    /// Offsets the tops of stacks against each other.
    pub(crate) colour: bool,
    /// Makes guard pages in the way that costs mappings, as on old kernels.
    pub(crate) mprotect: bool,
}

impl Debug {
    fn parse(list: &str) -> Debug {
        let said = |name: &str| {
            let said = list.split(',').filter_map(|item| {
                let (said, value) = item.trim().split_once('=').unwrap_or((item.trim(), "1"));
                (said == name).then_some(value != "0")
            });
            said.last()
        };
        let is_on = |name: &str, usual: bool| said(name).unwrap_or(usual);
        Debug {
            slow: said("slow"),
            nesting: is_on("nesting", false),
            colour: is_on("colour", true),
            mprotect: is_on("mprotect", false),
        }
    }
}

impl Config {
    pub(crate) fn from_env() -> Result<Config, StartError> {
        Ok(Config {
            workers: workers(env::var_os("GOMAXPROCS"))?,
            stack_size: stack_size(env::var_os("GOSTACK"))?,
            blocking_threads: blocking_threads(env::var_os("GOBLOCKING"))?,
            debug: Debug::parse(&env::var("GODEBUG").unwrap_or_default()),
        })
    }
}

fn workers(var: Option<std::ffi::OsString>) -> Result<usize, StartError> {
    let cpus = num_cpus::get();
    let Some(var) = var.filter(|var| !var.is_empty()) else {
        return Ok(cpus.min(MAX_WORKERS));
    };
    match var.to_str().and_then(|text| text.trim().parse().ok()) {
        Some(n) if (1..=MAX_WORKERS).contains(&n) => Ok(n),
        _ => Err(StartError(format!(
            "GOMAXPROCS={var:?} is no number of workers: set it to a whole number from 1 to {MAX_WORKERS}, \
             or unset it to get one worker a CPU ({cpus} here)"
        ))),
    }
}

fn blocking_threads(var: Option<std::ffi::OsString>) -> Result<usize, StartError> {
    let Some(var) = var.filter(|var| !var.is_empty()) else {
        return Ok(BLOCKING_THREADS);
    };
    match var.to_str().and_then(|text| text.trim().parse().ok()) {
        Some(n) if (1..=MAX_BLOCKING_THREADS).contains(&n) => Ok(n),
        _ => Err(StartError(format!(
            "GOBLOCKING={var:?} is no number of threads for blocking calls: set it to a whole number from 1 to \
             {MAX_BLOCKING_THREADS}, or unset it to get up to {BLOCKING_THREADS}"
        ))),
    }
}

fn stack_size(var: Option<std::ffi::OsString>) -> Result<usize, StartError> {
    let Some(var) = var.filter(|var| !var.is_empty()) else {
        return Ok(stack::round_size(stack::DEFAULT_SIZE));
    };
    let bytes: usize = var
        .to_str()
        .and_then(|text| text.trim().parse().ok())
        .ok_or_else(|| {
            StartError(format!(
                "GOSTACK={var:?} is no stack size: set it to a number of bytes from {} (32 KiB) to {} (1 GiB), such as {} \
                 (256 KiB), or unset it",
                stack::MIN_SIZE,
                stack::MAX_SIZE,
                stack::DEFAULT_SIZE
            ))
        })?;
    stack::check_size(bytes)
        .map(stack::round_size)
        .map_err(|error| StartError(format!("GOSTACK={bytes}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_checked() {
        assert_eq!(workers(Some("3".into())), Ok(3));
        assert_eq!(workers(Some("".into())), Ok(num_cpus::get()));
        for bad in ["abc", "0", "-1", "1.5", "99999999999999999999", "1025"] {
            let error = workers(Some(bad.into())).unwrap_err().0;
            assert!(
                error.contains("GOMAXPROCS") && error.contains("from 1 to 1024"),
                "{error}"
            );
        }
    }

    #[test]
    fn blocking_threads_are_checked() {
        assert_eq!(blocking_threads(None), Ok(1024));
        assert_eq!(blocking_threads(Some("7".into())), Ok(7));
        for bad in ["abc", "0", "-1", "32001", "1e3"] {
            let error = blocking_threads(Some(bad.into())).unwrap_err().0;
            assert!(error.contains("GOBLOCKING"), "{error}");
        }
    }

    #[test]
    fn debug_switches() {
        let usual = Debug {
            slow: None,
            nesting: false,
            colour: true,
            mprotect: false,
        };
        assert_eq!(Debug::parse(""), usual);
        assert_eq!(Debug::parse("gctrace=1,,schedtrace=1000"), usual);
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
            colour: false,
            mprotect: true,
        };
        assert_eq!(Debug::parse("colour=0,mprotect=1,slow=0,nesting=1"), others);
    }

    #[test]
    fn stack_sizes_are_checked() {
        assert_eq!(stack_size(None), Ok(stack::round_size(stack::DEFAULT_SIZE)));
        assert_eq!(stack_size(Some("65536".into())), Ok(65536));
        assert_eq!(stack_size(Some("70000".into())), Ok(131_072));
        for bad in ["abc", "3", "32767", "1073741825", "99999999999"] {
            let error = stack_size(Some(bad.into())).unwrap_err().0;
            for part in ["GOSTACK", "32 KiB", "1 GiB"] {
                assert!(error.contains(part), "{part}: {error}");
            }
        }
    }
}
