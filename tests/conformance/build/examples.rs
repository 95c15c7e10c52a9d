//! The examples in the documentation, each as the documentation of a struct, so that rustdoc runs it.

use std::fmt::Write;

use crate::{names, Source};

/// An example that cannot apply to our channels: its file, what it is about, and why.
type LeftOut = (&'static str, &'static str, &'static str);

const NOT_FOR_US: &[LeftOut] = &[];

/// A module for each file that has examples.
pub(crate) fn extract(sources: &[Source]) -> String {
    let mut all = String::new();
    for source in sources {
        let module = of_file(source);
        if !module.is_empty() {
            write!(all, "mod {} {{\n{module}}}\n", source.name).expect("strings can be written");
        }
    }
    for (file, item, _) in NOT_FOR_US {
        let exists = all.contains(&format!("{item}_line_"));
        assert!(exists, "{file}.rs has no example of {item} to leave out");
    }
    all
}

/// A struct for each example, named for what it is about.
fn of_file(source: &Source) -> String {
    let mut structs = String::new();
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
                let left_out = NOT_FOR_US
                    .iter()
                    .find(|example| (example.0, example.1) == (&source.name, item));
                let text = match left_out {
                    Some(_) => text.replacen("```", "```ignore", 1),
                    None => text,
                };
                let text = names::channels(&text);
                writeln!(
                    structs,
                    "#[doc = {text:?}]\nstruct {item}_line_{number};"
                )
                .expect("strings can be written");
            }
        }
    }
    structs
}

/// The name in the first line of an item, which is none for the documentation of the crate.
fn item_name(line: &str) -> Option<&str> {
    let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '!');
    words.find(|word| ["fn", "struct", "enum", "trait", "macro_rules!"].contains(word))?;
    words.find(|word| !word.is_empty())
}
