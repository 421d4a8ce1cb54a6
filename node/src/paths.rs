//! Names on the machine that several parts go by. Each is decided here.

/// Where dracut mounts the file system that holds the SquashFS: the ISO on the
/// medium, STATE on an installed system (read-only either way).
pub(crate) const MEDIUM: &str = "/run/initramfs/live";

/// Where dracut mounts the SquashFS.
pub(crate) const ROOTFS_BASE: &str = "/run/rootfsbase";

/// What this boot has told about itself; see [`BOOT_RECORD`].
pub(crate) const RUN: &str = "/run/appliance";

/// JSON of this boot: slot, trial, recovery. Written before the root is switched.
pub(crate) const BOOT_RECORD: &str = "/run/appliance/boot.json";

/// Where PERSISTENT is mounted.
pub(crate) const PERSISTENT: &str = "/run/appliance/persistent";

/// Where OEM, the site configuration, is mounted.
pub(crate) const OEM: &str = "/oem";

/// Log of an installation, while the machine runs.
pub(crate) const INSTALL_LOG: &str = "/run/appliance/install.log";

/// Where an installation mounts file systems.
pub(crate) const INSTALL_WORK: &str = "/run/appliance/install";

/// Within PERSISTENT: the kept directories, each under its own path.
pub(crate) const KEPT: &str = "kept";

/// Within PERSISTENT: accounts that are not the slot's, and changed passwords.
pub(crate) const ACCOUNTS: &str = "accounts";

/// Within PERSISTENT: SSH host keys and machine-id.
pub(crate) const IDENTITY: &str = "identity";

/// Within PERSISTENT: what the program itself keeps (an upgrade's layers, …).
pub(crate) const DATA_FOLDER: &str = "appliance";

/// Within PERSISTENT: the profile's own partitions, JSON of UUIDs by mount point.
pub(crate) const MOUNTS: &str = "appliance/mounts.json";
