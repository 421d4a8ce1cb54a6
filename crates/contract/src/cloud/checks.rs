//! What the machine's databases, files and programs take: the one list of checks that
//! the build, the installer and the machine hold a cloud-config to.

use crate::Error;

/// Longest password in bytes; libxcrypt's limit.
const PASSWORD_MAX_BYTES: usize = 512;
/// Longest host's name that the kernel takes.
const HOSTNAME_MAX_BYTES: usize = 64;
/// Longest part of it between dots.
const LABEL_MAX_BYTES: usize = 63;

/// Whether a shadow(5) field is a hash that some password fits. `!` before it
/// locks it, and it is one no more.
#[must_use]
pub fn is_hash(field: &[u8]) -> bool {
    let is_des = || {
        let fits = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/');
        field.len() == 13 && field.iter().all(fits)
    };
    field.first() == Some(&b'$') || is_des()
}

/// Holds a name to what shadow's tools take.
///
/// # Errors
/// For any other.
pub fn check_name(name: &str) -> Result<(), Error> {
    let mut chars = name.chars();
    let first = chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let rest = chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if first && rest && name.len() <= 32 {
        Ok(())
    } else {
        Err(Error::AccountName(name.to_owned()))
    }
}

/// Holds a host's name to what the kernel and resolvers take.
///
/// # Errors
/// For any other.
pub fn check_hostname(name: &str) -> Result<(), Error> {
    let is_label = |label: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (1..=LABEL_MAX_BYTES).contains(&label.len())
            && label.chars().all(fits)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() <= HOSTNAME_MAX_BYTES && name.split('.').all(is_label) {
        Ok(())
    } else {
        Err(Error::HostName(name.to_owned()))
    }
}

/// Holds a password to what crypt(3) takes.
///
/// # Errors
/// For any other.
pub fn check_password(password: &str) -> Result<(), Error> {
    if (1..=PASSWORD_MAX_BYTES).contains(&password.len()) && !password.contains('\0') {
        Ok(())
    } else {
        Err(Error::Password {
            most: PASSWORD_MAX_BYTES,
        })
    }
}

/// Holds a field of an account to what stays in its place in passwd(5) and shadow(5);
/// `what` is the field, and `account` whose it is.
///
/// # Errors
/// For any other.
pub fn check_field(what: &'static str, value: &str, account: &str) -> Result<(), Error> {
    if value.contains(':') || value.chars().any(char::is_control) {
        return Err(Error::AccountField {
            what,
            account: account.to_owned(),
        });
    }
    Ok(())
}

/// Holds a file's path to one that ends in a name.
///
/// # Errors
/// For any other.
pub(super) fn check_file_path(path: &str) -> Result<(), Error> {
    match path.trim_end_matches('/').rsplit('/').next() {
        Some("" | "." | "..") | None => Err(Error::FilePath(path.to_owned())),
        Some(_) => Ok(()),
    }
}

/// Holds a setting to what stays on its line: `KEY=VALUE`.
///
/// # Errors
/// For any other.
pub(super) fn check_setting(key: &str, value: &str) -> Result<(), Error> {
    let is_key = !key.is_empty()
        && !key.contains(|c: char| c.is_whitespace() || c.is_control() || "=#;[".contains(c));
    line(key, is_key && !value.contains(char::is_control))
}

/// Holds a variable to what pam_env(8) and systemd take alike.
///
/// # Errors
/// For any other.
pub(super) fn check_variable(name: &str, value: &str) -> Result<(), Error> {
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit());
    let is_value = !value.contains(|c: char| c.is_control() || "\"\\".contains(c));
    line(name, is_name && is_value)
}

fn line(key: &str, stays: bool) -> Result<(), Error> {
    if stays {
        Ok(())
    } else {
        Err(Error::Setting(key.to_owned()))
    }
}

/// Holds an argument of systemd-firstboot(1) to how those are named.
///
/// # Errors
/// For any other.
pub(super) fn check_firstboot(key: &str, _value: &str) -> Result<(), Error> {
    let is_name = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    if is_name {
        Ok(())
    } else {
        Err(Error::Firstboot(key.to_owned()))
    }
}
