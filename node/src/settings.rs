//! Settings that are made at the machine: its name, accounts. They are a cloud-config of
//! their own beside the site's, in OEM, so the machine's next boots, upgrades and resets
//! go by them as by every other configuration; what is set here counts more.
//!
//! Invariants:
//! - A setting is on the disk before it acts: after a power cut the machine has the old
//!   settings or the new ones.
//! - OEM is writable only while the file is written, and by one at a time.
//! - A file that was changed by hand and can't be read is left alone, and told.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use isoforge_contract::cloud::Document;
use rustix::fs::{FlockOperation, StatVfsMountFlags, flock};
use rustix::mount::{MountFlags, mount_remount};
use serde::{Deserialize, Serialize};

use crate::cloud::{self, Host};
use crate::rooted::Root;
use crate::{files, paths};

/// Name of the file. It is read after those of the installer.
const FILE: &str = "95_machine.yaml";

/// What stands at its beginning.
const HEAD: &str = "#cloud-config\n# What was set at this machine.\n";

/// Held while settings are changed.
const LOCK: &str = "settings.lock";

/// Groups of an account that is made here.
const GROUPS: [&str; 1] = ["admin"];

/// The file. A member that this version does not know is an error: it would be lost.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hostname: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    users: Vec<User>,
}

/// An account, as a cloud-config has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    name: String,
    passwd: String,
    lock_passwd: bool,
    groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ssh_authorized_keys: Vec<String>,
}

/// Where settings are kept and act; another root in tests.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    root: PathBuf,
    oem: PathBuf,
    run: PathBuf,
}

impl Place {
    /// This machine.
    pub(crate) fn this() -> Self {
        Self {
            root: "/".into(),
            oem: paths::OEM.into(),
            run: paths::RUN.into(),
        }
    }

    /// A machine whose root is this folder.
    #[cfg(test)]
    pub(crate) fn below(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            oem: root.join("oem"),
            run: root.join("run"),
        }
    }

    /// Gives the machine a name.
    ///
    /// # Errors
    /// Where it can't be kept, or does not act.
    pub(crate) fn set_hostname(&self, name: &str, host: &mut dyn Host) -> Result<()> {
        let set = |settings: &mut Settings| settings.hostname = Some(name.to_owned());
        let acts = Settings {
            hostname: Some(name.to_owned()),
            ..Settings::default()
        };
        self.change(set, &acts, host)
    }

    /// Makes an account that administrates the machine.
    ///
    /// # Errors
    /// Where it can't be kept, or does not act.
    pub(crate) fn add_account(
        &self,
        name: &str,
        password_hash: String,
        ssh_key: Option<&str>,
        host: &mut dyn Host,
    ) -> Result<()> {
        let user = || User {
            name: name.to_owned(),
            passwd: password_hash.clone(),
            lock_passwd: false,
            groups: GROUPS.map(str::to_owned).to_vec(),
            ssh_authorized_keys: ssh_key.map(str::to_owned).into_iter().collect(),
        };
        let acts = Settings {
            users: vec![user()],
            ..Settings::default()
        };
        let set = |settings: &mut Settings| {
            settings.users.retain(|user| user.name != name);
            settings.users.push(user());
        };
        self.change(set, &acts, host)
    }

    /// Keeps what `set` makes of the settings, then lets `acts` act.
    fn change(
        &self,
        set: impl FnOnce(&mut Settings),
        acts: &Settings,
        host: &mut dyn Host,
    ) -> Result<()> {
        fs_err::create_dir_all(&self.run)?;
        let lock = fs_err::File::create(self.run.join(LOCK))?;
        flock(&lock, FlockOperation::LockExclusive).context("waiting for another change")?;
        let acts = document(&text(acts)?)?;
        let path = self.oem.join(FILE);
        let mut settings = read(&path)?;
        set(&mut settings);
        let text = text(&settings)?;
        document(&text)?;
        {
            let _writable = Writable::make(&self.oem)?;
            files::write(&path, text.as_bytes(), 0o600)?;
        }
        let failures = cloud::apply_setting(&acts, &Root::open(&self.root)?, host);
        match failures.first() {
            None => Ok(()),
            Some(failure) => bail!("it is kept, and did not act: {}", failure.message),
        }
    }
}

fn read(path: &Path) -> Result<Settings> {
    let Some(bytes) = files::read(path)? else {
        return Ok(Settings::default());
    };
    let text = files::text(bytes).with_context(|| path.display().to_string())?;
    let settings: Option<Settings> = serde_saphyr::from_str(&text).map_err(|error| {
        anyhow!(
            "{} was changed by hand, and can't be read: {error}",
            path.display()
        )
    })?;
    Ok(settings.unwrap_or_default())
}

fn text(settings: &Settings) -> Result<String> {
    Ok(format!("{HEAD}{}", serde_saphyr::to_string(settings)?))
}

/// The settings as the machine reads them at its next boot.
fn document(text: &str) -> Result<Document> {
    Ok(Document::parse(FILE, text)?)
}

/// A file system that is writable as long as this lives.
struct Writable<'a> {
    path: &'a Path,
    /// Whether it was not, before.
    made: bool,
}

/// How OEM is mounted, beside whether it is writable.
const FLAGS: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOATIME);

impl<'a> Writable<'a> {
    fn make(path: &'a Path) -> Result<Self> {
        let found = rustix::fs::statvfs(path).with_context(|| path.display().to_string())?;
        let made = found.f_flag.contains(StatVfsMountFlags::RDONLY);
        if made {
            mount_remount(path, FLAGS, c"")
                .with_context(|| format!("{} can't be made writable", path.display()))?;
        }
        Ok(Self { path, made })
    }
}

impl Drop for Writable<'_> {
    fn drop(&mut self) {
        if self.made {
            // What is written is on the disk already; it stays writable at worst.
            let _ = mount_remount(self.path, FLAGS | MountFlags::RDONLY, c"");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use insta::assert_snapshot;

    use super::*;
    use crate::cloud::Telling;

    fn place() -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["oem", "etc"] {
            fs_err::create_dir(folder.path().join(name)).unwrap();
        }
        let place = Place::below(folder.path());
        (folder, place)
    }

    fn file(place: &Place) -> String {
        fs_err::read_to_string(place.oem.join(FILE)).unwrap()
    }

    #[test]
    fn settings_are_kept_together_and_act_at_once() {
        let (folder, place) = place();
        place.set_hostname("node-7", &mut Telling).unwrap();
        let hash = "$6$salt$hash".to_owned();
        let key = "ssh-ed25519 AAAA op";
        place
            .add_account("op", hash, Some(key), &mut Telling)
            .unwrap();
        place.set_hostname("node-8", &mut Telling).unwrap();
        assert_snapshot!(file(&place), @r"
        #cloud-config
        # What was set at this machine.
        hostname: node-8
        users:
        - name: op
          passwd: $6$salt$hash
          lock_passwd: false
          groups:
          - admin
          ssh_authorized_keys:
          - ssh-ed25519 AAAA op
        ");
        let etc =
            |name: &str| fs_err::read_to_string(folder.path().join("etc").join(name)).unwrap();
        assert_eq!(etc("hostname"), "node-8\n");
        assert!(
            etc("shadow").starts_with("op:$6$salt$hash:"),
            "{}",
            etc("shadow")
        );
        assert!(etc("group").contains("admin:x:"), "{}", etc("group"));
        // A hash is nobody's to read.
        let mode = fs_err::metadata(place.oem.join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        // The next boot reads the same.
        let document = Document::parse(FILE, &file(&place)).unwrap();
        assert_eq!(document.hostname.as_deref(), Some("node-8"));
        assert_eq!(document.users.len(), 1);
        assert!(document.unknown().is_empty());
    }

    #[test]
    fn what_the_machine_would_refuse_is_not_kept() {
        let (_folder, place) = place();
        place.set_hostname("node-7", &mut Telling).unwrap();
        let before = file(&place);
        place.set_hostname("no name", &mut Telling).unwrap_err();
        place
            .add_account("Bad Name", "$6$x$y".to_owned(), None, &mut Telling)
            .unwrap_err();
        assert_eq!(file(&place), before);
    }

    #[test]
    fn a_file_that_was_changed_by_hand_is_not_lost() {
        let (_folder, place) = place();
        for text in ["hostname: [", "hostname: a\nstages: {}\n"] {
            fs_err::write(place.oem.join(FILE), text).unwrap();
            let error = place.set_hostname("node-7", &mut Telling).unwrap_err();
            assert!(error.to_string().contains("changed by hand"), "{error:#}");
            assert_eq!(file(&place), text);
        }
        // An empty one says nothing.
        fs_err::write(place.oem.join(FILE), "#cloud-config\n").unwrap();
        place.set_hostname("node-7", &mut Telling).unwrap();
    }
}
