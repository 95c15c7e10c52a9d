#![allow(unused_imports)]
use go_runtime::channel::bounded;
use go_runtime::{go, golang, select};

fn main() {
    golang! { let _ = go!< f() > y; g() > ; }
}
