//! The example servers, in processes of their own, under real clients.
#![cfg(target_os = "linux")]

mod chat;
mod crawler;
mod http_server;
mod redis_server;
mod tls_echo;
mod websocket;
