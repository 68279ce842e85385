//! Chaos from the command line.

fn main() {}
