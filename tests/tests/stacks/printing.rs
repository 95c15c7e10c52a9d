//! std's own code that needs much stack.

use super::*;

/// A value nested as deeply as real ones that are printed.
#[derive(Debug)]
#[expect(dead_code, reason = "printed only")]
enum Tree {
    Leaf(f64),
    Node { name: String, below: Vec<Tree> },
}

impl Tree {
    fn new(depth: usize) -> Tree {
        if depth == 0 {
            return Tree::Leaf(0.1);
        }
        Tree::Node {
            name: format!("level {depth:>5}"),
            below: vec![Tree::new(depth - 1), Tree::Leaf(depth as f64)],
        }
    }
}

fn print(value: &impl Debug) -> usize {
    println!("{value:?}");
    let (plain, pretty) = (format!("{value:?}"), format!("{value:#?}"));
    assert!(plain.len() < pretty.len());
    plain.len()
}

#[test]
#[ignore = "run by printing_and_panics"]
fn prints() {
    assert!(go!({ print(&Tree::new(50)) }).join().unwrap() > 1000);
}

#[test]
#[ignore = "run by printing_and_panics, and others"]
fn panics() {
    let size: usize = std::env::var("SIZE").unwrap().parse().unwrap();
    let panicked = go!(name = "unlucky", stack_size = size; {
        let reason = black_box(7);
        panic!("reason {reason}");
    });
    let payload = panicked.join().unwrap_err();
    assert_eq!(payload.downcast_ref::<String>().unwrap(), "reason 7");
}

#[test]
fn printing_and_panics() {
    let ended = child::succeed("prints", &[]);
    assert!(ended.out.contains("level    50"), "{}", ended.all());
    for size in [DEFAULT, 32 * KIB] {
        let size = size.to_string();
        for (wanted, frames) in [("full", true), ("1", true), ("0", false)] {
            let ended = child::succeed("panics", &[("RUST_BACKTRACE", wanted), ("SIZE", &size)]);
            ended.says(&["goroutine 'unlucky'", "reason 7"]);
            assert_eq!(
                ended.err.contains("stack backtrace:"),
                frames,
                "{}",
                ended.all()
            );
        }
    }
}
