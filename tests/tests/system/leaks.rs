//! Leaked goroutines: `debug::leaks`, and what `GODEBUG=leaks=1` writes.
#![cfg(all(target_env = "gnu", not(feature = "sanitizer")))]
