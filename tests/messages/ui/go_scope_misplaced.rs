use go_runtime::{go, scope};

fn main() {
    scope(|s| {
        go!(name = "x", s; f());
    });
    scope(|s| {
        go!(s; name = "x"; f());
    });
    scope(|s| {
        go!(s, f());
    });
}

fn f() {}
