#[go_runtime::main]
fn main() -> i32 {
    5
}
