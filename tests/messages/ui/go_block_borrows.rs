use go_runtime::go;

fn main() {
    let text = String::from("text");
    let borrowed = &text;
    go! {
        println!("{borrowed}");
    };
}
