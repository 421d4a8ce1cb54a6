//! Who sets up the network on a system: systemd-networkd or NetworkManager.

use isoforge_base::tree::Tree;
use isoforge_content::requirements::has_command;
use isoforge_contract::machine::Flavor;
use isoforge_network::{Network, Renderer};

const NETWORKD: &str = "usr/lib/systemd/systemd-networkd";
const NETWORK_MANAGER: &str = "NetworkManager";

/// By which systemd starts NetworkManager.
const IS_ENABLED: &str = "etc/systemd/system/multi-user.target.wants/NetworkManager.service";

/// Who it is, and what is to be said of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) renderer: Renderer,
    pub(super) warning: Option<&'static str>,
}

/// Who sets up `network` on the system in `tree`.
pub(super) fn renderer(network: &Network, tree: &Tree, flavor: Flavor) -> Chosen {
    let has_networkd = tree.file(NETWORKD.as_bytes()).is_some();
    let has_manager = has_command(tree, NETWORK_MANAGER);
    // Where both are, systems of flavor `appliance` do not start networkd.
    let is_manager = has_manager
        && (!has_networkd
            || flavor == Flavor::Appliance
            || tree.get(IS_ENABLED.as_bytes()).is_some());
    let found = match is_manager {
        true => Renderer::NetworkManager,
        false => Renderer::Networkd,
    };
    let renderer = network.renderer.unwrap_or(found);
    let warning = match renderer {
        _ if !has_networkd && !has_manager => {
            Some("has neither systemd-networkd nor NetworkManager: nothing there sets up [network]")
        }
        Renderer::Networkd if !has_networkd => {
            Some("has no systemd-networkd, which 'renderer' in [network] names, but NetworkManager")
        }
        Renderer::NetworkManager if !has_manager => {
            Some("has no NetworkManager, which 'renderer' in [network] names, but systemd-networkd")
        }
        Renderer::Networkd if is_manager => {
            Some("starts NetworkManager, which does not read what 'renderer' in [network] asks for")
        }
        _ => None,
    };
    Chosen { renderer, warning }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isoforge_base::tree::{FileData, Inode, Kind, Meta};

    fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::new();
        for path in paths {
            let kind = Kind::File(FileData::Inline(std::sync::Arc::from(&b"program"[..])));
            let meta = Meta::with_mode(0o755);
            tree.insert(path.as_bytes(), Inode { meta, kind }).unwrap();
        }
        tree
    }

    fn chosen(wanted: Option<Renderer>, paths: &[&str], flavor: Flavor) -> (Renderer, bool) {
        let network = Network {
            renderer: wanted,
            ..Network::default()
        };
        let chosen = renderer(&network, &tree(paths), flavor);
        (chosen.renderer, chosen.warning.is_some())
    }

    #[test]
    fn the_image_decides_and_the_profile_is_compared_with_it() {
        use Flavor::{Appliance, Kairos};
        use Renderer::{NetworkManager, Networkd};
        const MANAGER: &str = "usr/sbin/NetworkManager";
        let both = [NETWORKD, MANAGER];
        let enabled = [NETWORKD, MANAGER, IS_ENABLED];
        for (wanted, paths, flavor, told) in [
            (None, &[NETWORKD][..], Appliance, (Networkd, false)),
            (None, &[MANAGER], Kairos, (NetworkManager, false)),
            (None, &both, Appliance, (NetworkManager, false)),
            (None, &both, Kairos, (Networkd, false)),
            (None, &enabled, Kairos, (NetworkManager, false)),
            (None, &[], Kairos, (Networkd, true)),
            (
                Some(NetworkManager),
                &[NETWORKD],
                Kairos,
                (NetworkManager, true),
            ),
            (Some(Networkd), &[MANAGER], Kairos, (Networkd, true)),
            (Some(Networkd), &both, Appliance, (Networkd, true)),
            (Some(NetworkManager), &both, Kairos, (NetworkManager, false)),
        ] {
            assert_eq!(
                chosen(wanted, paths, flavor),
                told,
                "{wanted:?} {paths:?} {flavor:?}"
            );
        }
    }
}
