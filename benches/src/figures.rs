//! The figures that a child process has measured, and printed as lines "key value".

use std::collections::HashMap;
use std::env;
use std::process::Command;
use std::time::Duration;

use crate::child::output;
use crate::numbers::median;

/// Time limit of a child; a child that takes longer counts as hanging.
const LIMIT: Duration = Duration::from_secs(120);

#[derive(Clone)]
pub struct Figures(HashMap<String, f64>);

impl Figures {
    /// Parses the figures, and ignores all other lines.
    pub fn parse(text: &str) -> Figures {
        let pairs = text.lines().filter_map(|line| {
            let (key, value) = line.split_once(' ')?;
            Some((key.to_string(), value.parse().ok()?))
        });
        Figures(pairs.collect())
    }

    /// Returns the figure, or NaN if it is missing.
    pub fn get(&self, key: &str) -> f64 {
        self.0.get(key).copied().unwrap_or(f64::NAN)
    }

    /// Returns the figures `key_0`, `key_1` and so on.
    pub fn list(&self, key: &str) -> Vec<f64> {
        (0..)
            .map_while(|i| self.0.get(&format!("{key}_{i}")).copied())
            .collect()
    }

    pub fn set(&mut self, key: &str, value: f64) {
        self.0.insert(key.into(), value);
    }

    /// Returns the median of each figure.
    pub fn medians(runs: &[Figures]) -> Option<Figures> {
        let all = |key: &String| runs.iter().map(|run| run.get(key)).collect();
        let keys = runs.first()?.0.keys();
        let medians = keys.filter_map(|key| Some((key.clone(), median(all(key))?)));
        Some(Figures(medians.collect()))
    }
}

/// Returns a command that runs this program for one measurement.
pub fn child() -> Result<Command, String> {
    let mut command = Command::new(env::current_exe().map_err(|error| error.to_string())?);
    command.arg("child");
    Ok(command)
}

/// Runs a child, and returns its figures.
pub fn measure(command: &mut Command) -> Result<Figures, String> {
    Ok(Figures::parse(&output(command, LIMIT)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_lines_of_key_and_value() {
        let figures = Figures::parse("ns 1.5\na remark of no use\nwork_0 3\nwork_1 4\nwork_3 5\n");
        assert_eq!(figures.get("ns"), 1.5);
        assert!(figures.get("a").is_nan());
        assert_eq!(figures.list("work"), [3.0, 4.0]);
    }

    #[test]
    fn medians_are_those_of_each_figure() {
        let runs = ["a 1\nb 9", "a 3\nb 7", "a 2\nb 8"].map(Figures::parse);
        let medians = Figures::medians(&runs).unwrap();
        assert_eq!((medians.get("a"), medians.get("b")), (2.0, 8.0));
        assert!(Figures::medians(&[]).is_none());
    }
}
