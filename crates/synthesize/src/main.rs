//! The `synthesize` binary.

fn main() {}
