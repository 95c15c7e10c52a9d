//! The macros find the runtime under any name that the user gives it, and through other crates.
//! `#[main]` is an attribute without `$crate`, so its argument gives the name.

use std::process::Command;

/// Uses of the macros without the name `go_runtime`.
mod renamed {
    use goroutines::channel::{bounded, unbounded};
    use goroutines::{go, golang, select, select_biased};

    fn add(a: i32, b: i32) -> i32 {
        a + b
    }

    #[test]
    fn go_in_all_forms() {
        let n = 1;
        assert_eq!(go!(add(n, 2)).join().unwrap(), 3);
        assert_eq!(go!(clone(n) { n + 1 }).join().unwrap(), 2);
        assert_eq!(go!(move || n).join().unwrap(), 1);
        assert_eq!(
            go!(name = "x", stack_size = 1 << 16; { n }).join().unwrap(),
            1
        );
        assert_eq!(
            go!({ go!(local; { 5 }).join().unwrap() }).join().unwrap(),
            5
        );
        assert_eq!(golang! { go!<add(3, 4)> }.join().unwrap(), 7);
        let sum = goroutines::scope(|s| {
            let named = go!(s, name = "x"; clone(n) { n + 1 });
            go!(s; clone(n) { n }).join().unwrap() + named.join().unwrap()
        });
        assert_eq!(sum, 3);
    }

    #[test]
    fn select_in_all_forms() {
        let (tx, rx) = unbounded();
        let (full, _rx) = bounded::<i32>(0);
        select! {
            tx <- 1 => {}
            n = <-rx => panic!("{n:?}"),
        }
        let got = select! {
            recv(rx) -> n => n,
            send(full, 2) -> sent => panic!("{sent:?}"),
        };
        assert_eq!(got, Ok(1));
        let late = select_biased! {
            recv(rx) -> n => panic!("{n:?}"),
            default(std::time::Duration::from_millis(1)) => true,
        };
        assert!(late);
    }
}

/// Uses of the macros through a crate that re-exports them.
mod reexported {
    use framework::go_runtime::channel::unbounded;

    #[test]
    fn go_and_select() {
        let (tx, rx) = unbounded();
        framework::go!(tx.send(1)).join().unwrap().unwrap();
        let n = framework::select! { recv(rx) -> n => n };
        assert_eq!(n, Ok(1));
        let n = framework::select_biased! { recv(rx) -> n => n.ok(), default => None };
        assert_eq!(n, None);
        let n = framework::golang! { go!<drop(go!<drop(String::new())>)> }.join();
        assert!(n.is_ok());
    }

    #[test]
    fn inside_a_macro_of_that_crate() {
        let (a, b) = framework::twice!(let n = 20; n + 1);
        assert_eq!(a.join().unwrap() + b.join().unwrap(), 42);
    }

    #[framework::main(crate = framework::go_runtime)]
    fn another_main() -> Result<(), String> {
        Err("as a goroutine".into())
    }

    #[test]
    fn main_with_a_path() {
        // `main` turns the result of the function into an exit code.
        let _code: std::process::ExitCode = another_main();
    }
}

#[test]
fn main_of_a_renamed_runtime() {
    let output = Command::new(env!("CARGO_BIN_EXE_go-tests-renamed"))
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Ok(42)\n");
}
