//! Third-party crates that programs use, tested under `go_runtime` with real servers.
//!
//! ```sh
//! cargo run --manifest-path tests/crates/Cargo.toml               # the table
//! cargo test --manifest-path tests/crates/Cargo.toml              # add --features heavy for all
//! ```

pub mod cases;
pub mod gate;
pub mod nesting;
pub mod pools;
pub mod recipes;
pub mod servers;
pub mod world;
