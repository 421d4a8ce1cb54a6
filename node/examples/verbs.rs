//! Prints docs/appliance.md, for `cargo xtask generate`.

#![allow(clippy::print_stdout, reason = "printing is all that it does")]

fn main() {
    print!("{}", appliance::cli::reference());
}
