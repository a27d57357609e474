//! The `critique` binary.

fn main() {}
