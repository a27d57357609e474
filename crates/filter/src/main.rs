//! The `filter` binary.

fn main() {}
