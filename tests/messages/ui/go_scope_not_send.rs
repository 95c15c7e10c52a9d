use std::rc::Rc;

use go_runtime::{go, scope};

fn main() {
    let count = Rc::new(1);
    scope(|s| {
        go!(s; { println!("{count}") });
        go!(s; clone(count) { println!("{count}") });
        go!(s; f(count));
    });
}

fn f(_: Rc<i32>) {}
