use go_runtime::channel::unbounded;
use go_runtime::select;

fn main() {
    let (_tx, rx) = unbounded::<i32>();
    select! { case v := <-rx => {} }
    select! { v, ok = <-rx => {} }
}
