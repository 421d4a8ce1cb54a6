//! The network of a machine: adapters, VLANs, bonds and bridges with their addresses.
//!
//! [`Network`] is what somebody wants; [`Network::problems`] says what can't work, each
//! with its place and what is allowed; [`Network::files`] gives the files by which
//! systemd-networkd or NetworkManager does it. Nothing here touches a machine, so builder
//! and machine mean the same by the same words.

mod address;
mod check;
mod model;
mod render;
#[cfg(test)]
mod tests;

pub use address::{Mac, Malformed, Prefix, host_name, link_name};
pub use check::Problem;
pub use model::{
    Adapter, Bond, BondMode, Bridge, Dhcp, HashPolicy, LacpRate, MTU_BYTES, Match, Network,
    Renderer, Route, Settings, VLAN_IDS, Vlan,
};
pub use render::File;
