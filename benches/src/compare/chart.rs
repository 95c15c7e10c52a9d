//! The results as a chart: of each workload a bar for each kind of peer, on a logarithmic scale,
//! where ours is 1.

use super::plan::{OURS, program};
use super::result::Row;
use crate::numbers::short;
use crate::svg::{Colours, head, line, on_log_scale, text};

/// The best of a kind's columns stands for it. Threads would only make the scale longer.
const KINDS: [(&str, &str, &[&str]); 3] = [
    ("go", "Go", &["go"]),
    ("may", "may, its best channel", &["may"]),
    ("tokio", "tokio, its best channel", &["tokio"]),
];

const WIDTH: f64 = 860.0;
/// Where the bars' area lies.
const LEFT: f64 = 170.0;
const RIGHT: f64 = 800.0;
const TOP: f64 = 128.0;
const BAR: f64 = 11.0;
const BAR_STEP: f64 = 13.0;
const GROUP_GAP: f64 = 13.0;
const GROUP: f64 = BAR_STEP * KINDS.len() as f64 + GROUP_GAP;
const TICKS: [f64; 12] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0,
];

/// The peers' colours, on light ground and on dark.
const COLOURS: Colours = Colours {
    light: ".band{fill:#f6f8fa}.go{fill:#0072b2}.may{fill:#d98200}.tokio{fill:#009e73}",
    dark: ".band{fill:#151b23}.go{fill:#56b4e9}.may{fill:#f0a030}.tokio{fill:#2fc596}",
};

/// Of each kind, in the order of `KINDS`: the best column's time as a multiple of ours.
type Multiples = [Option<f64>; KINDS.len()];

/// The chart as SVG; `subtitles` say what was run, and where. Workloads without a time of ours are
/// left out.
pub fn chart(rows: &[Row], subtitles: [&str; 2]) -> String {
    let groups: Vec<(&Row, f64, Multiples)> = rows
        .iter()
        .filter_map(|row| Some((row, row.column(OURS)?.ns()?, multiples(row))))
        .collect();
    let scale = Scale::of(groups.iter().flat_map(|(_, _, all)| *all).flatten());
    let bottom = TOP + GROUP * groups.len() as f64;
    let height = bottom + 58.0;

    let title = "Time of an operation beside ours";
    let mut svg = head([WIDTH, height], title, subtitles, &COLOURS);
    legend(&mut svg);
    for (i, _) in groups.iter().enumerate().step_by(2) {
        let y = TOP + GROUP * i as f64;
        let width = WIDTH - 40.0;
        svg += &format!(
            "<rect class=\"band\" x=\"20\" y=\"{y:.1}\" width=\"{width}\" height=\"{GROUP}\"/>\n"
        );
    }
    for tick in scale.ticks() {
        let x = scale.x(tick);
        svg += &upright(x, bottom, "grid");
        svg += &text(x, bottom + 18.0, "middle", &format!("{tick}×"));
    }
    for (i, (row, ours, all)) in groups.iter().enumerate() {
        group(&mut svg, &scale, TOP + GROUP * i as f64, row, *ours, all);
    }
    svg += &upright(scale.x(1.0), bottom, "ours");
    svg += &text(
        (LEFT + RIGHT) / 2.0,
        bottom + 42.0,
        "small middle",
        "time of an operation as a multiple of ours, logarithmic: to the right of 1× the peer is \
         slower, to the left faster",
    );
    svg + "</svg>\n"
}

fn legend(svg: &mut String) {
    let mut x = LEFT;
    for (class, name, _) in KINDS {
        *svg += &format!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"89\" width=\"12\" height=\"12\" rx=\"2\"/>\n"
        );
        *svg += &text(x + 18.0, 99.0, "", name);
        x += 60.0 + 6.5 * name.len() as f64;
    }
    *svg += &line([x + 6.0, 88.0], [x + 6.0, 102.0], "ours");
    *svg += &text(x + 18.0, 99.0, "", "ours");
}

fn group(svg: &mut String, scale: &Scale, top: f64, row: &Row, ours: f64, all: &Multiples) {
    let middle = top + GROUP / 2.0;
    *svg += &text(LEFT - 14.0, middle - 2.0, "end", row.workload.name);
    let ours = format!("ours {} ns", short(ours));
    *svg += &text(LEFT - 14.0, middle + 12.0, "small end", &ours);
    let one = scale.x(1.0);
    for (i, (multiple, (class, _, _))) in all.iter().zip(KINDS).enumerate() {
        let y = top + GROUP_GAP / 2.0 + BAR_STEP * i as f64 + 1.0;
        let baseline = y + BAR - 1.5;
        let Some(multiple) = *multiple else {
            *svg += &text(one + 6.0, baseline, "small", "no figure");
            continue;
        };
        let x = scale.x(multiple);
        // What differs by nothing is still to be seen.
        let (from, width) = (one.min(x), (x - one).abs().max(3.0));
        *svg += &format!(
            "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
             height=\"{BAR}\"/>\n"
        );
        // Of a bar to the left the number stands at its root, where nothing else is.
        let label = one.max(x) + 6.0;
        let number = match multiple {
            10.0.. => format!("{multiple:.0}×"),
            _ => format!("{multiple:.2}×"),
        };
        *svg += &text(label, baseline, "small", &number);
    }
}

fn multiples(row: &Row) -> Multiples {
    KINDS.map(|(_, _, programs)| {
        let columns = row.columns.iter();
        columns
            .filter(|column| programs.contains(&program(column.name).0) && !column.is_void())
            .filter_map(|column| Some(1.0 / row.ratio(column.name)?))
            .reduce(f64::min)
    })
}

/// From multiples to places: as long as it has to be, from a tick to a tick.
struct Scale {
    from: f64,
    to: f64,
}

impl Scale {
    fn of(multiples: impl Iterator<Item = f64>) -> Scale {
        let (mut from, mut to) = (0.5_f64, 2.0_f64);
        for multiple in multiples {
            from = from.min(multiple);
            to = to.max(multiple);
        }
        let below = TICKS.iter().rev().find(|tick| **tick <= from);
        let above = TICKS.iter().find(|tick| **tick >= to);
        Scale {
            from: below.copied().unwrap_or(from),
            to: above.copied().unwrap_or(to),
        }
    }

    fn x(&self, multiple: f64) -> f64 {
        on_log_scale(multiple, [self.from, self.to], [LEFT, RIGHT])
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        TICKS
            .into_iter()
            .filter(|tick| (self.from..=self.to).contains(tick))
    }
}

fn upright(x: f64, bottom: f64, class: &str) -> String {
    line([x, TOP], [x, bottom], class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::result::tests::{column, figure, row};

    #[test]
    fn the_best_of_a_kind_that_counts_stands_for_it() {
        let mut kanal = column("tokio-kanal", &[]);
        kanal.runs.push((0, figure(10.0, &[("lost", 1.0)])));
        let mut may = column("may-sem", &[1.0]);
        may.failure = Some("broken".into());
        let columns = vec![
            column(OURS, &[100.0]),
            column("go", &[150.0]),
            may,
            kanal,
            column("tokio-flume", &[300.0]),
            column("tokio-mpsc", &[400.0]),
            column("threads", &[10.0]),
        ];
        let all = multiples(&row("select3", columns)).map(|m| m.map(short));
        assert_eq!(all, [Some("1.5".into()), None, Some("3.0".into())]);
    }

    #[test]
    fn the_scale_reaches_from_tick_to_tick() {
        let scale = Scale::of([0.3, 7.0].into_iter());
        assert_eq!((scale.from, scale.to), (0.2, 10.0));
        assert_eq!((scale.x(0.2), scale.x(10.0)), (LEFT, RIGHT));
        assert_eq!(scale.ticks().count(), 6);
        // Neither end has a tick beyond.
        let scale = Scale::of([0.01, 5000.0].into_iter());
        assert_eq!((scale.from, scale.to), (0.01, 5000.0));
    }

    #[test]
    fn workloads_without_a_time_of_ours_are_left_out() {
        let rows = [
            row("ring", vec![column(OURS, &[1.0]), column("go", &[2.0])]),
            row("mutex8", vec![column(OURS, &[]), column("go", &[2.0])]),
        ];
        let svg = chart(&rows, ["1 run", "a <b> & c"]);
        assert!(svg.contains(">ring<") && svg.contains(">2.00×<"));
        assert!(!svg.contains("mutex8"));
        assert!(svg.contains("a &lt;b> &amp; c"));
    }
}
