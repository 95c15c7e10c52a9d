//! The results as Markdown.

use super::plan::{Goal, OURS};
use super::result::{Column, Row};
use super::runner::Programs;
use crate::markdown::{dash, line, table_head};
use crate::numbers::{count, short};

/// All tables, and notes on what is missing in them. `columns` are those of the peers.
pub fn report(rows: &[Row], columns: &[&str], programs: &Programs) -> String {
    let missing = programs.missing();
    let mut notes: Vec<String> = missing
        .map(|(name, why)| format!("without {name}: {why}"))
        .collect();
    notes.extend(rows.iter().flat_map(notes_of));
    let mut columns: Vec<&str> = columns.to_vec();
    columns.retain(|name| rows.iter().any(|row| row.column(name).is_some()));

    let mut text = medians(rows, &columns);
    columns.insert(0, OURS);
    text += &grid(
        "Spread: half of (highest - lowest) / median",
        rows,
        &columns,
        |column| column.spread().map(percent),
    );
    text += &grid(
        "CPU time of all threads, ns an operation",
        rows,
        &columns,
        |column| column.cpu_per_op().map(short),
    );
    text += &parked(rows);
    if !notes.is_empty() {
        text += "\n### Notes\n\n";
        for note in notes {
            text += &format!("- {note}\n");
        }
    }
    text
}

/// The table that says it all; of spread and CPU time only ours.
fn medians(rows: &[Row], columns: &[&str]) -> String {
    let mut heads = vec!["workload", OURS];
    heads.extend(columns);
    heads.extend(["ours / peer", "target", "met", "spread", "CPU ns"]);
    let mut text = table_head("Median ns an operation", &heads);
    for row in rows {
        let ours = row.column(OURS);
        let mut cells = vec![row.workload.name.to_string(), time(ours)];
        cells.extend(columns.iter().map(|name| time(row.column(name))));
        cells.extend(verdicts(row));
        cells.push(dash(ours.and_then(Column::spread).map(percent)));
        cells.push(dash(ours.and_then(Column::cpu_per_op).map(short)));
        text += &line(&cells);
    }
    text
}

/// What is reached, what is to be, and whether it is.
fn verdicts(row: &Row) -> [String; 3] {
    let mut cells = [Vec::new(), Vec::new(), Vec::new()];
    for goal in super::plan::goals(row.workload.name) {
        let reached = row.reached(goal);
        let (reached, target) = match goal {
            Goal::Ratio(peer, most) => (
                reached.map(|ratio| format!("{ratio:.2} {peer}")),
                format!("≤ {most} {peer}"),
            ),
            Goal::SpeedUp(least) => (
                reached
                    .map(|speedup| format!("speed-up {speedup:.3} at least{}", least_of_go(row))),
                format!("speed-up ≥ {least}"),
            ),
        };
        let met = row.is_met(goal).map(|met| if met { "yes" } else { "no" });
        cells[0].push(dash(reached));
        cells[1].push(target);
        cells[2].push(dash(met.map(String::from)));
    }
    cells.map(|parts| parts.join("; "))
}

/// What the machine let Go have in its worst run.
fn least_of_go(row: &Row) -> String {
    let speedup = row.column("go").and_then(|go| go.least("speedup"));
    speedup.map_or(String::new(), |speedup| format!(" (go {speedup:.3})"))
}

fn time(column: Option<&Column>) -> String {
    // Not run: the peer has no such workload, or is not there at all.
    let Some(column) = column else {
        return String::new();
    };
    match column.ns() {
        _ if column.failure.is_some() => "fail".into(),
        Some(ns) if column.is_void() => format!("{} (void)", short(ns)),
        ns => dash(ns.map(short)),
    }
}

fn grid(
    title: &str,
    rows: &[Row],
    columns: &[&str],
    cell: impl Fn(&Column) -> Option<String>,
) -> String {
    let heads: Vec<&str> = ["workload"].iter().chain(columns).copied().collect();
    let mut text = table_head(title, &heads);
    for row in rows {
        let mut cells = vec![row.workload.name.to_string()];
        cells.extend(columns.iter().map(|name| {
            let column = row.column(name);
            column.map_or(String::new(), |column| dash(cell(column)))
        }));
        text += &line(&cells);
    }
    text
}

/// What parked goroutines, or what stands for them, take.
fn parked(rows: &[Row]) -> String {
    let Some(row) = rows.iter().find(|row| row.workload.name == "parked16k") else {
        return String::new();
    };
    let mut text = table_head(
        "parked16k: 16,000 wait for one channel, which is closed",
        &["program", "create, ns each", "wake, ns each"],
    );
    for column in &row.columns {
        let field = |key| dash(column.field(key).map(short));
        text += &line(&[column.name.into(), field("create_ns"), field("wake_ns")]);
    }
    text
}

fn notes_of(row: &Row) -> Vec<String> {
    let mut notes = Vec::new();
    for column in &row.columns {
        let place = format!("{}, {}", row.workload.name, column.name);
        if let Some(why) = &column.failure {
            notes.push(format!("{place}: {why}"));
        }
        if column.is_void() {
            let lost: Vec<String> = column.lost().into_iter().map(count).collect();
            let ops = column.runs.first().map_or(0.0, |(_, run)| run.ops);
            let (lost, ops) = (lost.join("; "), count(ops));
            notes.push(format!("{place}: void, messages lost: {lost} of {ops}"));
        }
    }
    notes
}

fn percent(part: f64) -> String {
    format!("±{part:.0}%")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::result::tests::{column, figure, row};

    #[test]
    fn a_row_has_times_ratio_target_and_verdict() {
        let rows = [row(
            "ring",
            vec![
                column(OURS, &[60.0, 61.0, 62.0]),
                column("tokio-kanal", &[120.0, 122.0, 124.0]),
            ],
        )];
        assert_eq!(
            medians(&rows, &["go", "tokio-kanal"]),
            "\n### Median ns an operation\n\n\
             | workload | ours | go | tokio-kanal | ours / peer | target | met | spread | CPU ns \
             |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n\
             | ring | 61.0 |  | 122 | 0.50 tokio-kanal | ≤ 0.6 tokio-kanal | yes | ±2% | 2,000 |\n"
        );
    }

    #[test]
    fn two_targets_share_a_row() {
        let columns = vec![
            column(OURS, &[20.0]),
            column("go", &[30.0]),
            column("tokio-kanal", &[25.0]),
        ];
        let cells = verdicts(&row("spsc128", columns));
        assert_eq!(cells[0], "0.67 go; 0.80 tokio-kanal");
        assert_eq!(cells[2], "no; yes");
    }

    #[test]
    fn what_failed_what_is_void_and_what_is_missing() {
        let mut go = column("go", &[1.0]);
        go.failure = Some("exit status: 3".into());
        let mut kanal = column("tokio-kanal", &[]);
        kanal.runs.push((0, figure(141.0, &[("lost", 139_300.0)])));
        let row = row("select3", vec![column(OURS, &[]), go, kanal]);
        let cells: Vec<String> = row.columns.iter().map(|c| time(Some(c))).collect();
        assert_eq!(cells, ["-", "fail", "141 (void)"]);
        assert_eq!(time(None), "");
        assert_eq!(verdicts(&row), ["-", "≤ 0.5 go", "-"]);
        assert_eq!(
            notes_of(&row),
            [
                "select3, go: exit status: 3",
                "select3, tokio-kanal: void, messages lost: 139,300 of 1,000"
            ]
        );
    }
}
