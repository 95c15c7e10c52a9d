//! Extracts the examples of the documentation. Each becomes the documentation of a function, so
//! that rustdoc runs it under its own name.

use std::fmt::Write;

use crate::{Source, names};

/// Returns a module for each file that has examples.
pub(crate) fn extract(sources: &[Source]) -> String {
    let mut all = String::new();
    for source in sources {
        let module = of_file(source);
        if !module.is_empty() {
            write!(all, "mod {} {{\n{module}}}\n", source.name).expect("strings can be written");
        }
    }
    all
}

/// Returns a function for each example, named after its item and the line where it begins.
fn of_file(source: &Source) -> String {
    let mut functions = String::new();
    // Examples whose item has not been reached yet: the line where they begin, and their lines.
    let mut examples: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    for (number, line) in (1..).zip(source.text.lines()) {
        let line = line.trim_start();
        let comment = line.strip_prefix("///").or(line.strip_prefix("//!"));
        if let Some(comment) = comment {
            let comment = comment.strip_prefix(' ').unwrap_or(comment);
            let fence = comment.starts_with("```");
            if fence && !inside {
                examples.push((number, String::new()));
            }
            if let Some((_, text)) = examples.last_mut().filter(|_| fence || inside) {
                *text += comment;
                text.push('\n');
            }
            inside ^= fence;
        } else if !line.starts_with("#[") {
            for (number, text) in examples.drain(..) {
                let item = item_name(line).unwrap_or("crate");
                let text = names::channels(&text);
                writeln!(
                    functions,
                    "#[doc = {text:?}]\nfn {item}_line_{number}() {{}}"
                )
                .expect("strings can be written");
            }
        }
    }
    functions
}

/// Returns the name in the first line of an item. The documentation of the crate has none.
fn item_name(line: &str) -> Option<&str> {
    let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '!');
    words.find(|word| ["fn", "struct", "enum", "trait", "macro_rules!"].contains(word))?;
    words.find(|word| !word.is_empty())
}
