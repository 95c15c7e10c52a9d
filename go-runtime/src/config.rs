//! What the environment says about the runtime, checked once.

use std::env;
use std::fmt;

use crate::stack;

/// The largest number of workers; more is surely a mistake, and would fail later and less clearly.
const MAX_WORKERS: usize = 1024;

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
}

impl Config {
    pub(crate) fn from_env() -> Result<Config, StartError> {
        Ok(Config {
            workers: workers(env::var_os("GOMAXPROCS"))?,
            stack_size: stack_size(env::var_os("GOSTACK"))?,
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

fn stack_size(var: Option<std::ffi::OsString>) -> Result<usize, StartError> {
    let Some(var) = var.filter(|var| !var.is_empty()) else {
        return Ok(stack::DEFAULT_SIZE);
    };
    let bytes: usize = var
        .to_str()
        .and_then(|text| text.trim().parse().ok())
        .ok_or_else(|| {
            StartError(format!(
                "GOSTACK={var:?} is no stack size: set it to a number of bytes, such as {} (256 KiB), or unset it",
                stack::DEFAULT_SIZE
            ))
        })?;
    stack::check_size(bytes).map_err(|error| StartError(format!("GOSTACK={bytes}: {error}")))
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
    fn stack_sizes_are_checked() {
        assert_eq!(stack_size(None), Ok(stack::DEFAULT_SIZE));
        assert_eq!(stack_size(Some("65536".into())), Ok(65536));
        for bad in ["abc", "3", "99999999999"] {
            let error = stack_size(Some(bad.into())).unwrap_err().0;
            assert!(error.contains("GOSTACK"), "{error}");
        }
    }
}
