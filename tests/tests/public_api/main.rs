//! The public interface of `go-runtime` as a list, so that each change to it shows in the diff.
//!
//! `public-api.txt` has a line for each public item and each implementation of a trait: the name of
//! the public module, and the text of the source. Three rules decide what the list contains:
//!
//! - `pub` means public: the workspace's lint `unreachable_pub` upholds that.
//! - An item that a `macro_rules` macro of the crate defines is listed once, under the macro's
//!   name, and each use of the macro has a line of its own.
//! - Items with `#[doc(hidden)]` are left out, and so are items that only `__private` exports.

mod items;
mod tokens;

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

#[test]
fn the_list_of_public_items_is_up_to_date() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = items::public_items(&tests.join("../go-runtime/src"));
    let file = tests.join("public-api.txt");
    if env::var_os("UPDATE_API").is_some() {
        let lines: String = found.iter().map(|item| format!("{item}\n")).collect();
        fs::write(&file, lines).unwrap();
    }
    let listed = fs::read_to_string(&file).unwrap();
    let listed: BTreeSet<_> = listed.lines().map(str::to_owned).collect();
    let removed = listed.difference(&found).map(|item| format!("- {item}\n"));
    let added = found.difference(&listed).map(|item| format!("+ {item}\n"));
    let changes: String = removed.chain(added).collect();
    assert!(
        changes.is_empty(),
        "the public interface has changed. If that is intended, renew the list:\n\
         UPDATE_API=1 cargo test -p go-tests --test public_api\n{changes}"
    );
}
