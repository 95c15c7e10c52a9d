use std::rc::Rc;

use go_runtime::go;

fn main() {
    let _ = go!(Rc::new(1)).join();
}
