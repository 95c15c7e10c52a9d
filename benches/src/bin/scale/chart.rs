//! The results as a chart: a line for each operation, both axes logarithmic. A flat line is a cost
//! that does not grow.

use go_benches::numbers::count;
use go_benches::svg::{Colours, head, line, on_log_scale, text};

use crate::Row;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 470.0;
/// Where the lines' area lies.
const LEFT: f64 = 96.0;
const RIGHT: f64 = 730.0;
const TOP: f64 = 92.0;
const BOTTOM: f64 = 400.0;
/// Names at the lines' ends are as far apart at least.
const NAME_STEP: f64 = 15.0;

const COLOURS: Colours = Colours {
    light: ".line{fill:none;stroke-width:2}.dot{stroke:none}\n\
            .yield{stroke:#0072b2;fill:#0072b2}.ring{stroke:#d98200;fill:#d98200}\
            .pairs{stroke:#009e73;fill:#009e73}\n\
            .spawn{stroke:#b5548c;fill:#b5548c}.timers{stroke:#6a51a3;fill:#6a51a3}\
            .line{fill:none}.name{stroke:none}",
    dark: ".yield{stroke:#56b4e9;fill:#56b4e9}.ring{stroke:#f0a030;fill:#f0a030}\
           .pairs{stroke:#2fc596;fill:#2fc596}\n\
           .spawn{stroke:#e08bbb;fill:#e08bbb}.timers{stroke:#a99be8;fill:#a99be8}\
           .line{fill:none}.name,.dot{stroke:none}",
};

/// The chart as SVG; `subtitles` say what was run, and where.
pub(crate) fn chart(rows: &[Row], subtitles: [&str; 2]) -> String {
    let lines: Vec<(&str, Vec<[f64; 2]>)> = rows
        .iter()
        .map(|row| {
            let points = row.points.iter();
            let points = points.map(|(n, figures)| [*n as f64, figures.get("cpu_ns")]);
            let points = points.filter(|[_, ns]| *ns > 0.0);
            (row.operation.name, points.collect())
        })
        .collect();
    let points = || lines.iter().flat_map(|(_, points)| points);
    let across = decades(points().map(|[n, _]| *n));
    let up = decades(points().map(|[_, ns]| *ns));
    let x = |n: f64| on_log_scale(n, across, [LEFT, RIGHT]);
    let y = |ns: f64| on_log_scale(ns, up, [BOTTOM, TOP]);

    let title = "CPU time of an operation by the number of goroutines";
    let mut svg = head([WIDTH, HEIGHT], title, subtitles, &COLOURS);
    for ns in ticks(up, &[1.0, 2.0, 5.0]) {
        svg += &line([LEFT, y(ns)], [RIGHT, y(ns)], "grid");
        svg += &text(
            LEFT - 10.0,
            y(ns) + 4.0,
            "end",
            &format!("{} ns", count(ns)),
        );
    }
    for n in ticks(across, &[1.0]) {
        svg += &line([x(n), TOP], [x(n), BOTTOM], "grid");
        svg += &text(x(n), BOTTOM + 20.0, "middle", &count(n));
    }
    let below = "goroutines that do it in turn, or lie parked beside (spawn; there the first point \
                 is beside none)";
    svg += &text((LEFT + RIGHT) / 2.0, BOTTOM + 46.0, "small middle", below);

    let mut names = Vec::new();
    for (name, points) in &lines {
        let places: Vec<[f64; 2]> = points.iter().map(|[n, ns]| [x(*n), y(*ns)]).collect();
        svg += &path(name, &places);
        names.extend(places.last().map(|[x, y]| (*y, *x, *name)));
    }
    for (y, x, name) in apart(names) {
        svg += &text(x + 12.0, y + 4.0, &format!("{name} name"), name);
    }
    svg + "</svg>\n"
}

fn path(name: &str, places: &[[f64; 2]]) -> String {
    let points: Vec<String> = places
        .iter()
        .map(|[x, y]| format!("{x:.1},{y:.1}"))
        .collect();
    let mut svg = format!(
        "<polyline class=\"{name} line\" points=\"{}\"/>\n",
        points.join(" ")
    );
    for [x, y] in places {
        svg += &format!("<circle class=\"{name} dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>\n");
    }
    svg
}

/// Moved down as far as they have to be so as not to lie on each other.
fn apart<T, U>(mut names: Vec<(f64, T, U)>) -> Vec<(f64, T, U)> {
    names.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = f64::NEG_INFINITY;
    for (y, ..) in &mut names {
        *y = y.max(free);
        free = *y + NAME_STEP;
    }
    names
}

/// From a power of ten to a power of ten around all values, one decade at least.
fn decades(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let (least, most) = values.fold((f64::INFINITY, 0.0_f64), |(least, most), value| {
        (least.min(value), most.max(value))
    });
    if most == 0.0 {
        return [1.0, 10.0];
    }
    let from = least.log10().floor();
    let to = most.log10().ceil().max(from + 1.0);
    [from, to].map(|power| 10_f64.powf(power))
}

/// Of each decade these multiples.
fn ticks([from, to]: [f64; 2], multiples: &[f64]) -> Vec<f64> {
    let powers = from.log10().round() as i32..=to.log10().round() as i32;
    let all = powers.flat_map(|power| multiples.iter().map(move |m| m * 10_f64.powi(power)));
    all.filter(|tick| *tick <= to * 1.001).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_reach_from_decade_to_decade() {
        assert_eq!(decades([20.0, 450.0].into_iter()), [10.0, 1000.0]);
        assert_eq!(decades([10.0].into_iter()), [10.0, 100.0]);
        assert_eq!(decades([].into_iter()), [1.0, 10.0]);
        assert_eq!(ticks([10.0, 100.0], &[1.0, 5.0]), [10.0, 50.0, 100.0]);
    }

    #[test]
    fn names_do_not_lie_on_each_other() {
        let names = apart(vec![(30.0, (), "b"), (28.0, (), "a"), (90.0, (), "c")]);
        let places: Vec<(f64, &str)> = names.into_iter().map(|(y, _, name)| (y, name)).collect();
        assert_eq!(places, [(28.0, "a"), (43.0, "b"), (90.0, "c")]);
    }
}
