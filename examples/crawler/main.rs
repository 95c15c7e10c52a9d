//! Crawls a site.
fn main() {}
