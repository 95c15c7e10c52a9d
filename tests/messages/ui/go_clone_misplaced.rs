use go_runtime::channel::unbounded;
use go_runtime::go;

fn main() {
    let (tx, _rx) = unbounded::<i32>();
    go!(clone(tx) move || tx.send(1));
}
