//! Who may push, and where nobody reads without an account, who may read: accounts with
//! passwords that the machine makes itself.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use serde_json::json;

use super::{Ids, RegistryPaths, push_port, write, write_config};
use crate::{files, random};
use isoforge_contract::machine::Registry;

/// The account that pushes; it reads, too.
pub const PUSHER: &str = "pusher";

/// The account that reads.
pub const READER: &str = "reader";

/// What the registry has of who may push.
pub(super) const PUSHERS: &str = "htpasswd";

/// What it has of who may read, the former among them.
const READERS: &str = "htpasswd-readers";

/// The file of the registry's that its port for readers goes by.
pub(super) fn htpasswd(registry: &Registry) -> &'static str {
    match registry.anonymous {
        true => PUSHERS,
        false => READERS,
    }
}

/// Random bytes in a password: more than can be guessed.
const PASSWORD_BYTES: usize = 24;

/// Work factor of bcrypt (2 to the power of it). The password can't be guessed, so
/// the least that is sound is enough, and a push is not slowed down.
const COST: u32 = 8;

/// Mode of what root alone may read.
const PRIVATE: u32 = 0o600;

/// An account, by the names of its files below `credentials`.
struct Account {
    name: &'static str,
    password: &'static str,
    hash: &'static str,
}

const PUSHING: Account = Account {
    name: PUSHER,
    password: "password",
    hash: "htpasswd",
};

const READING: Account = Account {
    name: READER,
    password: "reader-password",
    hash: "reader-htpasswd",
};

/// What was made of the passwords.
#[derive(Debug)]
pub(super) struct Credentials {
    /// Lines of `htpasswd` of who may push.
    pushers: String,
    /// Those of who may read, where that takes an account.
    readers: Option<String>,
    /// The reader's password, where that takes one.
    pub(super) reader: Option<String>,
}

/// Makes the passwords where there are none.
pub(super) fn prepare(places: &RegistryPaths, registry: &Registry) -> Result<Credentials> {
    files::directory(&places.home.join("credentials"), 0o700)?;
    let (password, pushers) = account(places, &PUSHING)?;
    let reading = match registry.anonymous {
        true => None,
        false => Some(account(places, &READING)?),
    };
    let auth = auth(PUSHER, &password);
    let mut ports = vec![push_port(registry)];
    if !registry.anonymous && !ports.contains(&registry.port) {
        ports.push(registry.port);
    }
    let own = registry.own_address().ip().to_string();
    let own = if own.contains(':') {
        format!("[{own}]")
    } else {
        own
    };
    let auths: serde_json::Map<_, _> = ["127.0.0.1", "localhost", &own]
        .iter()
        .flat_map(|host| ports.iter().map(move |port| format!("{host}:{port}")))
        .map(|host| (host, json!({ "auth": auth })))
        .collect();
    let config = json!({ "auths": auths });
    write_config(&places.credentials(), &config, PRIVATE, None)?;
    let (reader, readers) = reading
        .map(|(password, line)| (password, format!("{pushers}{line}")))
        .unzip();
    Ok(Credentials {
        pushers,
        readers,
        reader,
    })
}

/// A name and a password as HTTP's basic authentication has them (RFC 7617).
pub(super) fn auth(name: &str, password: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"))
}

/// The password of an account, made where there is none, and what `htpasswd` has of it.
fn account(places: &RegistryPaths, account: &Account) -> Result<(String, String)> {
    let folder = places.home.join("credentials");
    let path = folder.join(account.password);
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
    let hash_path = folder.join(account.hash);
    let known = files::read(&hash_path)?.unwrap_or_default();
    let known = String::from_utf8_lossy(&known).into_owned();
    let name = account.name;
    let fits = known
        .trim()
        .strip_prefix(&format!("{name}:"))
        .is_some_and(|hash| bcrypt::verify(&password, hash).unwrap_or_default());
    let line = if fits {
        known
    } else {
        // The registries' library knows no `$2b$`.
        let hash = bcrypt::hash_with_result(&password, COST);
        let hash = hash.context("the password can't be hashed")?;
        format!(
            "{name}:{}\n",
            hash.format_for_version(bcrypt::Version::TwoY)
        )
    };
    write(&hash_path, line.as_bytes(), PRIVATE, None)?;
    Ok((password, line))
}

fn password() -> Result<String> {
    let mut bytes = [0_u8; PASSWORD_BYTES];
    random::fill(&mut bytes)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

/// For the registry: the hashes, which its group may read.
pub(super) fn publish(
    places: &RegistryPaths,
    credentials: &Credentials,
    owner: Option<Ids>,
) -> Result<()> {
    let group = owner.map(|(_, gid)| (0, gid));
    let readers = credentials.readers.as_ref().map(|text| (READERS, text));
    for (name, text) in [(PUSHERS, &credentials.pushers)].into_iter().chain(readers) {
        write(&places.run.join(name), text.as_bytes(), 0o640, group)?;
    }
    Ok(())
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
        let line = |name: &str| prepare(&places, &registry(name, 30003)).unwrap().pushers;
        let first = line("zot");
        assert_eq!(line("zot"), first);
        let line_of = line;
        let line = first;
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
        let line = line_of("distribution");
        let hash = line.trim().strip_prefix("pusher:").unwrap();
        assert!(bcrypt::verify("of the site", hash).unwrap());
        let config = fs_err::read_to_string(places.credentials()).unwrap();
        assert!(config.contains("127.0.0.1:30004"), "{config}");
    }

    #[test]
    fn who_reads_has_an_account_only_where_one_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let places = RegistryPaths::below(dir.path());
        let mut registry = registry("distribution", 30003);
        registry.listen = Some("fd00::5".parse().unwrap());
        let open = prepare(&places, &registry).unwrap();
        assert!(open.reader.is_none() && open.readers.is_none());
        let folder = places.home.join("credentials");
        assert!(!folder.join("reader-password").exists());
        let config = || fs_err::read_to_string(places.credentials()).unwrap();
        assert!(config().contains("[fd00::5]:30004"), "{}", config());
        assert!(!config().contains(":30003"), "{}", config());
        registry.anonymous = false;
        let closed = prepare(&places, &registry).unwrap();
        let readers = closed.readers.unwrap();
        assert!(readers.starts_with(&open.pushers), "{readers}");
        let hash = readers.lines().nth(1).unwrap().strip_prefix("reader:");
        let password = closed.reader.unwrap();
        assert!(bcrypt::verify(&password, hash.unwrap()).unwrap());
        let pushers = open.pushers["pusher:".len()..].trim();
        assert!(!bcrypt::verify(&password, pushers).unwrap());
        // What pushes may read.
        assert!(config().contains("[fd00::5]:30003"), "{}", config());
        let again = prepare(&places, &registry).unwrap();
        assert_eq!(again.reader, Some(password));
    }
}
