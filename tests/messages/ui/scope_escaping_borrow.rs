use go_runtime::scope;

fn main() {
    let mut escaped = None;
    scope(|s| {
        let inside = String::from("inside");
        s.spawn(|| inside.len());
        escaped = Some(s.spawn(|| 1));
    });
    drop(escaped);
}
