//! Tables as Markdown.

/// What comes before the lines. The first column holds names, the others numbers.
pub fn table_head(title: &str, heads: &[&str]) -> String {
    let aligned = "---:|".repeat(heads.len() - 1);
    format!(
        "\n### {title}\n\n| {} |\n|---|{aligned}\n",
        heads.join(" | ")
    )
}

pub fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

pub fn dash(cell: Option<String>) -> String {
    cell.unwrap_or_else(|| "-".into())
}
