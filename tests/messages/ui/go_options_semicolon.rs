use go_runtime::go;

fn main() {
    go!(name = "x"; stack_size = 1 << 20; f());
    go!(name = "x"; thread; f());
}

fn f() {}
