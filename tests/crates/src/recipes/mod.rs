//! The recipes of the page on crates, as the page shows them: a test compares the texts.

pub mod axum_front;
pub mod pool;
pub mod redis_net;
pub mod ureq_net;
