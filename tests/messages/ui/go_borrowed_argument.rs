use go_runtime::channel::unbounded;
use go_runtime::go;

fn twice(numbers: &[i32]) -> i32 {
    numbers.iter().map(|n| 2 * n).sum()
}

fn main() {
    let (_tx, rx) = unbounded::<i32>();
    let _ = go! { rx.iter().count() };
    let numbers = vec![1];
    go!(twice(&numbers));
}
