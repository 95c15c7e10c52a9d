//! The examples in the documentation, each as the documentation of a function, so that rustdoc runs
//! it under a name of its own.

use std::fmt::Write;

use crate::{Source, names};

/// A module for each file that has examples.
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

/// A function for each example, named for what it is about and for the line where it begins.
fn of_file(source: &Source) -> String {
    let mut functions = String::new();
    // Examples whose item has not been reached: the line where they begin, and their lines.
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

/// The name in the first line of an item, which is none for the documentation of the crate.
fn item_name(line: &str) -> Option<&str> {
    let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '!');
    words.find(|word| ["fn", "struct", "enum", "trait", "macro_rules!"].contains(word))?;
    words.find(|word| !word.is_empty())
}
