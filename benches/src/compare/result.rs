//! What the programs have printed, and what follows from it.

use super::plan::{Goal, OURS, Workload};
use crate::numbers::median;

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub ns: f64,
    pub ops: f64,
    /// What is said after the name, as `key=number`.
    pub fields: Vec<(String, f64)>,
}

impl Figure {
    pub fn field(&self, key: &str) -> Option<f64> {
        let field = self.fields.iter().find(|(name, _)| name == key);
        field.map(|(_, value)| *value)
    }

    fn cpu_per_op(&self) -> Option<f64> {
        Some(self.field("cpu_ms")? * 1e6 / self.ops)
    }
}

/// The figure in a program's output, or `None` where the program says that it has no such workload.
pub fn parse(output: &str, workload: &str) -> Result<Option<Figure>, String> {
    let line = output
        .lines()
        .find(|line| line.split_whitespace().next() == Some(workload))
        .ok_or_else(|| format!("no line of {workload} in its output: {output:?}"))?;
    // name, ns an operation, operations, wall ms, highest memory, then the fields
    let words: Vec<&str> = line.split_whitespace().collect();
    if words.get(1) == Some(&"n/a") {
        return Ok(None);
    }
    let number = |i: usize| {
        let number = words.get(i).and_then(|word| word.parse::<f64>().ok());
        number.filter(|number| number.is_finite() && *number > 0.0)
    };
    let (Some(ns), Some(ops)) = (number(1), number(2)) else {
        return Err(format!("not a line of figures: {line:?}"));
    };
    let fields = words.iter().filter_map(|word| {
        let (key, value) = word.split_once('=')?;
        Some((key.to_string(), value.parse().ok()?))
    });
    Ok(Some(Figure {
        ns,
        ops,
        fields: fields.collect(),
    }))
}

/// All runs of a workload on one program.
#[derive(Default)]
pub struct Column {
    pub name: &'static str,
    /// With the number of the round.
    pub runs: Vec<(usize, Figure)>,
    /// Why there are no more runs of it, or none at all.
    pub failure: Option<String>,
}

impl Column {
    /// Those of a column that has failed do not count.
    fn figures(&self) -> impl Iterator<Item = &(usize, Figure)> {
        self.runs.iter().filter(|_| self.failure.is_none())
    }

    fn each(&self, of: impl Fn(&Figure) -> Option<f64>) -> Vec<f64> {
        self.figures().filter_map(|(_, run)| of(run)).collect()
    }

    pub fn ns(&self) -> Option<f64> {
        median(self.each(|run| Some(run.ns)))
    }

    pub fn cpu_per_op(&self) -> Option<f64> {
        median(self.each(Figure::cpu_per_op))
    }

    pub fn field(&self, key: &str) -> Option<f64> {
        median(self.each(|run| run.field(key)))
    }

    pub fn least(&self, key: &str) -> Option<f64> {
        let values = self.each(|run| run.field(key));
        values.into_iter().reduce(f64::min)
    }

    /// Half of what lies between the lowest and the highest, in percent of the median; of one run
    /// there is none.
    pub fn spread(&self) -> Option<f64> {
        let times = self.each(|run| Some(run.ns));
        if times.len() < 2 {
            return None;
        }
        let lowest = times.iter().copied().reduce(f64::min)?;
        let highest = times.iter().copied().reduce(f64::max)?;
        Some(50.0 * (highest - lowest) / self.ns()?)
    }

    /// Messages lost, of each run. A time without all the work is void.
    pub fn lost(&self) -> Vec<f64> {
        self.each(|run| Some(run.field("lost").unwrap_or(0.0)))
    }

    pub fn is_void(&self) -> bool {
        self.lost().iter().any(|lost| *lost > 0.0)
    }
}

/// A workload, on ours and its peers.
pub struct Row {
    pub workload: &'static Workload,
    pub columns: Vec<Column>,
}

impl Row {
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Ours / peer: the median of the rounds' own ratios, so that what slows the machine for a
    /// while slows both.
    pub fn ratio(&self, peer: &str) -> Option<f64> {
        let (ours, peer) = (self.column(OURS)?, self.column(peer)?);
        let ratios = ours.figures().filter_map(|(round, ours)| {
            let (_, peer) = peer.figures().find(|(other, _)| other == round)?;
            Some(ours.ns / peer.ns)
        });
        median(ratios.collect())
    }

    /// What is to be compared with the goal; `None` if there is nothing, or nothing that counts.
    pub fn reached(&self, goal: Goal) -> Option<f64> {
        match goal {
            Goal::Ratio(peer, _) if self.column(peer)?.is_void() => None,
            Goal::Ratio(peer, _) => self.ratio(peer),
            Goal::SpeedUp(_) => self.column(OURS)?.least("speedup"),
        }
    }

    pub fn is_met(&self, goal: Goal) -> Option<bool> {
        let reached = self.reached(goal)?;
        Some(match goal {
            Goal::Ratio(_, most) => reached <= most,
            Goal::SpeedUp(least) => reached >= least,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::compare::plan::chosen_workloads;

    pub(crate) fn figure(ns: f64, fields: &[(&str, f64)]) -> Figure {
        let fields = fields.iter().map(|(key, value)| (key.to_string(), *value));
        Figure {
            ns,
            ops: 1000.0,
            fields: fields.collect(),
        }
    }

    pub(crate) fn column(name: &'static str, times: &[f64]) -> Column {
        let runs = times.iter().enumerate();
        Column {
            name,
            runs: runs
                .map(|(round, ns)| (round, figure(*ns, &[("cpu_ms", 2.0)])))
                .collect(),
            failure: None,
        }
    }

    pub(crate) fn row(workload: &str, columns: Vec<Column>) -> Row {
        Row {
            workload: chosen_workloads(&[workload.into()]).unwrap()[0],
            columns,
        }
    }

    #[test]
    fn lines_are_parsed() {
        let line = "pool 9980.5 50000 499.0 4096 cpu_ms=997 serial_ns=19684 speedup=1.973\n";
        let figure = parse(line, "pool").unwrap().unwrap();
        assert_eq!((figure.ns, figure.ops), (9980.5, 50000.0));
        assert_eq!(figure.field("speedup"), Some(1.973));
        assert_eq!(figure.cpu_per_op(), Some(19940.0));

        let parked = "parked 900.0 16000 20.0 9 cpu_ms=1 create_ns=900.0 wake_ns=217.0\n\
                      parked_mem 473 1 16000\n";
        let figure = parse(parked, "parked").unwrap().unwrap();
        assert_eq!(figure.field("wake_ns"), Some(217.0));

        let mutex = "mutex8 21.5 4000000 86.0 2300 cpu_ms=170 std::sync::Mutex";
        assert!(parse(mutex, "mutex8").unwrap().is_some());
    }

    #[test]
    fn a_workload_that_a_program_lacks_is_no_failure() {
        let line = "mutex8 n/a 0 0 0 why=no_mutex";
        assert_eq!(parse(line, "mutex8"), Ok(None));
    }

    #[test]
    fn lines_without_figures_are_errors() {
        for line in ["", "ring", "ring x 3", "ring 0 3", "ring inf 3", "ring 2.5"] {
            assert!(parse(line, "ring").is_err(), "{line:?}");
        }
        assert!(parse("yield1 3.0 4", "ring").is_err());
    }

    #[test]
    fn ratios_are_the_medians_of_the_rounds_own() {
        let mut row = row(
            "ring",
            vec![
                column(OURS, &[10.0, 40.0, 30.0]),
                column("go", &[20.0, 50.0, 100.0]),
            ],
        );
        assert_eq!(row.ratio("go"), Some(0.5));
        assert_eq!(row.ratio("may-sem"), None);
        // Only rounds that both have count.
        row.columns[1].runs.remove(0);
        assert_eq!(row.ratio("go"), Some(0.55));
        row.columns[1].failure = Some("broken".into());
        assert_eq!(row.ratio("go"), None);
        assert_eq!(row.columns[1].ns(), None);
    }

    #[test]
    fn medians_and_spreads() {
        let three = column("go", &[90.0, 100.0, 120.0]);
        assert_eq!(three.ns(), Some(100.0));
        assert_eq!(three.spread(), Some(15.0));
        assert_eq!(column("go", &[90.0]).spread(), None);
        assert_eq!(three.cpu_per_op(), Some(2000.0));
    }

    #[test]
    fn goals_are_met_or_not() {
        let row = row(
            "ring",
            vec![column(OURS, &[60.0]), column("tokio-kanal", &[100.0])],
        );
        assert_eq!(row.is_met(Goal::Ratio("tokio-kanal", 0.6)), Some(true));
        assert_eq!(row.is_met(Goal::Ratio("tokio-kanal", 0.5)), Some(false));
        assert_eq!(row.is_met(Goal::Ratio("go", 0.5)), None);
    }

    #[test]
    fn every_run_has_to_reach_the_speed_up() {
        let mut ours = column(OURS, &[]);
        for (round, speedup) in [1.97, 1.94, 1.99].into_iter().enumerate() {
            ours.runs
                .push((round, figure(1.0, &[("speedup", speedup)])));
        }
        let row = row("pool", vec![ours]);
        assert_eq!(row.is_met(Goal::SpeedUp(1.95)), Some(false));
        assert_eq!(row.is_met(Goal::SpeedUp(1.9)), Some(true));
    }

    #[test]
    fn who_loses_messages_is_no_measure() {
        let mut kanal = column("tokio-kanal", &[]);
        kanal.runs.push((0, figure(100.0, &[("lost", 7.0)])));
        let row = row("ring", vec![column(OURS, &[60.0]), kanal]);
        assert!(row.columns[1].is_void());
        assert_eq!(row.is_met(Goal::Ratio("tokio-kanal", 0.6)), None);
    }
}
