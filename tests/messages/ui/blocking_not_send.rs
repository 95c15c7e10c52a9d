use std::cell::RefCell;
use std::rc::Rc;

use go_runtime::blocking;

fn main() {
    let log = RefCell::new(String::new());
    blocking(|| log.borrow_mut().push('x'));
}

fn moves() {
    let shared = Rc::new(1);
    blocking(move || drop(shared));
}
