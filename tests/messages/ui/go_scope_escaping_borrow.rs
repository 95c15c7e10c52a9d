use go_runtime::{go, scope};

fn main() {
    let mut escaped = None;
    scope(|s| {
        let inside = String::from("inside");
        go!(s; { inside.len() });
        go!(s; len(&inside));
        escaped = Some(go!(s; { 1 }));
    });
    drop(escaped);
}

fn len(text: &str) -> usize {
    text.len()
}
