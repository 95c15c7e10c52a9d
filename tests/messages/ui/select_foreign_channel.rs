use go_runtime::select;

fn main() {
    let (_tx, rx) = std::sync::mpsc::channel::<i32>();
    select! { recv(rx) -> _ => {} }
}
