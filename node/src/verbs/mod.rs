//! One module for each verb: its arguments, and what runs it.

pub mod accounts;
pub mod configure;
pub mod confirm;
pub mod content;
pub mod early_state;
pub mod host_keys;
pub mod installer;
pub mod output;
pub mod registries;
pub mod registry;
pub mod reset;
pub mod rollback;
pub mod status;
pub mod upgrade;
