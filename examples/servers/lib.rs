//! Code that the example servers share: the buffer of a client's bytes, and the frame around a
//! listener.

pub mod input;
#[cfg(unix)]
pub mod server;
