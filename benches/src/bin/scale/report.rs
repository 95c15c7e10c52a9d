//! The results as Markdown.

use go_benches::figures::Figures;
use go_benches::markdown::{dash, line, table_head};
use go_benches::numbers::{count, short};

use crate::Row;

pub(crate) fn report(rows: &[Row], sizes: &[usize]) -> String {
    let mut text = table(
        "CPU time of all threads, ns an operation",
        rows.iter(),
        sizes,
        "cpu_ns",
    );
    // Timers take as long as they are told to.
    let mut rates = rows
        .iter()
        .filter(|row| row.operation.name != "timers")
        .peekable();
    if rates.peek().is_some() {
        let title = "Time, ns an operation of all workers together";
        text += &table(title, rates, sizes, "ns");
    }
    text += "\n";
    for Row { operation, .. } in rows {
        text += &format!("- {}: {}\n", operation.name, operation.what);
    }
    if rows.iter().any(|row| row.operation.name == "spawn") {
        text += "\nOf spawn the first column is beside none.\n";
    }
    if let Some(row) = rows.iter().find(|row| row.operation.name == "timers") {
        text += "\nWhere timers are late by more than they sleep, more of them end than the \
                 workers can serve.\n";
        text += &lateness(row);
    }
    text
}

fn table<'a>(
    title: &str,
    rows: impl Iterator<Item = &'a Row>,
    sizes: &[usize],
    key: &str,
) -> String {
    let names: Vec<String> = sizes.iter().map(|&n| count(n as f64)).collect();
    let mut heads = vec!["goroutines"];
    heads.extend(names.iter().map(String::as_str));
    heads.push("most / least");
    let mut text = table_head(title, &heads);
    for row in rows {
        let figures: Vec<f64> = row.points.iter().map(|(_, f)| f.get(key)).collect();
        let mut cells = vec![row.operation.name.to_string()];
        cells.extend(figures.iter().map(|ns| short(*ns)));
        cells.push(dash(spread(&figures).map(|times| format!("{times:.2}"))));
        text += &line(&cells);
    }
    text
}

fn spread(figures: &[f64]) -> Option<f64> {
    let least = figures.iter().copied().reduce(f64::min)?;
    let most = figures.iter().copied().reduce(f64::max)?;
    Some(most / least)
}

fn lateness(row: &Row) -> String {
    let heads = ["goroutines", "mean", "99 % are not later than"];
    let mut text = table_head("How late timers fire, µs", &heads);
    for (n, figures) in &row.points {
        let cell = |key| short(Figures::get(figures, key));
        text += &line(&[count(*n as f64), cell("late_us"), cell("late_p99_us")]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_from_the_least_to_the_most() {
        assert_eq!(spread(&[4.0, 2.0, 3.0]), Some(2.0));
        assert_eq!(spread(&[]), None);
    }
}
