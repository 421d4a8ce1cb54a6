//! GRUB's lock: who has the password edits menu entries and uses GRUB's shell, and
//! nobody else does.
//!
//! What stands in the menu is a hash in the form of GRUB's `password_pbkdf2` (GRUB
//! manual, "Authentication and authorisation in GRUB"): PBKDF2 with HMAC-SHA512
//! (RFC 8018), `grub.pbkdf2.sha512.ITERATIONS.SALT.HASH`, the last two in hexadecimal.
//!
//! Equal profiles give equal bytes, so the salt is no random one: it is the SHA-512 of
//! a fixed text and the appliance's name. It is *not* made of the password: a salt that
//! follows from the password by anything quicker than the hash itself would tell
//! whether a guess is right, and the iterations would protect nothing. What remains is
//! that whoever knows an appliance's name can compute hashes before having seen its
//! menu, for this name alone.

use std::fmt;
use std::num::NonZero;

use isoforge_base::tree::ReadFile;
use ring::{digest, pbkdf2};

use super::Finding;
use super::files::{self, BootFile};
use crate::Error;
use crate::error::unfit;

/// The name that GRUB asks for beside the password; it is no account of the system.
pub const USER: &str = "root";

/// GRUB's module that knows such passwords.
const MODULE: &str = "password_pbkdf2";

/// What a hash begins with.
const FORM: &str = "grub.pbkdf2.sha512.";

/// How often the password is hashed: what a guess costs. GRUB does it once for each
/// password that is typed, within seconds on a slow machine (OWASP, "Password Storage
/// Cheat Sheet", for PBKDF2-HMAC-SHA512).
const ITERATIONS: NonZero<u32> = NonZero::<u32>::MIN.saturating_add(210_000 - 1);

/// Bytes of salt and hash, as `grub-mkpasswd-pbkdf2` has them.
const HASH_BYTES: usize = digest::SHA512_OUTPUT_LEN;

/// Begins what the salt is made of.
const SALT_TEXT: &str = "isoforge GRUB password\0";

/// Fewest characters of a password: its hash is on every medium.
const MIN_CHARS: usize = 8;

/// Most characters; GRUB itself reads no more than 1,023.
const MAX_CHARS: usize = 256;

/// Largest GRUB for UEFI that is looked into, in bytes; real ones have less than 5 MiB.
const GRUB_MAX_BYTES: u64 = 64 << 20;

/// A password's hash in GRUB's form. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Lock(String);

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock")
    }
}

/// Checks that a password can be typed at GRUB's prompt and is not guessed at once.
///
/// # Errors
/// What is wrong with it, without showing it, and what to do.
pub fn check(password: &str) -> Result<(), (String, &'static str)> {
    let chars = password.chars().count();
    if !password.chars().all(|c| matches!(c, ' '..='~')) {
        let problem = "it has characters that GRUB's keyboard has not".to_owned();
        return Err((problem, "letters, digits and signs of ASCII"));
    }
    if chars < MIN_CHARS {
        let problem = format!("it has {chars} characters, fewer than {MIN_CHARS}");
        return Err((problem, "its hash is on every medium: take a long one"));
    }
    if chars > MAX_CHARS {
        let problem = format!("it has {chars} characters, more than {MAX_CHARS}");
        return Err((problem, "one that somebody can type"));
    }
    Ok(())
}

impl Lock {
    /// The hash of `password` for the appliance `name`.
    #[must_use]
    pub fn new(password: &str, name: &str) -> Self {
        let salt = digest::digest(&digest::SHA512, format!("{SALT_TEXT}{name}").as_bytes());
        Self::hash(password, salt.as_ref(), ITERATIONS)
    }

    pub(crate) fn hash(password: &str, salt: &[u8], iterations: NonZero<u32>) -> Self {
        let mut hash = [0; HASH_BYTES];
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA512;
        pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), &mut hash);
        Self(format!("{FORM}{iterations}.{}.{}", hex(salt), hex(&hash)))
    }

    /// Reads a hash, as [`text`](Self::text) has it. It becomes part of a script, so
    /// nothing else is taken.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fits = |text: &str| {
            let mut parts = text.strip_prefix(FORM)?.split('.');
            let (iterations, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
            let is_hex =
                |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            iterations.parse::<NonZero<u32>>().ok()?;
            (is_hex(salt) && is_hex(hash) && parts.next().is_none()).then_some(())
        };
        match fits(text) {
            Some(()) => Ok(Self(text.to_owned())),
            None => Err(unfit("the hash of GRUB's password is none").into()),
        }
    }

    /// The hash.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What locks a menu, to stand before its entries. An entry without
    /// `--unrestricted` then asks for the password too. Submenus and further
    /// configurations are locked with it: GRUB opens them with what is exported.
    #[must_use]
    pub fn of_menu(&self) -> String {
        let hash = &self.0;
        format!(
            "# Who has the password edits entries and uses GRUB's shell, nobody else.\n\
             set superusers={USER}\nexport superusers\n{MODULE} {USER} {hash}\n\n"
        )
    }

    /// What locks the stub that leads to a menu: where the menu can't be read, GRUB
    /// would give its shell to everybody. Nothing is exported, so the menu decides for
    /// itself. No quotes, as GRUB's rescue parser may be the one to read it.
    #[must_use]
    pub fn of_stub(&self) -> String {
        let hash = &self.0;
        format!("set superusers={USER}\n{MODULE} {USER} {hash}\n")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// An error where GRUB for UEFI, which carries its modules uncompressed, does not know
/// passwords.
///
/// # Errors
/// Where it can't be read.
pub fn of_uefi(data: &dyn ReadFile, grub: &BootFile) -> Result<Option<Finding>, Error> {
    let bytes = files::read(data, grub, GRUB_MAX_BYTES).map_err(files::unreadable(grub))?;
    let mut words = bytes.windows(MODULE.len());
    let is_there = words.any(|word| word == MODULE.as_bytes());
    Ok((!is_there).then(|| {
        Finding::error(
            format!(
                "{} has no module {MODULE}: with [boot] password nobody would get into its \
                 editor, with the password neither",
                grub.path
            ),
            "take a signed GRUB that has it, as those of Debian, Ubuntu, Fedora, RHEL and SUSE \
             do, or leave [boot] password out",
        )
    }))
}

/// What to say of a core image for BIOS that the OS image brings: its modules are
/// compressed, and nobody can tell which it has.
#[must_use]
pub fn of_found_core_image(path: &str) -> String {
    format!(
        "whether GRUB's core image {path} has the module {MODULE} can't be seen: without it \
         nobody gets into the editor under BIOS, with the password of [boot] neither"
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use insta::assert_snapshot;
    use isoforge_judges::trees::{InMemory, tree};

    use super::*;

    /// Over the inputs of RFC 6070, as they are common for SHA-512.
    #[test]
    fn hashes_are_those_of_the_known_vectors() {
        let hash = |iterations| {
            let iterations = NonZero::new(iterations).unwrap();
            Lock::hash("password", b"salt", iterations).0
        };
        assert_eq!(
            hash(1),
            "grub.pbkdf2.sha512.1.73616C74.867F70CF1ADE02CFF3752599A3A53DC4AF34C7A669815AE5D513554E\
             1C8CF252C02D470A285A0501BAD999BFE943C08F050235D7D68B1DA55E63F73B60A57FCE"
        );
        assert_eq!(
            hash(4096),
            "grub.pbkdf2.sha512.4096.73616C74.D197B1B33DB0143E018B12F3D1D1479E6CDEBDCC97C5C0F87F69\
             02E072F457B5143F30602641B3D55CD335988CB36B84376060ECD532E039B742A239434AF2D5"
        );
    }

    /// GRUB's own program, whose salt is its own: with that salt the hash is the same.
    #[test]
    fn grubs_own_program_gives_the_same_hash() {
        let password = "correct horse, battery";
        #[allow(clippy::disallowed_methods)]
        let mut child = Command::new("grub-mkpasswd-pbkdf2")
            .args(["--iteration-count=10000"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("grub-mkpasswd-pbkdf2 is needed (Debian package grub-common)");
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{password}\n{password}").unwrap();
        drop(stdin);
        let said = child.wait_with_output().unwrap().stdout;
        let said = String::from_utf8(said).unwrap();
        let theirs = said.split_whitespace().find(|word| word.starts_with(FORM));
        let theirs = theirs.unwrap_or_else(|| panic!("{said}"));
        let salt = theirs.split('.').nth(4).unwrap().as_bytes();
        let salt: Vec<u8> = salt
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let ours = Lock::hash(password, &salt, NonZero::new(10_000).unwrap());
        assert_eq!(ours.text(), theirs);
        assert_eq!(Lock::parse(theirs).unwrap(), ours);
    }

    #[test]
    fn the_salt_follows_from_the_name_and_from_no_password() {
        let parts = |password: &str, name: &str| {
            let lock = Lock::new(password, name);
            let mut parts = lock.text().split('.').skip(3).map(str::to_owned);
            let mut next = || parts.next().unwrap();
            (next(), next(), next())
        };
        let first = parts("correct horse", "edge");
        assert_eq!(first.0, "210000");
        assert_eq!((first.1.len(), first.2.len()), (128, 128));
        assert_eq!(first, parts("correct horse", "edge"));
        let other = parts("correct horsf", "edge");
        assert_eq!(first.1, other.1);
        assert_ne!(first.2, other.2);
        let other = parts("correct horse", "edge2");
        assert!(first.1 != other.1 && first.2 != other.2);
    }

    #[test]
    fn a_password_is_one_that_grub_can_be_told() {
        let says = |password: &str| check(password).map_err(|(problem, _)| problem);
        assert_eq!(says("correct horse ~"), Ok(()));
        assert_snapshot!(says("pässword").unwrap_err(), @"it has characters that GRUB's keyboard has not");
        assert_snapshot!(says("tab\tnewline\n").unwrap_err(), @"it has characters that GRUB's keyboard has not");
        assert_snapshot!(says("1234567").unwrap_err(), @"it has 7 characters, fewer than 8");
        assert_snapshot!(says(&"a".repeat(257)).unwrap_err(), @"it has 257 characters, more than 256");
    }

    #[test]
    fn nothing_but_a_hash_becomes_part_of_a_script() {
        let lock = Lock::new("correct horse", "edge");
        assert_eq!(Lock::parse(lock.text()).unwrap(), lock);
        assert_eq!(format!("{lock:?}"), "Lock");
        let text = lock.text();
        for wrong in [
            String::new(),
            format!("{text}\nset superusers="),
            format!("{text} ;"),
            format!("{text}.00"),
            text.replace("210000", "0"),
            text.replace("sha512", "sha256"),
            "grub.pbkdf2.sha512.10000.AB.".to_owned(),
            "grub.pbkdf2.sha512.10000..AB".to_owned(),
        ] {
            assert!(Lock::parse(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_grub_without_the_module_is_found() {
        let tree =
            tree("grub.efi = MZ..normal..password_pbkdf2..\nold.efi = MZ..normal..password..");
        let finding = |path: &str| of_uefi(&InMemory, &files::at(&tree, path).unwrap()).unwrap();
        assert_eq!(finding("grub.efi"), None);
        assert_snapshot!(finding("old.efi").unwrap().message, @"/old.efi has no module password_pbkdf2: with [boot] password nobody would get into its editor, with the password neither");
    }
}
