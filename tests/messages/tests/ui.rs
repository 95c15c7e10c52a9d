//! Programs that must not compile, and what the user is told: `ui`.
//! `TRYBUILD=overwrite cargo test -p go-tests-messages` writes the messages anew.

#[test]
fn messages() {
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}
