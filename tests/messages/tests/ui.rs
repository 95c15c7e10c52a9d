//! Programs in `ui` that must not compile, with the expected messages of the compiler.
//! `TRYBUILD=overwrite cargo test -p go-tests-messages` rewrites the messages.

#[test]
fn messages() {
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}
