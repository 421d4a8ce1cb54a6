//! Labels, annotations and tag of a provider image.
//!
//! `org.opencontainers.image.*` as OCI Image Specification v1.1, "Annotations",
//! "Pre-Defined Annotation Keys" defines them; `io.isoforge.*` are our own: an
//! installed machine that upgrades to the image makes the SquashFS of its tree
//! anew and compares it with what the build recorded.

/// Digest of the SquashFS that the image's tree gives.
pub const SQUASHFS_DIGEST: &str = "io.isoforge.squashfs.digest";
/// Its size in bytes.
pub const SQUASHFS_SIZE: &str = "io.isoforge.squashfs.size";
/// Its compression, as `output.compression` has it.
pub const SQUASHFS_COMPRESSION: &str = "io.isoforge.squashfs.compression";
/// Its block size in bytes.
pub const SQUASHFS_BLOCK_SIZE: &str = "io.isoforge.squashfs.block-size";
/// Its creation time in seconds since 1970-01-01 UTC.
pub const SQUASHFS_EPOCH: &str = "io.isoforge.squashfs.epoch";
/// Version of the isoforge that built it.
pub const ISOFORGE_VERSION: &str = "io.isoforge.version";
/// The distribution of its operating system.
pub const OS_DISTRIBUTION: &str = "io.isoforge.os.distribution";
/// That one's version.
pub const OS_VERSION: &str = "io.isoforge.os.version";
/// The distribution of its Kubernetes.
pub const KUBERNETES_DISTRIBUTION: &str = "io.isoforge.kubernetes.distribution";
/// That one's version.
pub const KUBERNETES_VERSION: &str = "io.isoforge.kubernetes.version";

/// The appliance's name.
pub const TITLE: &str = "org.opencontainers.image.title";
/// The appliance's version.
pub const VERSION: &str = "org.opencontainers.image.version";

/// The tag of the image with `kubernetes_version`:
/// `{distribution}-{kubernetes_version}-{appliance_version}`, `+` written `_`, without
/// what is empty: an appliance may have no Kubernetes, or a profile not say which version
/// its image holds. Whether a tag can be so is not checked here.
#[must_use]
pub fn tag(distribution: &str, kubernetes_version: &str, appliance_version: &str) -> String {
    let parts = [distribution, kubernetes_version, appliance_version];
    let said: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    said.join("-").replace('+', "_")
}

#[cfg(test)]
mod tests {
    use super::tag;

    #[test]
    fn a_tag_has_what_is_said() {
        assert_eq!(tag("k3s", "1.32.3+k3s1", "2.0.0"), "k3s-1.32.3_k3s1-2.0.0");
        assert_eq!(tag("k3s", "", "2.0.0"), "k3s-2.0.0");
        assert_eq!(tag("", "", "2.0.0+1"), "2.0.0_1");
    }
}
