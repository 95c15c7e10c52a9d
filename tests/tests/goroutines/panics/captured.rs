//! libtest captures the output of a test. The output of goroutines belongs to no test, so it is
//! shown.

use std::env;
use std::process::Command;

use go_runtime::{blocking, go};

use go_tests::support;

/// Starts the runtime, prints, and passes.
#[test]
#[ignore = "run by what_goroutines_print_is_shown"]
fn prints() {
    println!("printed by the test");
    let failed = go! {
        println!("printed by a goroutine");
        panic!("said by a panic");
    };
    failed.join().unwrap_err();
    go!(thread; println!("printed on a thread of its own"))
        .join()
        .unwrap();
    go!({ blocking(|| println!("printed in blocking")) })
        .join()
        .unwrap();
}

#[test]
fn what_goroutines_print_is_shown() {
    let output = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            &support::full_name("captured::prints"),
            "--ignored",
        ])
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{out}{err}");
    for line in [
        "printed by a goroutine",
        "printed on a thread of its own",
        "printed in blocking",
    ] {
        assert!(out.contains(line), "{line}: {out}{err}");
    }
    assert!(err.contains("said by a panic"), "{out}{err}");
    assert!(!out.contains("printed by the test"), "{out}{err}");
}
