//! Arms whose body is a block, but without the `=>` in front of it.

use go_runtime::channel::bounded;
use go_runtime::select;

fn main() {
    let (tx, rx) = bounded::<i32>(0);
    select! { recv(rx) -> v { println!("{v:?}"); } }
    select! {
        v = <-rx { println!("{v:?}"); }
        recv(rx) {}
        tx <- 1 { println!("sent"); }
        default { println!("none"); }
    }
}
