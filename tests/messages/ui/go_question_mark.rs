use go_runtime::go;

fn parse(text: &str) -> Result<i32, std::num::ParseIntError> {
    go!(text.parse::<i32>()?);
    Ok(1)
}

fn main() {
    let _ = parse("1");
}
