//! What the runs of a workload come to.

use go_benches::figures::Figures;
use go_benches::markdown::dash;
use go_benches::numbers::median;

pub(crate) const HEADS: [&str; 10] = [
    "workload",
    "serial, ms",
    "ms",
    "loss, median",
    "loss, worst",
    "beside threads, median",
    "beside threads, worst",
    "CPU / serial CPU",
    "least share, median",
    "shares, worst run",
];

/// What one run came to.
pub(crate) struct Run {
    serial_ns: f64,
    /// How often the CPU time of the serial run.
    cpu: f64,
    ns: f64,
    /// In percent.
    loss: f64,
    /// Of each worker, in percent, the largest first; those that have done nothing are among them.
    shares: Vec<f64>,
}

impl Run {
    pub(crate) fn of(figures: &Figures, procs: usize, cpus: usize) -> Run {
        let (ns, serial_ns) = (figures.get("ns"), figures.get("serial_ns"));
        let ideal = procs.min(cpus) as f64;
        let loss = if serial_ns.is_nan() {
            1.0 - figures.get("cpu_ns") / (ns * ideal)
        } else {
            ns * ideal / serial_ns - 1.0
        };
        Run {
            serial_ns,
            cpu: figures.get("cpu_ns") / figures.get("serial_cpu_ns"),
            ns,
            loss: loss * 100.0,
            shares: shares(figures.list("work"), procs),
        }
    }

    /// The time as a part of the serial one.
    fn part(&self) -> f64 {
        self.ns / self.serial_ns
    }
}

fn shares(mut work: Vec<f64>, procs: usize) -> Vec<f64> {
    let total: f64 = work.iter().sum();
    work.retain(|work| *work > 0.0);
    work.resize(work.len().max(procs), 0.0);
    work.sort_by(|a, b| b.total_cmp(a));
    work.iter().map(|work| work / total * 100.0).collect()
}

/// `threads` are the runs of the same rounds on plain threads.
pub(crate) fn row(name: &str, runs: &[Run], threads: Option<&[Run]>) -> [String; HEADS.len()] {
    let middle = |of: fn(&Run) -> f64| median(runs.iter().map(of).collect()).unwrap_or(f64::NAN);
    let worst = runs.iter().max_by(|a, b| a.loss.total_cmp(&b.loss));
    let least = middle(|run| run.shares.last().copied().unwrap_or(f64::NAN));
    let shares = worst.iter().flat_map(|run| &run.shares);
    let shares: Vec<String> = shares.map(|share| format!("{share:.0}")).collect();
    let beside: Vec<f64> = runs
        .iter()
        .zip(threads.unwrap_or_default())
        .map(|(run, threads)| (run.part() / threads.part() - 1.0) * 100.0)
        .collect();
    let most = beside.iter().copied().reduce(f64::max).unwrap_or(f64::NAN);
    let percent = |part| number(part, |part| format!("{part:.1} %"));
    let ms = |ns| number(ns, |ns| format!("{:.1}", ns / 1e6));
    [
        name.into(),
        ms(middle(|run| run.serial_ns)),
        ms(middle(|run| run.ns)),
        percent(middle(|run| run.loss)),
        percent(worst.map_or(f64::NAN, |run| run.loss)),
        percent(median(beside).unwrap_or(f64::NAN)),
        percent(most),
        number(middle(|run| run.cpu), |cpu| format!("{cpu:.2}")),
        format!("{least:.0} %"),
        shares.join(" : "),
    ]
}

fn number(number: f64, write: impl Fn(f64) -> String) -> String {
    dash((!number.is_nan()).then(|| write(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_what_an_ideal_spread_would_not_take() {
        let figures = |text| Run::of(&Figures::parse(text), 4, 2);
        let serial = figures("ns 600\nserial_ns 1000\ncpu_ns 1000\nwork_0 1\nwork_1 0\nwork_2 3");
        assert_eq!(serial.loss.round(), 20.0);
        assert_eq!(serial.shares, [75.0, 25.0, 0.0, 0.0]);
        assert_eq!(figures("ns 500\ncpu_ns 900").loss.round(), 10.0);
    }

    #[test]
    fn a_row_has_the_median_run_and_the_worst() {
        let run = |loss, shares: &[f64]| Run {
            serial_ns: 3e6,
            cpu: 1.25,
            ns: 2e6 * (1.0 + loss / 100.0),
            loss,
            shares: shares.to_vec(),
        };
        let runs = [
            run(1.0, &[51.0, 49.0]),
            run(90.0, &[99.0, 1.0]),
            run(3.0, &[60.0, 40.0]),
        ];
        let cells = row(
            "pool",
            &runs,
            Some(&[run(0.0, &[]), run(0.0, &[]), run(0.0, &[])]),
        );
        let times = ["3.0", "2.1", "3.0 %", "90.0 %", "3.0 %", "90.0 %", "1.25"];
        assert_eq!(cells[1..8], times);
        assert_eq!(cells[8..], ["40 %", "99 : 1"]);
        assert_eq!(row("pool", &runs, None)[5], "-");
    }
}
