//! Settings in code, each test in a process of its own.

use std::process::ExitCode;

use go_runtime::{Config, go, gomaxprocs};

use go_tests::support::child;

#[test]
#[ignore = "run by settings"]
fn settings_win_over_variables() {
    // A wrong setting is reported, and the runtime can still be started afterwards.
    for (config, text) in [
        (Config::new().workers(0), "`workers` is 0"),
        (Config::new().stack_size(1), "`stack_size` is 1"),
        (
            Config::new().stack_size(1 << 20).blocking_threads(0),
            "`blocking_threads` is 0",
        ),
        (Config::new().workers(1), "GOSTACK=\"abc\""),
    ] {
        let error = config.start().unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.started_at().is_none());
    }
    let config = Config::new().workers(3).stack_size(1 << 20);
    config.clone().start().unwrap();
    let line = line!() - 1;
    assert_eq!(gomaxprocs(), 3);
    // The array is too large for the default stack of 256 KiB.
    assert_eq!(
        go!({ std::hint::black_box([1_u8; 500_000]).len() })
            .join()
            .unwrap(),
        500_000
    );
    for config in [config, Config::new()] {
        let error = config.start().unwrap_err();
        let at = error.started_at().unwrap();
        assert_eq!((at.file(), at.line()), (file!(), line));
        assert!(error.to_string().contains(&at.to_string()), "{error}");
    }
}

#[test]
#[ignore = "run by settings"]
fn variables_are_what_is_not_set() {
    Config::new().stack_size(64 << 10).start().unwrap();
    assert_eq!(gomaxprocs(), 7);
}

#[test]
#[ignore = "run by settings"]
fn too_late_for_settings() {
    go!({});
    let line = line!() - 1;
    let error = Config::new().workers(1).start().unwrap_err();
    let at = error.started_at().unwrap();
    assert_eq!((at.file(), at.line()), (file!(), line));
}

#[go_runtime::main(workers = 1 + 1, stack_size = 64 << 10, blocking_threads = 1)]
fn program() -> Result<(), String> {
    match gomaxprocs() {
        2 => Err(format!("{:?}", Config::new().start())),
        n => Err(format!("{n} workers")),
    }
}

#[go_runtime::main(workers = 3, stack_size = 64 << 10)]
fn with_other_workers() {}

#[go_runtime::main(workers = 2, stack_size = usize::MAX)]
fn with_another_stack_size() {}

#[test]
#[ignore = "run by settings"]
fn settings_of_main() {
    let failure = format!("{:?}", ExitCode::FAILURE);
    assert_eq!(format!("{:?}", program()), failure);
    // The runtime runs already, with these settings, so others are refused.
    assert_eq!(format!("{:?}", program()), failure);
    let refused = format!("{:?}", ExitCode::from(2));
    assert_eq!(format!("{:?}", with_other_workers()), refused);
    assert_eq!(format!("{:?}", with_another_stack_size()), refused);
}

#[test]
fn settings() {
    let bad = [("GOMAXPROCS", "7"), ("GOSTACK", "abc")];
    child::succeed("settings_win_over_variables", &bad);
    child::succeed("variables_are_what_is_not_set", &bad);
    child::succeed("too_late_for_settings", &[]);
    let ended = child::succeed("settings_of_main", &bad);
    ended.says(&[
        "has been started already, by the call at tests/tests/limits/settings.rs",
        "#[go_runtime::main(workers = 2)]",
    ]);
}
