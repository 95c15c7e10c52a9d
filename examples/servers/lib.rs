//! What the example servers share: the buffer of what a client has sent, and what every server
//! needs around its listener.

pub mod input;
#[cfg(unix)]
pub mod server;
