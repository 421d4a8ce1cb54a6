//! The command-line program; decides nothing.

fn main() {}
