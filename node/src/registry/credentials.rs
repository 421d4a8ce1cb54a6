//! Who may push: one account with a password that the machine makes itself.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use serde_json::json;

use super::{Ids, RegistryPaths, push_port, write, write_config};
use crate::{files, random};
use isoforge_contract::machine::Registry;

/// The account that pushes.
pub const PUSHER: &str = "pusher";

/// Random bytes in a password: more than can be guessed.
const PASSWORD_BYTES: usize = 24;

/// Work factor of bcrypt (2 to the power of it). The password can't be guessed, so
/// the least that is sound is enough, and a push is not slowed down.
const COST: u32 = 8;

/// Mode of what root alone may read.
const PRIVATE: u32 = 0o600;

/// Makes the password where there is none, and gives what `htpasswd` has of it.
pub(super) fn prepare(places: &RegistryPaths, registry: &Registry) -> Result<String> {
    let folder = places.home.join("credentials");
    files::directory(&folder, 0o700)?;
    let path = folder.join("password");
    let password = match files::read(&path)? {
        Some(bytes) if !bytes.trim_ascii().is_empty() => {
            String::from_utf8_lossy(bytes.trim_ascii()).into_owned()
        }
        _ => {
            let password = password()?;
            write(&path, format!("{password}\n").as_bytes(), PRIVATE, None)?;
            password
        }
    };
    let hash_path = folder.join("htpasswd");
    let known = files::read(&hash_path)?.unwrap_or_default();
    let known = String::from_utf8_lossy(&known).into_owned();
    let fits = known
        .trim()
        .strip_prefix(&format!("{PUSHER}:"))
        .is_some_and(|hash| bcrypt::verify(&password, hash).unwrap_or_default());
    let line = if fits {
        known
    } else {
        // The registries' library knows no `$2b$`.
        let hash = bcrypt::hash_with_result(&password, COST);
        let hash = hash.context("the password can't be hashed")?;
        format!(
            "{PUSHER}:{}\n",
            hash.format_for_version(bcrypt::Version::TwoY)
        )
    };
    write(&hash_path, line.as_bytes(), PRIVATE, None)?;
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{PUSHER}:{password}"));
    let port = push_port(registry);
    let hosts = ["127.0.0.1", "localhost"];
    let auths: serde_json::Map<_, _> = hosts
        .iter()
        .map(|host| (format!("{host}:{port}"), json!({ "auth": auth })))
        .collect();
    let config = json!({ "auths": auths });
    write_config(&places.credentials(), &config, PRIVATE, None)?;
    Ok(line)
}

fn password() -> Result<String> {
    let mut bytes = [0_u8; PASSWORD_BYTES];
    random::fill(&mut bytes)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

/// For the registry: the hash, which its group may read.
pub(super) fn publish(places: &RegistryPaths, htpasswd: &str, owner: Option<Ids>) -> Result<()> {
    let path = places.run.join("htpasswd");
    let group = owner.map(|(_, gid)| (0, gid));
    Ok(write(&path, htpasswd.as_bytes(), 0o640, group)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::prepare::testing::registry;

    #[test]
    fn a_password_is_made_once_and_fits_its_hash() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let places = RegistryPaths::below(dir.path());
        let line = prepare(&places, &registry("zot", 30003)).unwrap();
        assert_eq!(prepare(&places, &registry("zot", 30003)).unwrap(), line);
        let folder = places.home.join("credentials");
        let password = fs_err::read_to_string(folder.join("password")).unwrap();
        assert!(line.starts_with("pusher:$2y$08$"), "{line}");
        let hash = line.trim().strip_prefix("pusher:").unwrap();
        assert!(bcrypt::verify(password.trim(), hash).unwrap());
        for name in ["password", "htpasswd", "config.json"] {
            let mode = fs_err::metadata(folder.join(name)).unwrap();
            assert_eq!(mode.permissions().mode() & 0o777, 0o600, "{name}");
        }
        // Another password gets another hash.
        fs_err::write(folder.join("password"), "of the site\n").unwrap();
        let line = prepare(&places, &registry("distribution", 30003)).unwrap();
        let hash = line.trim().strip_prefix("pusher:").unwrap();
        assert!(bcrypt::verify("of the site", hash).unwrap());
        let config = fs_err::read_to_string(places.credentials()).unwrap();
        assert!(config.contains("127.0.0.1:30004"), "{config}");
    }
}
