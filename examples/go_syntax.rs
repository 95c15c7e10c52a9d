//! `golang!`: inside it, `go!< ... >` is another way to write `go! { ... }`.
//!
//! ```sh
//! cargo run --release --example go_syntax
//! ```

use go_runtime::{channel, golang};

golang! {
    fn square(n: u64) -> u64 {
        n * n
    }

    fn parse<T: std::str::FromStr>(text: &str) -> Option<T> {
        text.parse().ok()
    }

    /// Prints the goroutines' results in the order in which they were started.
    fn report<T: std::fmt::Debug>(what: &str, result: std::thread::Result<T>) {
        match result {
            Ok(value) => println!("{what}: {value:?}"),
            Err(_) => println!("{what}: it panicked"),
        }
    }

    #[go_runtime::main]
    fn main() {
        // A block.
        let (tx, rx) = channel::bounded(0);
        go!<
            for n in 1..=3 {
                let _ = tx.send(n);
            }
        >;
        println!("a block sends: {:?}", rx.iter().collect::<Vec<i32>>());

        // A call: 3 + 4 is computed at once, the square in the goroutine.
        let call = go!<square(3 + 4)>;
        report("a call", call.join());

        // A closure.
        let greeting = String::from("hello");
        let closure = go!<move || greeting.len()>;
        report("a closure", closure.join());

        // Goroutines in goroutines: `>>` closes both.
        let nested = go!<go!<square(5)>.join()>;
        report("nested", nested.join().and_then(|inner| inner));
        go!<go!<square(6)>>;

        // In parentheses `>` compares.
        let (a, b) = (2, 1);
        let comparison = go!<
            println!("comparing");
            (a > b) && (b > 0)
        >;
        report("a comparison", comparison.join());

        // A turbofish, and the arrows of types and matches.
        let turbofish = go!<parse::<u64>("42")>;
        report("a turbofish", turbofish.join());
        let typed = go!<
            let list: Vec<Option<u8>> = vec![parse::<u8>("7"), parse("300")];
            match list.first() {
                Some(Some(n)) if *n >= 7 => "seven or more",
                _ => "less",
            }
        >;
        report("types and matches", typed.join());

        // The options and the clones of `go!`.
        let options = go!<name = "named", stack_size = 1 << 16; square(8)>;
        report("options", options.join());
        let (tx, rx) = channel::unbounded();
        for i in 0..3 {
            go!<clone(tx) { let _ = tx.send(square(i)); }>;
        }
        drop(tx);
        println!("clones send: {}", rx.iter().sum::<u64>());
    }
}
