//! What can't work of a network, with its place and what is allowed.

mod links;
mod settings;

use std::collections::BTreeMap;

use crate::model::{Network, Settings};

/// Something that can't work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Keys and numbers from the network downwards, with dots: `adapters.0.gateways.1`.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What is allowed.
    pub allowed: String,
}

/// A kind of link, by the key of its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Adapter,
    Vlan,
    Bond,
    Bridge,
}

/// What all links have.
#[derive(Debug, Clone)]
struct Link<'a> {
    kind: Kind,
    /// Of its table.
    place: String,
    name: &'a str,
    settings: &'a Settings,
    /// Links that it is made of, with the places of their names.
    below: Vec<(String, &'a str)>,
    /// Whether it stands for several.
    is_pattern: bool,
}

impl Network {
    /// All that can't work; empty where nothing is wrong.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let links = self.links();
        let mut check = Check {
            network: self,
            by_name: links.iter().map(|link| (link.name, link)).collect(),
            links: &links,
            problems: Vec::new(),
        };
        check.names();
        check.adapters();
        check.vlans();
        check.bonds();
        check.members();
        check.circles();
        for link in &links {
            check.settings(link);
        }
        check.addresses();
        check.problems
    }

    fn links(&self) -> Vec<Link<'_>> {
        let link = |kind, key: &str, i: usize, name, settings| Link {
            kind,
            place: format!("{key}.{i}"),
            name,
            settings,
            below: Vec::new(),
            is_pattern: false,
        };
        let mut links = Vec::new();
        for (i, it) in self.adapters.iter().enumerate() {
            let is_pattern = it.matched.is_pattern();
            let link = link(Kind::Adapter, "adapters", i, it.name.as_str(), &it.settings);
            links.push(Link { is_pattern, ..link });
        }
        for (i, it) in self.vlans.iter().enumerate() {
            let link = link(Kind::Vlan, "vlans", i, it.name.as_str(), &it.settings);
            let below = vec![(format!("{}.parent", link.place), it.parent.as_str())];
            links.push(Link { below, ..link });
        }
        let bonds = self.bonds.iter().enumerate();
        let bonds =
            bonds.map(|(i, it)| (Kind::Bond, "bonds", i, &it.name, &it.members, &it.settings));
        let bridges = self.bridges.iter().enumerate();
        let bridges = bridges.map(|(i, it)| {
            (
                Kind::Bridge,
                "bridges",
                i,
                &it.name,
                &it.members,
                &it.settings,
            )
        });
        for (kind, key, i, name, names, settings) in bonds.chain(bridges) {
            let link = link(kind, key, i, name.as_str(), settings);
            let below = names.iter().enumerate();
            let below = below.map(|(m, it)| (format!("{}.members.{m}", link.place), it.as_str()));
            let below = below.collect();
            links.push(Link { below, ..link });
        }
        links
    }
}

struct Check<'a> {
    network: &'a Network,
    links: &'a [Link<'a>],
    by_name: BTreeMap<&'a str, &'a Link<'a>>,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    fn bad(
        &mut self,
        place: impl Into<String>,
        message: impl Into<String>,
        allowed: impl Into<String>,
    ) {
        self.problems.push(Problem {
            place: place.into(),
            message: message.into(),
            allowed: allowed.into(),
        });
    }

    /// The bond or bridge that has `name` as a member.
    fn upper(&self, name: &str) -> Option<&'a Link<'a>> {
        self.links.iter().find(|link| {
            link.kind != Kind::Vlan && link.below.iter().any(|(_, member)| *member == name)
        })
    }
}
