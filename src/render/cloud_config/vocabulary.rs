//! The keys that something on the machine acts on.
//!
//! Kairos: the SDK's `schema` and `types/install` packages and the agent's
//! documentation; steps: yip's `pkg/schema`; `stylus`: the installer
//! configuration reference of Palette Edge. Where a name is written in two ways
//! (`no-format` in the code, `no_format` in the schema), both are known.

/// What a value may be.
#[derive(Debug)]
pub(super) enum Shape {
    /// Anything.
    Any,
    /// A text; numbers and booleans are taken as written.
    Text,
    /// A boolean, also in quotes.
    Bool,
    /// A number, also in quotes.
    Number,
    /// A list of such values.
    List(&'static Shape),
    /// A map of any keys to such values.
    Map(&'static Shape),
    /// A map of known keys.
    Record(&'static [(&'static str, Shape)]),
    /// One of several; the first that fits by its outermost kind.
    Either(&'static [Shape]),
    /// A map of stages to steps.
    Stages,
}

use Shape::{Any, Bool, Either, List, Map, Number, Record, Stages, Text};

const TEXTS: Shape = List(&Text);
const TEXT_OR_TEXTS: Shape = Either(&[Text, List(&Text)]);

/// The whole file.
pub(super) const ROOT: Shape = Record(&[
    ("bundles", List(&BUNDLE)),
    ("cluster", Any),
    ("config_url", Text),
    ("cosign", Bool),
    ("debug", Bool),
    ("eject-cd", Bool),
    ("env", TEXTS),
    ("extensions", Any),
    ("fail_on_bundles_errors", Bool),
    ("grub_options", Map(&Text)),
    ("growpart", Any),
    ("hostname", Text),
    ("install", INSTALL),
    ("install-mode", Any),
    ("k0s", Any),
    ("k0s-worker", Any),
    ("k3s", Any),
    ("k3s-agent", Any),
    ("kcrypt", Any),
    ("kubevip", Any),
    ("name", Text),
    ("options", Any),
    ("p2p", Map(&Any)),
    ("recovery-reset", Any),
    ("reset", Map(&Any)),
    ("runcmd", List(&TEXT_OR_TEXTS)),
    ("ssh_authorized_keys", TEXTS),
    ("stages", Stages),
    ("strict", Bool),
    ("stylus", STYLUS),
    ("upgrade", Map(&Any)),
    ("users", USERS),
    ("verify", Bool),
    ("vpn", Any),
    ("write_files", List(&WRITE_FILE)),
]);

/// Keys of cloud-init that Kairos takes without a word and does nothing about.
const CLOUD_INIT_ONLY: &str = "\
    apk_repos apt bootcmd byobu_by_default ca_certs chef chpasswd cloud_config_modules \
    cloud_final_modules cloud_init_modules disable_ec2_metadata disable_root disk_setup fan \
    final_message fqdn fs_setup groups keyboard landscape locale lxd manage_etc_hosts \
    manage_resolv_conf mounts network ntp package_reboot_if_required package_update \
    package_upgrade packages password phone_home power_state preserve_hostname \
    prefer_fqdn_over_hostname random_seed resize_rootfs resolv_conf rh_subscription rsyslog \
    salt_minion snap spacewalk ssh ssh_deletekeys ssh_genkeytypes ssh_import_id ssh_keys \
    ssh_pwauth swap system_info timezone ubuntu_pro updates user wireguard yum_repos zypper";

/// Whether cloud-init alone knows the key `name`.
pub(super) fn is_cloud_init_only(name: &str) -> bool {
    CLOUD_INIT_ONLY.split(' ').any(|known| known == name)
}

const USERS: Shape = Either(&[List(&Either(&[Text, USER])), Map(&USER)]);

const USER: Shape = Record(&[
    ("expiredate", Text),
    ("gecos", Text),
    ("groups", TEXT_OR_TEXTS),
    ("homedir", Text),
    ("lock_passwd", Bool),
    ("lockPasswd", Bool),
    ("name", Text),
    ("no_create_home", Bool),
    ("no_log_init", Bool),
    ("no_user_group", Bool),
    ("passwd", Text),
    ("passwordExpiry", Any),
    ("plain_text_passwd", Text),
    ("primary_group", Text),
    ("selinux_user", Text),
    ("shell", Text),
    ("ssh_authorized_keys", TEXTS),
    ("ssh_import_id", TEXTS),
    ("sudo", Any),
    ("system", Bool),
    ("uid", Text),
]);

const WRITE_FILE: Shape = Record(&[
    ("append", Bool),
    ("content", Text),
    ("defer", Bool),
    ("encoding", Text),
    ("owner", Text),
    ("path", Text),
    ("permissions", Text),
]);

const BUNDLE: Shape = Record(&[
    ("db_path", Text),
    ("local_file", Bool),
    ("repository", Text),
    ("rootfs_path", Text),
    ("targets", TEXTS),
]);

const PARTITION: Shape = Record(&[
    ("fs", Text),
    ("label", Text),
    ("name", Text),
    ("size", Number),
]);

const IMAGE: Shape = Record(&[
    ("fs", Text),
    ("label", Text),
    ("size", Number),
    ("source", Text),
    ("uri", Text),
]);

const INSTALL: Shape = Record(&[
    ("allow-insecure-registries", Any),
    ("auto", Bool),
    ("bind_mounts", TEXTS),
    ("bundles", List(&BUNDLE)),
    ("cloud-init", TEXT_OR_TEXTS),
    ("device", Text),
    ("encrypted_partitions", TEXTS),
    ("env", TEXTS),
    ("ephemeral_mounts", TEXTS),
    ("extensions", Any),
    ("extra-dirs-rootfs", TEXTS),
    ("extra-partitions", List(&PARTITION)),
    ("force", Bool),
    ("grub-entry-name", Text),
    ("grub_options", Map(&Text)),
    ("image", Text),
    ("iso", Text),
    ("no-format", Bool),
    ("no_format", Bool),
    ("nousers", Bool),
    (
        "partitions",
        Record(&[
            ("efi", PARTITION),
            ("oem", PARTITION),
            ("persistent", PARTITION),
            ("recovery", PARTITION),
            ("state", PARTITION),
        ]),
    ),
    ("passive", IMAGE),
    ("poweroff", Bool),
    ("reboot", Bool),
    ("recovery-system", IMAGE),
    ("source", Text),
    ("ssh_hardening", Any),
    ("system", IMAGE),
    ("tty", Text),
]);

const REGISTRY: Shape = Record(&[
    ("certificates", TEXTS),
    ("domain", Text),
    ("encodedPassword", Text),
    ("insecure", Bool),
    ("password", Text),
    ("repositoryName", Text),
    ("username", Text),
]);

const STYLUS: Shape = Record(&[
    ("debug", Bool),
    ("disablePasswordUpdate", Bool),
    ("disableTui", Bool),
    ("enableMultiNode", Bool),
    (
        "externalRegistries",
        Record(&[
            ("registries", List(&REGISTRY)),
            ("registryMappingRules", Map(&Text)),
        ]),
    ),
    ("featureGate", Any),
    (
        "imageRedirectWebhook",
        Record(&[("enable", Bool), ("port", Number)]),
    ),
    ("includeTui", Bool),
    ("installationMode", Text),
    (
        "localUI",
        Record(&[
            (
                "login",
                Record(&[
                    ("attemptsBeforeExponentialDelayStarts", Number),
                    ("disableRateLimiting", Bool),
                    ("lockoutDurationInMinutes", Number),
                    ("maxFailedAttemptsBeforeLockout", Number),
                ]),
            ),
            ("port", Number),
        ]),
    ),
    ("managementMode", Text),
    ("path", Text),
    ("registryCredentials", REGISTRY),
    ("site", SITE),
    // The name that `vip.skip` had before.
    ("skipKubeVip", Bool),
    ("trace", Bool),
    ("twoNode", Any),
    ("vip", Record(&[("skip", Bool)])),
]);

const SITE: Shape = Record(&[
    ("autoRegister", Bool),
    ("caCerts", TEXTS),
    ("clusterId", Text),
    ("clusterName", Text),
    (
        "deviceUIDPaths",
        List(&Record(&[("name", Text), ("regex", Text)])),
    ),
    ("edgeHostToken", Text),
    ("hostName", Text),
    ("insecureSkipVerify", Bool),
    ("name", Text),
    (
        "network",
        Record(&[
            ("httpProxy", Text),
            ("httpsProxy", Text),
            (
                "interfaces",
                Map(&Record(&[
                    ("gateway", Text),
                    ("ipAddress", Text),
                    ("mask", Text),
                    ("nameserver", Text),
                    ("type", Text),
                ])),
            ),
            ("nameserver", Text),
            ("noProxy", Text),
        ]),
    ),
    ("ntpServers", Any),
    ("paletteEndpoint", Text),
    ("prefix", Text),
    ("projectName", Text),
    ("projectUid", Text),
    ("registrationURL", Text),
    ("remoteShell", Record(&[("disable", Bool)])),
    ("tags", Map(&Text)),
    (
        "tagsFromFile",
        Record(&[("delimiter", Text), ("fileName", Text), ("separator", Text)]),
    ),
    (
        "tagsFromScript",
        Record(&[("scriptName", Text), ("timeout", Number)]),
    ),
    ("users", Any),
]);

/// One step of a stage.
pub(super) const STEP: Shape = Record(&[
    ("after", List(&Record(&[("name", Text)]))),
    ("authorized_keys", Map(&TEXTS)),
    ("commands", TEXTS),
    (
        "datasource",
        Record(&[
            ("path", Text),
            ("providers", TEXTS),
            ("userdata_name", Text),
        ]),
    ),
    ("delete_entities", Any),
    ("directories", List(&FILE)),
    (
        "dns",
        Record(&[
            ("nameservers", TEXTS),
            ("options", TEXTS),
            ("path", Text),
            ("search", TEXTS),
        ]),
    ),
    ("downloads", List(&DOWNLOAD)),
    ("ensure_entities", Any),
    ("environment", Map(&Text)),
    ("environment_file", Text),
    ("files", List(&FILE)),
    ("git", Map(&Any)),
    ("hostname", Text),
    ("if", Text),
    (
        "if_files",
        Record(&[("all", TEXTS), ("any", TEXTS), ("none", TEXTS)]),
    ),
    ("layout", Map(&Any)),
    ("modules", TEXTS),
    ("name", Text),
    ("node", Text),
    ("only_arch", Text),
    ("only_os", Text),
    ("only_os_version", Text),
    ("only_service_manager", Text),
    ("package_pins", Any),
    (
        "packages",
        Record(&[
            ("install", TEXTS),
            ("refresh", Bool),
            ("remove", TEXTS),
            ("upgrade", Bool),
        ]),
    ),
    ("sysctl", Map(&Text)),
    (
        "systemctl",
        Record(&[
            ("disable", TEXTS),
            ("enable", TEXTS),
            ("mask", TEXTS),
            ("overrides", Any),
            ("start", TEXTS),
        ]),
    ),
    ("systemd_firstboot", Map(&Text)),
    ("timesyncd", Map(&Text)),
    ("unpack_images", List(&Map(&Any))),
    ("users", Map(&USER)),
]);

const FILE: Shape = Record(&[
    ("content", Text),
    ("encoding", Text),
    ("group", Text),
    ("owner", Text),
    ("ownerstring", Text),
    ("path", Text),
    ("permissions", Text),
]);

const DOWNLOAD: Shape = Record(&[
    ("group", Text),
    ("owner", Text),
    ("owner_string", Text),
    ("ownerstring", Text),
    ("path", Text),
    ("permissions", Text),
    ("timeout", Number),
    ("url", Text),
]);

/// Stages that run; each also with `.before` and `.after`. Others may be run
/// by hand, so an unknown one is no mistake by itself.
const STAGES: &str = "\
    after-install after-install-chroot after-reset after-reset-chroot after-upgrade \
    after-upgrade-chroot before-install before-reset before-upgrade boot fs initramfs \
    kairos-install kairos-uki-install kairos-uki-reset kairos-uki-upgrade network \
    provider-kairos.bootstrap reconcile rootfs";

/// The names of all stages.
pub(super) fn stages() -> impl Iterator<Item = &'static str> {
    STAGES.split(' ')
}
