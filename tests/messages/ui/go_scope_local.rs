use go_runtime::{go, scope};

fn main() {
    scope(|s| {
        go!(local, s; f());
    });
    scope(|s| {
        go!(s, local; f());
    });
    scope(|s| {
        go!(s; local; f());
    });
}

fn f() {}
