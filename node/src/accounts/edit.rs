//! Changes to accounts, as useradd(8), usermod(8) and passwd(1) make them.

use std::collections::BTreeSet;
use std::ops::Range;

use anyhow::{Context as _, Result, bail};

use super::database::Databases;
use super::table::{Kind, Row, group, passwd, shadow, union};
use isoforge_contract::cloud::{check_field, check_name};

/// Numbers of people and of their groups.
pub(crate) const PEOPLE: Range<u32> = 1000..60_000;

/// Numbers of system accounts, taken from above.
pub(crate) const SYSTEM: Range<u32> = 100..1000;

/// Where ranges of subordinate numbers begin.
const SUBORDINATES_START: u32 = 100_000;
/// How many numbers such a range has.
const SUBORDINATES: u32 = 65_536;

/// An account to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NewAccount {
    pub name: String,
    /// Its number; none: a free one.
    pub uid: Option<u32>,
    /// Its first group; none: one of its own name.
    pub group: Option<String>,
    /// Who it is.
    pub gecos: String,
    /// Its home directory; none: below `/home`.
    pub home: Option<String>,
    /// What a login starts; none: a shell.
    pub shell: Option<String>,
    /// Whether it is a system account.
    pub is_system: bool,
}

/// An account that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// Its number.
    pub uid: u32,
    /// Number of its first group.
    pub gid: u32,
    /// Its home directory.
    pub home: String,
}

/// An account by its name.
pub(crate) fn account(databases: &Databases, name: &str) -> Option<Account> {
    let row = databases.table(Kind::Passwd).get(name.as_bytes())?;
    Some(Account {
        uid: row.number(passwd::UID)?,
        gid: row.number(passwd::GID)?,
        home: String::from_utf8_lossy(row.field(passwd::HOME)).into_owned(),
    })
}

/// Number of a group.
pub(crate) fn gid(databases: &Databases, name: &str) -> Option<u32> {
    let row = databases.table(Kind::Group).get(name.as_bytes())?;
    row.number(group::GID)
}

/// Makes an account that is not there yet; no password opens it.
///
/// # Errors
/// For names and values that break lines, and numbers that are taken.
pub(crate) fn add(databases: &mut Databases, new: &NewAccount) -> Result<Account> {
    check_name(&new.name)?;
    let home = new
        .home
        .clone()
        .unwrap_or_else(|| format!("/home/{}", new.name));
    let shell = new.shell.as_deref().unwrap_or("/bin/sh");
    for (what, value) in [
        ("gecos", new.gecos.as_str()),
        ("home directory", &home),
        ("shell", shell),
    ] {
        check_field(what, value, &new.name)?;
    }
    let uid = match new.uid {
        Some(uid) => uid,
        None => {
            let mut taken = numbers(databases, Kind::Passwd, passwd::UID);
            // A group of the same number makes one that fits both.
            taken.extend(numbers(databases, Kind::Group, group::GID));
            let range = if new.is_system { SYSTEM } else { PEOPLE };
            free(&taken, range, &new.name)?
        }
    };
    if let Some(holder) = databases.table(Kind::Passwd).holder(passwd::UID, uid) {
        let holder = String::from_utf8_lossy(&holder);
        bail!(
            "'{}' can't have the number {uid}: '{holder}' has it",
            new.name
        );
    }
    let gid = match &new.group {
        Some(name) => {
            gid(databases, name).with_context(|| format!("there is no group '{name}'"))?
        }
        None => add_group(databases, &new.name, Some(uid), new.is_system)?,
    };
    let (uid_text, gid_text) = (uid.to_string(), gid.to_string());
    let fields = [
        &new.name, "x", &uid_text, &gid_text, &new.gecos, &home, shell,
    ];
    databases
        .table_mut(Kind::Passwd)
        .push(&fields.map(str::as_bytes));
    if databases
        .table(Kind::Shadow)
        .get(new.name.as_bytes())
        .is_none()
    {
        push_shadow(databases, &new.name);
    }
    if !new.is_system {
        for kind in [Kind::Subuid, Kind::Subgid] {
            if databases.has(kind) && databases.table(kind).get(new.name.as_bytes()).is_none() {
                add_subordinates(databases, kind, &new.name)?;
            }
        }
    }
    Ok(Account { uid, gid, home })
}

/// Makes sure of a group and gives its number: `wish` where that is free.
pub(crate) fn add_group(
    databases: &mut Databases,
    name: &str,
    wish: Option<u32>,
    is_system: bool,
) -> Result<u32> {
    if let Some(gid) = gid(databases, name) {
        return Ok(gid);
    }
    check_name(name)?;
    let taken = numbers(databases, Kind::Group, group::GID);
    let gid = match wish.filter(|wish| !taken.contains(wish)) {
        Some(wish) => wish,
        None => free(&taken, if is_system { SYSTEM } else { PEOPLE }, name)?,
    };
    let text = gid.to_string();
    let fields = [name, "x", &text, ""].map(str::as_bytes);
    databases.table_mut(Kind::Group).push(&fields);
    if databases.has(Kind::Gshadow)
        && databases
            .table(Kind::Gshadow)
            .get(name.as_bytes())
            .is_none()
    {
        let fields = [name, "!", "", ""].map(str::as_bytes);
        databases.table_mut(Kind::Gshadow).push(&fields);
    }
    Ok(gid)
}

/// Makes an account a member of a group, which is made where it lacks.
pub(crate) fn add_member(databases: &mut Databases, group_name: &str, name: &str) -> Result<()> {
    check_name(name)?;
    add_group(databases, group_name, None, true)?;
    for kind in [Kind::Group, Kind::Gshadow] {
        let table = databases.table_mut(kind);
        if let Some(row) = table.get(group_name.as_bytes()) {
            let members = union(row.field(group::MEMBERS), name.as_bytes());
            table.set(group_name.as_bytes(), group::MEMBERS, &members);
        }
    }
    Ok(())
}

/// An account's field for the password's hash.
pub(crate) fn password(databases: &Databases, name: &str) -> Option<Vec<u8>> {
    let row = databases.table(Kind::Shadow).get(name.as_bytes())?;
    Some(row.field(shadow::HASH).to_vec())
}

/// Sets the hash of an account's password; `must_change` asks for another at
/// the next login. The day of the change is not told: the clock of an early
/// boot may be wrong, and a password would age by it.
///
/// # Errors
/// Where there is no such account, and for what is no hash.
pub(crate) fn set_password(
    databases: &mut Databases,
    name: &str,
    hash: &str,
    must_change: bool,
) -> Result<()> {
    check_field("password", hash, name)?;
    if account(databases, name).is_none() {
        bail!(no_account(name));
    }
    if databases.table(Kind::Shadow).get(name.as_bytes()).is_none() {
        push_shadow(databases, name);
    }
    let changed = if must_change { "0" } else { "" };
    let table = databases.table_mut(Kind::Shadow);
    table.set(name.as_bytes(), shadow::HASH, hash.as_bytes());
    table.set(name.as_bytes(), shadow::CHANGED, changed.as_bytes());
    // Without this a hash in passwd(5), or none, would count.
    let table = databases.table_mut(Kind::Passwd);
    table.set(name.as_bytes(), 1, b"x");
    Ok(())
}

/// Locks an account for passwords, so that `passwd -u` opens it again; other
/// ways to log in stay.
pub(crate) fn lock(databases: &mut Databases, name: &str) -> Result<()> {
    let now = password(databases, name).with_context(|| no_account(name))?;
    if !now.starts_with(b"!") && !now.starts_with(b"*") {
        let locked = [b"!", now.as_slice()].concat();
        let table = databases.table_mut(Kind::Shadow);
        table.set(name.as_bytes(), shadow::HASH, &locked);
    }
    Ok(())
}

/// Gives an account a range of subordinate numbers.
pub(super) fn add_subordinates(databases: &mut Databases, kind: Kind, name: &str) -> Result<()> {
    let rows = databases.table(kind).rows();
    let end = rows
        .filter_map(|row| range_of(&row))
        .map(|range| range.end)
        .max();
    let start = end.map_or(SUBORDINATES_START, |end| end.max(SUBORDINATES_START));
    if start.checked_add(SUBORDINATES).is_none() {
        bail!(no_number(name));
    }
    let (start, count) = (start.to_string(), SUBORDINATES.to_string());
    let fields = [name, &start, &count].map(str::as_bytes);
    databases.table_mut(kind).push(&fields);
    Ok(())
}

/// The range of a line of subordinate numbers.
pub(super) fn range_of(row: &Row<'_>) -> Option<Range<u32>> {
    let start = row.number(1)?;
    Some(start..start.checked_add(row.number(2)?)?)
}

/// Numbers that two `/etc` use.
pub(super) fn taken(one: &Databases, other: &Databases, kind: Kind, at: usize) -> BTreeSet<u32> {
    let mut taken = numbers(one, kind, at);
    taken.extend(numbers(other, kind, at));
    taken
}

/// The next free number: people's from below, the system's from above.
pub(super) fn free(taken: &BTreeSet<u32>, range: Range<u32>, name: &str) -> Result<u32> {
    let is_free = |number: &u32| !taken.contains(number);
    let found = if range == SYSTEM {
        range.rev().find(is_free)
    } else {
        range.clone().find(is_free)
    };
    found.with_context(|| no_number(name))
}

fn numbers(databases: &Databases, kind: Kind, at: usize) -> BTreeSet<u32> {
    let rows = databases.table(kind).rows();
    rows.filter_map(|row| row.number(at)).collect()
}

fn push_shadow(databases: &mut Databases, name: &str) {
    let fields = [name, "!", "", "0", "99999", "7", "", "", ""].map(str::as_bytes);
    databases.table_mut(Kind::Shadow).push(&fields);
}

/// What is said of an account that is not there.
pub(crate) fn no_account(name: &str) -> String {
    format!("there is no account '{name}'")
}

fn no_number(name: &str) -> String {
    format!("no number is free for '{name}'")
}
