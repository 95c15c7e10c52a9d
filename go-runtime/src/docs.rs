//! Pages of the manual. There is nothing to call here.

#[doc = include_str!("../docs/beside_go.md")]
pub mod beside_go {}

#[doc = include_str!("../docs/coming_from_go.md")]
pub mod coming_from_go {}

#[doc = include_str!("../docs/coming_from_tokio.md")]
pub mod coming_from_tokio {}

#[doc = include_str!("../docs/crates.md")]
pub mod crates {}

#[doc = include_str!("../docs/debugging.md")]
pub mod debugging {}

#[doc = include_str!("../docs/soundness.md")]
pub mod soundness {}
