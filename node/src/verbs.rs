//! One module for each verb: its arguments, and what runs it.

pub(crate) mod accounts;
pub(crate) mod configure;
pub(crate) mod confirm;
pub(crate) mod console;
pub(crate) mod content;
pub(crate) mod early_state;
pub(crate) mod host_keys;
pub(crate) mod installer;
pub(crate) mod output;
pub(crate) mod registries;
pub(crate) mod registry;
pub(crate) mod reset;
pub(crate) mod rollback;
pub(crate) mod status;
pub(crate) mod upgrade;
