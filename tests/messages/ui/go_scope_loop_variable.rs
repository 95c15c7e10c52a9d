use go_runtime::{go, scope};

fn main() {
    let total = std::sync::Mutex::new(0);
    scope(|s| {
        for n in 0..10 {
            go!(s; { *total.lock().unwrap() += n });
        }
    });
}
