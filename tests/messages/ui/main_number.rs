#[go_runtime::main(2)]
fn main() {}
