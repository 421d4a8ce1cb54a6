//! Integration tests: one binary, one module for each area. `support` has what
//! several areas share.

// Tests say what they expect by unwrapping and panicking, and they call foreign
// tools as judges.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::indexing_slicing
)]

mod bad_input;
mod cmd_build;
mod cmd_bundle;
mod cmd_cache;
mod cmd_config;
mod cmd_help;
mod cmd_init;
mod cmd_inspect;
mod cmd_lock;
mod cmd_plan;
mod cmd_schema;
mod dependencies;
mod environment;
mod faults_injected;
mod faults_random;
mod foreign_text;
mod killed;
mod layering;
mod mutated;
mod node_layer;
mod packs;
mod pipes;
mod progress;
mod push;
mod registry;
mod sources;
mod support;
mod terminal;
mod whole_build;
mod with_referrers;
