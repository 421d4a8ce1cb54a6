//! What may be typed about accounts and names. Each function gives the value as it is
//! used, or what is wrong with it in words.

use isoforge_contract::cloud::check_hostname;
use isoforge_contract::machine::PasswordRules;

/// Longest name of an account, as useradd has it.
const NAME_MAX: usize = 32;

/// Longest host name of Linux.
const HOSTNAME_MAX: usize = 64;

/// Fewest characters of an SSH key's middle part.
const KEY_MIN: usize = 40;

pub(crate) type Checked<T> = Result<T, String>;

/// An account's name; `taken` are the accounts that the system has.
pub(crate) fn account_name(text: &str, taken: &[String]) -> Checked<String> {
    let name = text.trim();
    if name.is_empty() {
        return Err("The account needs a name.".to_owned());
    }
    let first = |c: char| c.is_ascii_lowercase() || c == '_';
    let rest = |c: char| first(c) || c.is_ascii_digit() || c == '-';
    if !name.starts_with(first) || !name.chars().all(rest) {
        return Err("A name has small letters, digits, - and _, a letter first.".to_owned());
    }
    if name.len() > NAME_MAX {
        return Err(format!("A name has at most {NAME_MAX} characters."));
    }
    if name == "root" || taken.iter().any(|other| other == name) {
        return Err(format!("The system has an account '{name}' of its own."));
    }
    Ok(name.to_owned())
}

/// A password, typed twice.
pub(crate) fn password(first: &str, second: &str, rules: PasswordRules) -> Checked<()> {
    new_password(first, rules)?;
    if first != second {
        return Err("The two passwords differ.".to_owned());
    }
    Ok(())
}

/// A password as it is typed the first time.
pub(crate) fn new_password(text: &str, rules: PasswordRules) -> Checked<()> {
    if text.is_empty() {
        return Err("The account needs a password.".to_owned());
    }
    rules.check(text)
}

/// A line of `authorized_keys` without options; none where nothing is typed.
pub(crate) fn ssh_key(text: &str) -> Checked<Option<String>> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let mut parts = text.split_ascii_whitespace();
    let (kind, blob) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let known = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-sha2-"];
    let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    if !known.iter().any(|start| kind.starts_with(start)) {
        return Err("A public SSH key starts with its kind, such as ssh-ed25519.".to_owned());
    }
    if blob.len() < KEY_MIN || !blob.chars().all(base64) {
        return Err("The SSH key is not complete.".to_owned());
    }
    Ok(Some(text.to_owned()))
}

/// A host name; none where nothing is typed.
pub(crate) fn hostname(text: &str) -> Checked<Option<String>> {
    let name = text.trim();
    if name.is_empty() {
        return Ok(None);
    }
    if name.len() > HOSTNAME_MAX {
        return Err(format!(
            "A host name has at most {HOSTNAME_MAX} characters."
        ));
    }
    if check_hostname(name).is_err() {
        return Err(
            "A host name has letters, digits and -, in parts with dots between.".to_owned(),
        );
    }
    Ok(Some(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_accounts() {
        let taken = ["daemon".to_owned()];
        assert_eq!(account_name(" op_1-x ", &taken).unwrap(), "op_1-x");
        let long = "a".repeat(33);
        for bad in [
            "", "  ", "1a", "-a", "Anna", "a b", "a:b", "ä", "root", "daemon", &long,
        ] {
            assert!(account_name(bad, &taken).is_err(), "{bad}");
        }
        assert_eq!(
            account_name("daemon", &taken).unwrap_err(),
            "The system has an account 'daemon' of its own."
        );
    }

    #[test]
    fn passwords_are_there_and_equal() {
        let rules = PasswordRules {
            min_length: 2,
            classes: 1,
        };
        assert!(password("", "", rules).is_err());
        assert!(password("aa", "ab", rules).is_err());
        assert!(password("ä ", "ä ", rules).is_ok());
        assert!(password("ä", "ä", rules).is_err());
    }

    #[test]
    fn ssh_keys() {
        let blob = "A".repeat(68);
        assert_eq!(ssh_key("  "), Ok(None));
        let key = format!("ssh-ed25519 {blob} me@here now");
        assert_eq!(ssh_key(&key), Ok(Some(key.clone())));
        assert!(ssh_key(&format!("sk-ssh-ed25519@openssh.com {blob}")).is_ok());
        for bad in [
            "ssh-ed25519",
            "ssh-rsa AAAA",
            &blob,
            &format!("ssh-rsa {blob}*"),
        ] {
            assert!(ssh_key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn host_names() {
        assert_eq!(hostname(""), Ok(None));
        assert_eq!(
            hostname("node-1.Example.org").unwrap().unwrap(),
            "node-1.Example.org"
        );
        let (label, whole) = ("a".repeat(64), "a.".repeat(33));
        for bad in ["-a", "a-", "a..b", ".", "a b", "ä", "a_b", &label, &whole] {
            assert!(hostname(bad).is_err(), "{bad}");
        }
    }
}
