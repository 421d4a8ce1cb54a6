//! Network interfaces, as the kernel tells of them.

use std::path::Path;

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// Its hardware address.
    pub(crate) mac: String,
    /// Whether something is at the other end; none: it does not tell.
    pub(crate) link: Option<bool>,
}

/// The interfaces that have hardware behind them, by name; `sys` is `/sys`.
pub(crate) fn list(sys: &Path) -> Vec<Interface> {
    let Ok(entries) = fs_err::read_dir(sys.join("class/net")) else {
        return Vec::new();
    };
    let mut interfaces: Vec<Interface> = entries
        .flatten()
        .filter(|entry| fs_err::exists(entry.path().join("device")).unwrap_or_default())
        .filter_map(|entry| {
            let read = |file: &str| fs_err::read_to_string(entry.path().join(file)).ok();
            Some(Interface {
                name: entry.file_name().into_string().ok()?,
                mac: read("address").unwrap_or_default().trim().to_owned(),
                // The kernel refuses to tell of one that is down.
                link: read("carrier").map(|carrier| carrier.trim() == "1"),
            })
        })
        .collect();
    interfaces.sort_by(|a, b| a.name.cmp(&b.name));
    interfaces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_counts_and_bridges_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let net = folder.path().join("class/net");
        for (name, device) in [
            ("lo", false),
            ("eth1", true),
            ("eth0", true),
            ("br0", false),
        ] {
            fs_err::create_dir_all(net.join(name)).unwrap();
            fs_err::write(net.join(name).join("address"), "52:54:00:00:00:01\n").unwrap();
            if device {
                fs_err::create_dir(net.join(name).join("device")).unwrap();
            }
        }
        fs_err::write(net.join("eth1/carrier"), "1\n").unwrap();
        let found = list(folder.path());
        let names: Vec<&str> = found.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(names, ["eth0", "eth1"]);
        assert_eq!((found[0].link, found[1].link), (None, Some(true)));
        assert_eq!(found[0].mac, "52:54:00:00:00:01");
        assert_eq!(list(Path::new("/no/such")), []);
    }
}
