//! What `#[main]` expands to, and what it says about wrong functions.

use proc_macro2::TokenStream;

use super::expand;

#[track_caller]
fn becomes(arguments: &str, item: &str, expected: &str) {
    let tokens = expand(arguments.parse().unwrap(), item.parse().unwrap());
    let expected: TokenStream = expected.parse().unwrap();
    assert_eq!(tokens.to_string(), expected.to_string(), "{item}");
}

#[track_caller]
fn fails(arguments: &str, item: &str, message: &str) {
    let tokens = expand(arguments.parse().unwrap(), item.parse().unwrap()).to_string();
    assert!(tokens.contains("compile_error"), "{tokens}");
    assert!(tokens.contains(message), "{tokens}");
}

#[test]
fn wraps_the_function() {
    for path in ["crate = rt::go", "crate = \"rt::go\"", "crate = rt::go,"] {
        becomes(
            path,
            "#[doc = \"d\"] pub fn main() -> T { body }",
            "#[doc = \"d\"] pub fn main() -> ::std::process::ExitCode {
                fn __go_main() -> T { body }
                rt::go::__private::run_main(__go_main, rt::go::Config::new())
            }",
        );
    }
    becomes(
        "",
        "fn main() {}",
        "fn main() -> ::std::process::ExitCode {
            fn __go_main() {}
            ::go_runtime::__private::run_main(__go_main, ::go_runtime::Config::new())
        }",
    );
}

#[test]
fn settings() {
    becomes(
        "workers = 2, crate = rt, stack_size = 64 << 10, blocking_threads = N,",
        "fn main() {}",
        "fn main() -> ::std::process::ExitCode {
            fn __go_main() {}
            rt::__private::run_main(
                __go_main,
                rt::Config::new().workers(2).stack_size(64 << 10).blocking_threads(N)
            )
        }",
    );
    let fails = |arguments: &str, message| fails(arguments, "fn main() {}", message);
    fails(
        "worker = 2",
        "unknown argument `worker`: #[main] takes `workers`,",
    );
    fails(
        "2",
        "expected a setting: #[main] takes `workers`, `stack_size` and `blocking_threads`, each \
         with a number, and `crate = path`; write `workers = 2`",
    );
    fails("stack_size = 65536, 2", "write `workers = 2`");
    fails("\"2\"", "and `crate = path`\"");
    fails("0", "and `crate = path`\"");
    fails("workers", "expected a number: `workers = 1`");
    fails("workers = 2, workers = 3", "`workers` is given twice");
    for value in [
        "0",
        "1025",
        "-1",
        "1.5",
        "\"2\"",
        "true",
        "99999999999999999999",
    ] {
        let message = "`workers` has to be a whole number from 1 to 1024";
        fails(&format!("workers = {value}"), message);
    }
    fails("stack_size = 4096", "from 32768 to 1073741824");
    fails("blocking_threads = 32001", "from 1 to 32000");
}

#[test]
fn leaves_errors_in_the_body_to_rustc() {
    becomes(
        "crate = rt",
        "fn main() { let = }",
        "fn main() -> ::std::process::ExitCode {
            fn __go_main() { let = }
            rt::__private::run_main(__go_main, rt::Config::new())
        }",
    );
}

#[test]
fn wrong_functions() {
    let fails = |item, message| fails("crate = rt", item, message);
    fails(
        "async fn main() {}",
        "remove `async`: a goroutine runs ordinary blocking code",
    );
    fails("unsafe fn main() {}", "remove `unsafe`");
    fails("extern \"C\" fn main() {}", "remove `extern`");
    fails("const fn main() {}", "remove `const`");
    fails("fn main(x: u8) {}", "takes no parameters");
    fails("fn main<T>() {}", "takes no generic parameters");
    fails("fn main();", "expected the body");
    fails("struct S;", "#[main] goes on a function");
    // The item stays in the output, so that rustc reports nothing else as missing.
    fails("struct S;", "struct S ;");
    fails("async fn main() {}", "fn main () { }");
}

#[test]
fn wrong_arguments() {
    let fails = |arguments, message| fails(arguments, "fn main() {}", message);
    fails("crat = rt", "unknown argument `crat`");
    fails("crate", "expected the path of the runtime");
    fails("crate = 5", "expected the path of the runtime");
    fails("crate = \"a b\"", "expected the path of the runtime");
    fails("crate = a, crate = b", "`crate` is given twice");
}
