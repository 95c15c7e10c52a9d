//! Options without commas between them, without `=`, without `;`, with `clone(...)` among them.

use go_runtime::{go, scope};

fn main() {
    go!(thread name = "db"; f());
    go!(name = "db" thread; f());
    go!(name "db"; f());
    go!(thread, name "db"; f());
    go!(name name(); f());
    go!(thread);
    go!(local);
    go!(thread f());
    let v = vec![1];
    go!(thread, clone(v); { drop(v) });
    go!(name = "db", clone(v) { drop(v) });
    scope(|s| {
        go!(s, thread name = "db"; f());
        go!(s, clone(v); { drop(v) });
    });
}

fn f() {}

fn name() -> &'static str {
    "db"
}
