//! Reads the public items from the tokens of the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Group, TokenStream, TokenTree};

use crate::tokens::{Tokens, after, body, is_sign, last_name, names, text};

/// The keywords of named items.
const KINDS: [&str; 8] = [
    "struct", "enum", "trait", "fn", "const", "static", "type", "mod",
];

/// The attributes that the list shows.
const SHOWN: [&str; 4] = ["cfg", "derive", "non_exhaustive", "macro_export"];

/// Returns a line for each public item.
pub(crate) fn public_items(sources: &Path) -> BTreeSet<String> {
    let library = fs::read_to_string(sources.join("lib.rs")).unwrap();
    let mut list = List::default();
    // An item may come before the `pub use` that exports it, and an `impl` before its type: so each
    // round uses the names that the round before has found.
    for _ in 0..3 {
        list.items.clear();
        for file in files(sources) {
            let path = file.strip_prefix(sources).unwrap().with_extension("");
            let names: Vec<_> = path.iter().map(|name| name.to_str().unwrap()).collect();
            let is_public = library.contains(&format!("\npub mod {};", names[0]));
            let place = Place {
                module: if is_public { names[0] } else { "go_runtime" },
                owner: "",
                exports: match names[..] {
                    [_] | [_, "mod"] => is_public || names == ["lib"],
                    [.., name] => list.globs.contains(name),
                    [] => false,
                },
            };
            list.items(fs::read_to_string(file).unwrap().parse().unwrap(), place);
        }
    }
    list.items
}

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        return Vec::from_iter(is_source.then(|| path.to_owned()));
    }
    let entries = fs::read_dir(path).unwrap();
    entries
        .flat_map(|entry| files(&entry.unwrap().path()))
        .collect()
}

/// The surroundings of an item.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The name of its public module.
    module: &'a str,
    /// The `impl`, the trait or the macro that contains the item.
    owner: &'a str,
    /// Whether the file is that of a public module, so that its items and `pub use`s are public.
    exports: bool,
}

impl Place<'_> {
    fn path(self, name: &str) -> String {
        format!("{}::{name}", self.module)
    }
}

#[derive(Default)]
struct List {
    items: BTreeSet<String>,
    /// Names that a public `pub use` exports.
    exported: BTreeSet<String>,
    /// Names of the files that a public `pub use file::*` exports.
    globs: BTreeSet<String>,
    /// Paths of the public types and traits, and names of the macros that define public items.
    known: BTreeSet<String>,
    private_traits: BTreeSet<String>,
}

impl List {
    fn items(&mut self, tokens: TokenStream, place: Place) {
        let mut item = Vec::new();
        for token in tokens {
            let ends = match &token {
                // `$(...)*` in a macro.
                TokenTree::Group(inner) if matches!(&item[..], [it] if is_sign(it, '$')) => {
                    self.items(inner.stream(), place);
                    item.clear();
                    continue;
                }
                TokenTree::Group(_) => body(&token).is_some() && after(&item, "use").is_none(),
                _ => is_sign(&token, ';'),
            };
            item.push(token);
            if ends {
                self.item(&item, place);
                item.clear();
            }
        }
    }

    fn items_of(&mut self, owner: &str, group: &Group, place: Place) {
        self.items(group.stream(), Place { owner, ..place });
    }

    fn item(&mut self, item: &Tokens, place: Place) -> Option<()> {
        let (attributes, item) = take_attributes(item)?;
        let shown = match item {
            [_, sign, _, ..] if is_sign(sign, '!') => match attributes.contains("macro_export") {
                true => &item[..3],
                false => self.of_macro(item, place)?,
            },
            _ => self.shown(item, place)?,
        };
        let (Place { module, owner, .. }, text) = (place, text(shown));
        let separator = if owner.is_empty() { "" } else { ": " };
        let line = format!("{module}: {owner}{separator}{attributes}{text}");
        self.items.insert(line).then_some(())
    }

    /// Reads the definition of a macro, or returns a use that defines public items.
    fn of_macro<'a>(&mut self, item: &'a Tokens, place: Place) -> Option<&'a Tokens> {
        match &item[2] {
            TokenTree::Ident(defined) => {
                let before = self.items.len();
                let rules = item.get(3).and_then(body)?.stream().into_iter();
                for rule in rules.filter_map(|rule| body(&rule).cloned()) {
                    self.items_of(&format!("macro {defined}!"), &rule, place);
                }
                let is_known = self.items.len() > before;
                self.known.extend(is_known.then(|| format!("{defined}!")));
            }
            // The arguments may be items, as those of `const_fn!` are.
            TokenTree::Group(group) => self.items_of(place.owner, group, place),
            _ => {}
        }
        self.known
            .contains(&format!("{}!", item[0]))
            .then_some(item)
    }

    /// Returns the part of an item that the list shows, if the item is public.
    fn shown<'a>(&mut self, item: &'a Tokens, place: Place) -> Option<&'a Tokens> {
        let (last, head) = item.split_last()?;
        let body = body(last);
        let has = |word| after(head, word).is_some();
        let is_public = place.owner.starts_with("trait")
            || matches!(head, [TokenTree::Ident(word), TokenTree::Ident(_), ..] if word == "pub");
        if has("impl") && !has("fn") {
            return self.is_shown_impl(head, body, place).then_some(head);
        }
        if has("use") {
            let shown = (is_public && place.exports).then_some(head)?;
            self.exported.extend(names(shown));
            if text(shown).ends_with("::*") {
                self.globs.extend(names(shown).pop());
            }
            return Some(shown);
        }
        let (kind, name) = KINDS
            .iter()
            .find_map(|kind| Some((*kind, after(head, kind)?)))?;
        let is_type = matches!(kind, "struct" | "enum" | "trait");
        let is_member = name == "$" || !place.owner.is_empty() && !is_type && kind != "mod";
        if !is_public || !(is_member || place.exports || self.exported.contains(&name)) {
            self.private_traits
                .extend((kind == "trait").then_some(name));
            return None;
        }
        if let (Some(body), "trait") = (body, kind) {
            self.items_of(&format!("trait {name}"), body, place);
        }
        self.known.extend(is_type.then(|| place.path(&name)));
        let fields = body.map_or_else(Vec::new, |body| body.stream().into_iter().collect());
        let has_fields = after(&fields, "pub").is_some_and(|next| !next.starts_with('('));
        let is_tuple = |token: &TokenTree| matches!(token, TokenTree::Group(_));
        match (kind, body) {
            ("struct", None) => Some(&head[..head.iter().position(is_tuple).unwrap_or(head.len())]),
            ("struct", _) if has_fields => Some(item),
            ("enum", _) => Some(item),
            _ => Some(head),
        }
    }

    /// Reads an `impl`, and returns whether the list shows it, as it does for implementations of
    /// traits.
    fn is_shown_impl(&mut self, head: &Tokens, body: Option<&Group>, place: Place) -> bool {
        let head = text(head);
        let (of_trait, of_type) = head.split_once(" for ").unwrap_or(("", &head));
        let (of_trait, of_type) = (last_name(of_trait), last_name(of_type));
        let is_ours =
            ["OwnedFd", "Stdio"].contains(&&*of_type) || self.known.contains(&place.path(&of_type));
        if !is_ours && !of_type.contains('$') || self.private_traits.contains(&of_trait) {
            return false;
        }
        if let (Some(body), true) = (body, of_trait.is_empty()) {
            self.items_of(format!("{} {head}", place.owner).trim(), body, place);
        }
        !of_trait.is_empty()
    }
}

/// Splits off the attributes, and returns those that the list shows, or `None` for a hidden item.
fn take_attributes(mut item: &Tokens) -> Option<(String, &Tokens)> {
    let mut shown = String::new();
    // A sign without a group is the `*` after `$(...)`, or the `!` of an inner attribute.
    while let [TokenTree::Punct(_), rest @ ..] = item {
        item = rest;
        if let [TokenTree::Group(group), rest @ ..] = item {
            item = rest;
            let tokens: Vec<_> = group.stream().into_iter().collect();
            let words = names(&tokens);
            match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["doc", "hidden"] | ["cfg", "test" | "doctest"] => return None,
                // The list leaves out the reason.
                ["must_use"] => shown += "#[must_use] ",
                [name, ..] if SHOWN.contains(&name) => shown += &format!("#[{}] ", text(&tokens)),
                _ => {}
            }
        }
    }
    Some((shown, item))
}
