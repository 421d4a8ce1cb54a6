//! Accounts of a cloud-config, in cloud-init's list and in yip's map.

use super::checks::{check_field, check_name, check_password, is_hash};
use super::reader::{Fields, Reader};
use isoforge_base::yaml::{Node, Value};

/// A password as a document gives it.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// Its hash, as crypt(5) has it, or `!` or `*`: none opens the account.
    Hash(String),
    /// The password itself.
    Plain(String),
}

// A log is no place for either.
impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Hash(_) => "Hash(…)",
            Self::Plain(_) => "Plain(…)",
        })
    }
}

/// An account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its password; none: none opens it.
    pub password: Option<Password>,
    /// Whether no password opens it, whatever the password is.
    pub lock_passwd: Option<bool>,
    /// Whether another password must be set at the first login.
    pub must_change_password: Option<bool>,
    /// Who it is.
    pub gecos: Option<String>,
    /// Groups beside its first one.
    pub groups: Vec<String>,
    /// Its first group; none: one of its own name.
    pub primary_group: Option<String>,
    /// Its number.
    pub uid: Option<u32>,
    /// Its home directory.
    pub home: Option<String>,
    /// What a login starts.
    pub shell: Option<String>,
    /// Whether it is a system account.
    pub system: Option<bool>,
    /// Whether no home directory is made.
    pub no_create_home: Option<bool>,
    /// Keys that open it.
    pub ssh_authorized_keys: Vec<String>,
    /// Rules for sudo.
    pub sudo: Vec<String>,
}

impl User {
    /// Whether somebody can log in to it as it is described.
    #[must_use]
    pub(crate) fn can_log_in(&self) -> bool {
        let has_password = match &self.password {
            Some(Password::Hash(hash)) => is_hash(hash.as_bytes()),
            Some(Password::Plain(_)) => true,
            None => false,
        };
        has_password && self.lock_passwd != Some(true) || !self.ssh_authorized_keys.is_empty()
    }

    /// The account of two documents: what the later says counts, lists are put
    /// together.
    #[must_use]
    pub fn overlaid(mut self, later: &Self) -> Self {
        fn over<T: Clone>(earlier: &mut Option<T>, later: &Option<T>) {
            if later.is_some() {
                earlier.clone_from(later);
            }
        }
        fn add(earlier: &mut Vec<String>, later: &[String]) {
            for item in later {
                if !earlier.contains(item) {
                    earlier.push(item.clone());
                }
            }
        }
        over(&mut self.password, &later.password);
        over(&mut self.lock_passwd, &later.lock_passwd);
        over(&mut self.must_change_password, &later.must_change_password);
        over(&mut self.gecos, &later.gecos);
        over(&mut self.primary_group, &later.primary_group);
        over(&mut self.uid, &later.uid);
        over(&mut self.home, &later.home);
        over(&mut self.shell, &later.shell);
        over(&mut self.system, &later.system);
        over(&mut self.no_create_home, &later.no_create_home);
        add(&mut self.groups, &later.groups);
        add(&mut self.ssh_authorized_keys, &later.ssh_authorized_keys);
        add(&mut self.sudo, &later.sudo);
        self
    }
}

/// Reads `users`: a list of names or maps, or a map by name.
pub(super) fn read_all(reader: &mut Reader, item: &Node, path: &str) -> Vec<User> {
    let mut users = Vec::new();
    if matches!(item.value, Value::Map(_)) {
        for (name, key, value) in reader.entries(item, path) {
            let path = format!("{path}.{name}");
            users.extend(read(reader, key, value, &path, Some(name)));
        }
        return users;
    }
    for (item, path) in reader.list(item, path) {
        match item.scalar() {
            Some("default") => {
                reader.unknown(
                    item,
                    format!("'{path}': there is no account 'default' here"),
                );
            }
            Some(name) => users.extend(named(reader, item, name.to_owned())),
            None => users.extend(read(reader, item, item, &path, None)),
        }
    }
    users
}

fn named(reader: &mut Reader, place: &Node, name: String) -> Option<User> {
    if let Err(error) = check_name(&name) {
        reader.problem(place, error.to_string());
        return None;
    }
    Some(User {
        name,
        ..User::default()
    })
}

fn read(
    reader: &mut Reader,
    place: &Node,
    item: &Node,
    path: &str,
    key: Option<String>,
) -> Option<User> {
    let mut fields = reader.record(item, path);
    let given = fields.text(reader, "name");
    let Some(name) = key.or(given) else {
        reader.problem(place, format!("'{path}' has no name"));
        return None;
    };
    let wrong = reader.wrong();
    let mut user = named(reader, place, name)?;
    password(reader, &mut fields, &mut user);
    let account = user.name.clone();
    let mut text = |fields: &mut Fields<'_>, key: &str, what: &'static str| {
        let item = fields.take(key)?;
        let path = fields.path(key);
        let text = reader.text(item, &path)?;
        reader
            .holds(item, &path, check_field(what, &text, &account))
            .then_some(text)
    };
    user.gecos = text(&mut fields, "gecos", "gecos");
    user.home = text(&mut fields, "homedir", "home directory");
    user.shell = text(&mut fields, "shell", "shell");
    user.must_change_password = fields.flag(reader, "must_change_password");
    if let Some(item) = fields.take("groups") {
        user.groups = groups(reader, item, &fields.path("groups"));
    }
    if let Some(item) = fields.take("primary_group") {
        let path = fields.path("primary_group");
        user.primary_group = reader
            .text(item, &path)
            .filter(|name| reader.holds(item, &path, check_name(name)));
    }
    if fields.flag(reader, "no_user_group") == Some(true) && user.primary_group.is_none() {
        // What useradd gives to who has no group of his own.
        user.primary_group = Some("users".to_owned());
    }
    if let Some(item) = fields.take("uid") {
        match item.scalar().and_then(|text| text.parse().ok()) {
            Some(uid) => user.uid = Some(uid),
            None => reader.problem(item, format!("'{path}.uid' must be a number from 0")),
        }
    }
    user.system = fields.flag(reader, "system");
    user.no_create_home = fields.flag(reader, "no_create_home");
    // There is no log of last logins to leave it out of.
    let _ = fields.flag(reader, "no_log_init");
    if let Some(item) = fields.take("ssh_authorized_keys") {
        user.ssh_authorized_keys = keys(reader, item, &fields.path("ssh_authorized_keys"));
    }
    if let Some(item) = fields.take("sudo") {
        user.sudo = sudo(reader, item, &fields.path("sudo"));
    }
    fields.finish(reader);
    (reader.wrong() == wrong).then_some(user)
}

fn password(reader: &mut Reader, fields: &mut Fields<'_>, user: &mut User) {
    let hash = fields.text(reader, "passwd");
    let plain = fields.text(reader, "plain_text_passwd");
    let (item, path) = match &hash {
        Some(_) => (fields.take("passwd"), fields.path("passwd")),
        None => (
            fields.take("plain_text_passwd"),
            fields.path("plain_text_passwd"),
        ),
    };
    let password = match (hash, plain) {
        (Some(hash), _) if hash.starts_with(['$', '!', '*']) => Some(Password::Hash(hash)),
        (Some(plain), _) | (None, Some(plain)) => Some(Password::Plain(plain)),
        (None, None) => None,
    };
    if let (Some(password), Some(item)) = (&password, item) {
        let checked = match password {
            Password::Hash(hash) => check_field("password", hash, &user.name),
            Password::Plain(plain) => check_password(plain),
        };
        reader.holds(item, &path, checked);
    }
    user.password = password;
    user.lock_passwd = fields
        .flag(reader, "lock_passwd")
        .or(fields.flag(reader, "lockPasswd"));
}

/// A list of names, or a text of names with commas between them.
fn groups(reader: &mut Reader, item: &Node, path: &str) -> Vec<String> {
    let names = match item.scalar() {
        Some(text) => text.split(',').map(|name| name.trim().to_owned()).collect(),
        None => reader.texts(item, path),
    };
    let names: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
    for name in &names {
        if let Err(error) = check_name(name) {
            reader.problem(item, error.to_string());
        }
    }
    names
}

/// Keys that stand there; those that would have to be fetched are told.
pub(super) fn keys(reader: &mut Reader, item: &Node, path: &str) -> Vec<String> {
    let mut keys = Vec::new();
    for (item, path) in reader.list(item, path) {
        let Some(text) = reader.text(item, &path) else {
            continue;
        };
        let key = text.trim();
        if key.chars().any(char::is_control) {
            reader.problem(item, format!("'{path}' must be one line"));
        } else if ["github:", "gitlab:", "http:", "https:"]
            .iter()
            .any(|source| key.starts_with(source))
        {
            reader.unknown(item, format!("'{path}' is no key; none is fetched"));
        } else if !key.is_empty() {
            keys.push(key.to_owned());
        }
    }
    keys
}

/// Rules; `false` is none.
fn sudo(reader: &mut Reader, item: &Node, path: &str) -> Vec<String> {
    let rules = match (&item.value, item.scalar()) {
        (Value::Bool(false, _), _) => Vec::new(),
        (Value::Bool(true, _), _) => {
            reader.problem(
                item,
                format!("'{path}' must be a rule, such as 'ALL=(ALL) ALL'"),
            );
            Vec::new()
        }
        (_, Some(rule)) => vec![rule.to_owned()],
        (_, None) => reader.texts(item, path),
    };
    let rules: Vec<String> = rules.iter().map(|rule| rule.trim().to_owned()).collect();
    if rules.iter().any(|rule| rule.chars().any(char::is_control)) {
        reader.problem(item, format!("each rule of '{path}' must be one line"));
    }
    rules.into_iter().filter(|rule| !rule.is_empty()).collect()
}
