use go_runtime::{go, scope};

fn main() {
    go!(thread, local; f());
    go!(local, name = "x", thread; f());
    go!(thread = true; f());
    go!(thread { f() });
    go!(thread, thread; f());
    scope(|s| {
        go!(s; thread; f());
    });
    scope(|s| {
        go!(thread, s; f());
    });
}

fn f() {}
