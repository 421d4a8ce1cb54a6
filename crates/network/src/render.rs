//! Files of a network.

mod networkd;
mod networkmanager;

use std::net::IpAddr;

use serde::Serialize;

use crate::model::{Network, Renderer, Settings};

/// A file of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct File {
    /// Absolute.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Its text.
    pub content: String,
}

/// Order in which a program looks at files: virtual links first, since a pattern of an
/// adapter may fit their names, then adapters by MAC address or name, then patterns.
const VIRTUAL: u8 = 10;
const ADAPTER: u8 = 11;
const PATTERN: u8 = 12;

impl Network {
    /// The files by which `renderer` sets the network up, by path. The network must be
    /// without [`problems`](Self::problems).
    #[must_use]
    pub fn files(&self, renderer: Renderer) -> Vec<File> {
        let mut files = match renderer {
            Renderer::Networkd => self.networkd(),
            Renderer::NetworkManager => self.network_manager(),
        };
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    /// The bond or bridge that `name` is a part of.
    fn upper(&self, name: &str) -> Option<Upper<'_>> {
        let has = |members: &[String]| members.iter().any(|member| member == name);
        let bond = self.bonds.iter().find(|bond| has(&bond.members));
        let bridge = self.bridges.iter().find(|bridge| has(&bridge.members));
        bond.map(|bond| Upper {
            kind: "bond",
            name: &bond.name,
            settings: &bond.settings,
        })
        .or(bridge.map(|bridge| Upper {
            kind: "bridge",
            name: &bridge.name,
            settings: &bridge.settings,
        }))
    }

    fn name_servers<'a>(&'a self, settings: &'a Settings) -> &'a [IpAddr] {
        match settings.name_servers.is_empty() {
            true => &self.name_servers,
            false => &settings.name_servers,
        }
    }

    fn search<'a>(&'a self, settings: &'a Settings) -> &'a [String] {
        match settings.search.is_empty() {
            true => &self.search,
            false => &settings.search,
        }
    }
}

/// A bond or bridge over a link.
#[derive(Debug, Clone, Copy)]
struct Upper<'a> {
    kind: &'static str,
    name: &'a str,
    settings: &'a Settings,
}

impl Upper<'_> {
    /// The MTU of a member: that of the whole, where it says none.
    fn mtu_of(self, member: &Settings) -> Option<u32> {
        member.mtu.or(self.settings.mtu)
    }
}

/// A file of `[Section]` and `key=value`, as both programs read them.
#[derive(Debug, Default)]
struct Sections(String);

impl Sections {
    fn begin(&mut self, section: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(&format!("[{section}]\n"));
    }

    fn set(&mut self, key: &str, value: impl std::fmt::Display) {
        self.0.push_str(&format!("{key}={value}\n"));
    }

    fn set_some(&mut self, key: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }
}

/// `values` one after the other.
fn joined<T: ToString>(values: &[T], between: &str) -> String {
    let values: Vec<_> = values.iter().map(ToString::to_string).collect();
    values.join(between)
}
