use go_runtime::go;

fn main() {
    go!(stack_size = "1 MiB"; { 1 });
}
