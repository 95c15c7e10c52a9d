#[go_runtime::main]
async fn main() {}
