//! The figures of a run, most of which a child process has printed as lines "key value".

use std::collections::HashMap;
use std::env;
use std::ffi::OsStr;
use std::process::Command;

use crate::numbers;
use crate::peers::output;

#[derive(Clone, Default)]
pub struct Figures(HashMap<String, f64>);

impl Figures {
    /// Parses the figures, and ignores all other lines.
    pub fn parse(text: &str) -> Figures {
        let pairs = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.to_string(), words.next()?.parse().ok()?))
        });
        Figures(pairs.collect())
    }

    /// Returns the figure, or NaN if it is missing.
    pub fn get(&self, key: &str) -> f64 {
        self.0.get(key).copied().unwrap_or(f64::NAN)
    }

    pub fn set(&mut self, key: &str, value: f64) {
        self.0.insert(key.into(), value);
    }
}

/// Returns a figure of each run.
pub fn each<'a>(runs: &'a [Figures], key: &'a str) -> impl Iterator<Item = f64> + 'a {
    runs.iter().map(move |run| run.get(key))
}

/// Returns the median of a figure over all runs, or NaN if there are none.
pub fn median(runs: &[Figures], key: &str) -> f64 {
    numbers::median(each(runs, key).collect())
}

/// Returns a command that runs a program, and ends it after two minutes with exit status 124.
pub fn limited(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.arg("120").arg(program);
    command
}

/// Returns a command that runs this program again for one measurement, in a process of its own.
pub fn child() -> Result<Command, String> {
    let mut command = limited(env::current_exe().map_err(|error| error.to_string())?);
    command.arg("child");
    Ok(command)
}

/// Runs a program that prints figures.
pub fn measure(command: &mut Command) -> Result<Figures, String> {
    Ok(Figures::parse(&output(command)?))
}
