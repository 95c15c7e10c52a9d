//! Command lines: an address, and options that have a value each.

use std::env;
use std::time::Duration;

/// A day; longer ones would only hide a slip of the pen.
const LONGEST_MS: u64 = 86_400_000;

/// A command line that has been read.
#[derive(Debug)]
pub struct Args {
    address: Option<String>,
    values: Vec<(String, String)>,
}

impl Args {
    /// The program's own, of which the options in `known` are known. The last value of an option holds.
    ///
    /// # Errors
    /// What is wrong with which argument.
    pub fn new(known: &[&str]) -> Result<Args, String> {
        let mut args = env::args_os().skip(1).map(|arg| {
            arg.into_string()
                .map_err(|arg| format!("{} is not UTF-8", arg.display()))
        });
        let (mut address, mut values) = (None, Vec::new());
        while let Some(arg) = args.next() {
            let arg = arg?;
            if !arg.starts_with("--") {
                if let Some(first) = address.replace(arg) {
                    return Err(format!("a second address after {first}"));
                }
            } else if known.contains(&&*arg) {
                let value = args
                    .next()
                    .ok_or_else(|| format!("{arg} takes a value after it"))?;
                values.push((arg, value?));
            } else {
                return Err(format!("there is no option {arg}"));
            }
        }
        Ok(Args { address, values })
    }

    /// The address to listen at: 127.0.0.1:8080 if none was given.
    pub fn address(&self) -> &str {
        self.address.as_deref().unwrap_or("127.0.0.1:8080")
    }

    /// What was given after this option.
    pub fn value(&self, option: &str) -> Option<&str> {
        let given = self.values.iter().rev().find(|(name, _)| name == option);
        given.map(|(_, value)| &**value)
    }

    /// The number after this option, or `default`.
    ///
    /// # Errors
    /// It is none, or not one from 1 to `most`.
    pub fn number(&self, option: &str, default: u64, most: u64) -> Result<u64, String> {
        let Some(value) = self.value(option) else {
            return Ok(default);
        };
        match value.parse() {
            Ok(n) if (1..=most).contains(&n) => Ok(n),
            _ => Err(format!(
                "{option} takes a number from 1 to {most}, not {value:?}"
            )),
        }
    }

    /// The time after this option, in milliseconds, or `default`.
    ///
    /// # Errors
    /// As [`Args::number`].
    pub fn milliseconds(&self, option: &str, default: Duration) -> Result<Duration, String> {
        let default = u64::try_from(default.as_millis()).unwrap_or(LONGEST_MS);
        self.number(option, default, LONGEST_MS)
            .map(Duration::from_millis)
    }
}
