//! Who comes in: a password against its hash (crypt(5)), and what shadow(5) says of
//! the account.
//!
//! Ours because a static program can't ask PAM. Known are the hashes that systems
//! make: yescrypt, SHA-512, SHA-256 and bcrypt; another one is told as such, and never
//! taken for a wrong password.

use std::fmt;

use super::database::Databases;
use super::edit::PEOPLE;
use super::table::{Kind, Row, group, passwd, shadow};

/// Groups whose members administrate a machine: Kairos's and ours, Debian's, Red Hat's.
const ADMINS: [&str; 3] = ["admin", "sudo", "wheel"];

/// Days that shadow(5) means by "never".
const NEVER: i64 = 99_999;

/// What a password is compared with where there is no such account, so that an answer
/// takes as long: an account's name is not to be found out by a watch. Of no password.
const NOBODY: &str = "$6$rounds=65536$a1B2c3D4e5F6g7H8$u6ba3ZC0f4LU1lua5rVzGDTC3suLHXWqsE9a8Uh/sjcoJZLsWPSYLiL34H90tl7Ui7XM2KP7Wbff1giFAl7y60";

/// Why somebody does not come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No such account, or another password. Which one is not told.
    Wrong,
    /// The account is locked, or has no password.
    Locked,
    /// The account's time is over.
    Expired,
    /// The password must be changed before, where a login can do that.
    MustChange,
    /// Nobody here knows the hash.
    UnknownHash,
    /// The account may not change the machine.
    NoAdmin,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wrong => "The name or the password is wrong.",
            Self::Locked => "The account is locked.",
            Self::Expired => "The account has expired.",
            Self::MustChange => "The password must be changed first: log in to a shell.",
            Self::UnknownHash => "The password's hash is of a kind that is not known here.",
            Self::NoAdmin => "The account may not change this machine (group 'admin').",
        })
    }
}

/// Checks a login of somebody who is to change the machine. `today` is in days since
/// 1970.
///
/// # Errors
/// Why not.
pub(crate) fn check(
    databases: &Databases,
    name: &str,
    password: &str,
    today: i64,
) -> Result<(), Refused> {
    let row = databases.table(Kind::Shadow).get(name.as_bytes());
    let known = databases.table(Kind::Passwd).get(name.as_bytes()).is_some();
    let Some(row) = row.filter(|_| known) else {
        let _ = holds(password, NOBODY);
        return Err(Refused::Wrong);
    };
    let hash = String::from_utf8_lossy(row.field(shadow::HASH)).into_owned();
    if !is_usable(hash.as_bytes()) {
        let _ = holds(password, NOBODY);
        return Err(Refused::Locked);
    }
    match holds(password, &hash) {
        Some(true) => {}
        Some(false) => return Err(Refused::Wrong),
        None => return Err(Refused::UnknownHash),
    }
    in_time(&row, today)?;
    if is_admin(databases, name) {
        Ok(())
    } else {
        Err(Refused::NoAdmin)
    }
}

/// Whether anybody can log in at all, by a password, or by a key as `has_keys` tells of
/// an account's home directory. Where somebody can, the machine is somebody's: who stands
/// before it makes no account of their own.
pub(crate) fn anybody(databases: &Databases, has_keys: impl Fn(&str) -> bool) -> bool {
    databases.table(Kind::Passwd).rows().any(|row| {
        let uid = row.number(passwd::UID);
        let is_person = uid.is_some_and(|uid| uid == 0 || PEOPLE.contains(&uid));
        let shadow = databases.table(Kind::Shadow).get(row.name());
        let has_password = shadow.is_some_and(|shadow| is_usable(shadow.field(shadow::HASH)));
        let home = String::from_utf8_lossy(row.field(passwd::HOME)).into_owned();
        is_person && (has_password || has_keys(&home))
    })
}

/// Whether a field of shadow(5) is a hash, and not locked.
fn is_usable(hash: &[u8]) -> bool {
    !hash.is_empty() && !hash.starts_with(b"!") && !hash.starts_with(b"*")
}

fn is_admin(databases: &Databases, name: &str) -> bool {
    let Some(row) = databases.table(Kind::Passwd).get(name.as_bytes()) else {
        return false;
    };
    let first = row.number(passwd::GID);
    row.number(passwd::UID) == Some(0)
        || ADMINS.iter().any(|admin| {
            let group = databases.table(Kind::Group).get(admin.as_bytes());
            group.is_some_and(|group| {
                let mut members = group.field(group::MEMBERS).split(|byte| *byte == b',');
                members.any(|member| member == name.as_bytes())
                    || (first.is_some() && group.number(group::GID) == first)
            })
        })
}

/// Whether the account may come in on that day (shadow(5)).
fn in_time(row: &Row<'_>, today: i64) -> Result<(), Refused> {
    let days = |field| row.number(field).map(i64::from);
    if days(shadow::EXPIRE).is_some_and(|expire| today >= expire) {
        return Err(Refused::Expired);
    }
    let Some(changed) = days(shadow::CHANGED) else {
        return Ok(());
    };
    if changed == 0 {
        return Err(Refused::MustChange);
    }
    let Some(max) = days(shadow::MAX).filter(|max| *max < NEVER) else {
        return Ok(());
    };
    let due = changed.saturating_add(max);
    match days(shadow::INACTIVE) {
        Some(inactive) if today > due.saturating_add(inactive) => Err(Refused::Expired),
        _ if today > due => Err(Refused::MustChange),
        _ => Ok(()),
    }
}

/// Whether the hash is of this password; none where its kind is not known.
fn holds(password: &str, hash: &str) -> Option<bool> {
    use sha_crypt::PasswordVerifier as _;
    let bytes = password.as_bytes();
    let kind = hash.strip_prefix('$')?.split('$').next()?;
    match kind {
        "5" | "6" => Some(
            sha_crypt::ShaCrypt::SHA512
                .verify_password(bytes, hash)
                .is_ok(),
        ),
        "y" => Some(
            yescrypt::Yescrypt::default()
                .verify_password(bytes, hash)
                .is_ok(),
        ),
        "2a" | "2b" | "2x" | "2y" => bcrypt::verify(password, hash).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes of "secret-1" by libxcrypt's crypt(3).
    const HASHES: [&str; 5] = [
        "$y$j9T$6B0u5eHCmXAzTFB1Mp7.W.$WZ1/YDf96dA1QpFRGmpmRmNBV0TdrD9Js4XdwonqIm/",
        "$6$saltsalt$Sz3kiTlz9z1weA0rv6ZP1VXe3w.3OdcNstYOBf59DJTlfS58158ixzQsRnlFKkTlSpUlPhsu88bFFaza8fOVR0",
        "$6$rounds=65536$a1B2c3D4e5F6g7H8$rEDUjOOhmQdAB4D61iZ8ibr1Iih4mSrOmmt43zdWTFIXYWwInGZECnCsXb58ROhb9cQR1aKKo60Z/B9On1Olu/",
        "$5$saltsalt$aGfOkCAdUe6gz9ePNXng8eGheIIWS/C0r4hYOpRsIB/",
        "$2b$05$abcdefghijklmnopqrstuuNyfD1e6TuAxhlZIeKrqXUCJ7D8jeA.m",
    ];

    /// The databases of an `/etc` with the account "op" of this shadow(5) line's rest.
    fn databases(shadow: &str, groups: &str) -> Databases {
        let etc = tempfile::tempdir().unwrap();
        let put = |name: &str, text: String| fs_err::write(etc.path().join(name), text).unwrap();
        put(
            "passwd",
            "root:x:0:0::/root:/bin/sh\nop:x:1000:1000::/home/op:/bin/sh\n".to_owned(),
        );
        put("shadow", format!("root:*:1:0:99999:7:::\nop:{shadow}\n"));
        put("group", format!("root:x:0:\nop:x:1000:\n{groups}"));
        Databases::read(etc.path()).unwrap()
    }

    fn admin(shadow: &str) -> Databases {
        databases(shadow, "admin:x:990:other,op\n")
    }

    #[test]
    fn every_usual_hash_is_known() {
        for hash in HASHES {
            let databases = admin(&format!("{hash}:20000:0:99999:7:::"));
            assert_eq!(
                check(&databases, "op", "secret-1", 20_001),
                Ok(()),
                "{hash}"
            );
            let wrong = check(&databases, "op", "secret-2", 20_001);
            assert_eq!(wrong, Err(Refused::Wrong), "{hash}");
        }
    }

    #[test]
    fn what_crypt_of_the_system_makes_is_known() {
        // perl's crypt is that of the C library, which has yescrypt on Debian.
        let script = r#"print crypt("secret-1", q{$y$j9T$abcdefghijklmnopqrstu.})"#;
        let program = isoforge_base::process::Program::new("perl", "perl-base");
        let made = program.args(["-e", script]).output(4096).unwrap();
        let hash = String::from_utf8(made).unwrap();
        assert!(hash.starts_with("$y$"), "{hash}");
        let databases = admin(&format!("{hash}::0:99999:7:::"));
        assert_eq!(check(&databases, "op", "secret-1", 20_001), Ok(()));
    }

    #[test]
    fn locks_and_ends_are_honoured() {
        let hash = HASHES[1];
        for (shadow, expected) in [
            (format!("!{hash}:20000:0:99999:7:::"), Err(Refused::Locked)),
            ("*:20000:0:99999:7:::".to_owned(), Err(Refused::Locked)),
            (":20000:0:99999:7:::".to_owned(), Err(Refused::Locked)),
            (
                "$7$x$y:1:0:99999:7:::".to_owned(),
                Err(Refused::UnknownHash),
            ),
            (format!("{hash}:0:0:99999:7:::"), Err(Refused::MustChange)),
            (format!("{hash}::0:99999:7:::"), Ok(())),
            (format!("{hash}:20000:0:30:7:::"), Ok(())),
            (format!("{hash}:19900:0:30:7:::"), Err(Refused::MustChange)),
            (format!("{hash}:19900:0:30:7:10::"), Err(Refused::Expired)),
            (
                format!("{hash}:20000:0:99999:7::20001:"),
                Err(Refused::Expired),
            ),
            (format!("{hash}:20000:0:99999:7::20002:"), Ok(())),
        ] {
            let found = check(&admin(&shadow), "op", "secret-1", 20_001);
            assert_eq!(found, expected, "{shadow}");
        }
    }

    #[test]
    fn only_who_administrates_comes_in_and_names_are_not_found_out() {
        let line = format!("{}:20000:0:99999:7:::", HASHES[1]);
        let check = |groups: &str, name: &str, password: &str| {
            check(&databases(&line, groups), name, password, 20_001)
        };
        assert_eq!(check("", "op", "secret-1"), Err(Refused::NoAdmin));
        assert_eq!(check("", "op", "secret-2"), Err(Refused::Wrong));
        assert_eq!(check("sudo:x:27:op\n", "op", "secret-1"), Ok(()));
        // By the account's first group.
        assert_eq!(check("wheel:x:1000:\n", "op", "secret-1"), Ok(()));
        assert_eq!(
            check("admin:x:990:ops\n", "op", "secret-1"),
            Err(Refused::NoAdmin)
        );
        assert_eq!(check("", "nobody-such", "secret-1"), Err(Refused::Wrong));
        assert_eq!(check("", "root", "secret-1"), Err(Refused::Locked));
    }

    #[test]
    fn a_machine_without_anybody_who_could_log_in_is_told_apart() {
        let line = format!("{}:20000:0:99999:7:::", HASHES[1]);
        let locked = databases("!:20000:0:99999:7:::", "admin:x:990:op\n");
        assert!(!anybody(&locked, |_| false));
        // By a key, or by a password without the rights: the machine is somebody's.
        assert!(anybody(&locked, |home| home == "/home/op"));
        assert!(anybody(&databases(&line, ""), |_| false));
        // What services have is nobody's.
        let etc = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs_err::write(etc.path().join(name), text).unwrap();
        put("passwd", "svc:x:990:990::/srv:/usr/sbin/nologin\n");
        put("shadow", &format!("svc:{line}\n"));
        assert!(!anybody(&Databases::read(etc.path()).unwrap(), |_| true));
    }
}
