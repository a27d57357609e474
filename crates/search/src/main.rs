//! The `search` binary.

fn main() {}
