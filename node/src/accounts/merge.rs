//! Kept accounts and the slot's, merged by name.
//!
//! - An account or group that the slot lacks is added.
//! - The password of an account, and how it ages, is the kept one.
//! - Members of a group are those of both.
//! - Numbers of people (1000 to 59999) are the machine's, since files in kept
//!   directories carry them: should the slot bring another account with such a
//!   number, that one gets a free number. All other numbers are the slot's,
//!   since the slot's files carry them: a kept system account whose number the
//!   slot gives to another gets a free one. Either is told.
//! - Of an account that both have, a person's line is the machine's; of a
//!   system account gecos and shell.
//! - What the slot has and the machine removed is there again.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::database::Databases;
use super::edit::{self, PEOPLE, SYSTEM};
use super::table::{Kind, Row, Table, group, passwd, union};

/// What came of merging.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    /// Whether a database was changed.
    pub changed: bool,
    /// What people should know.
    pub notes: Vec<String>,
}

/// Merges what was kept into the slot's databases.
pub(super) fn merge(slot: &mut Databases, kept: &Databases) -> Result<Merged> {
    let mut notes = Vec::new();
    let groups = numbers(slot, kept, Kind::Group, group::GID, "group", &mut notes)?;
    // Accounts of the slot whose group moved go along; kept ones below.
    for (from, to) in &groups.slot {
        for name in names_with(slot, Kind::Passwd, passwd::GID, *from) {
            let to = to.to_string();
            slot.table_mut(Kind::Passwd)
                .set(&name, passwd::GID, to.as_bytes());
        }
    }
    let before = names(slot, Kind::Passwd);
    let users = numbers(slot, kept, Kind::Passwd, passwd::UID, "account", &mut notes)?;
    for row in kept.table(Kind::Passwd).rows() {
        account(slot, &row, &before, &users, &groups);
    }
    for row in kept.table(Kind::Group).rows() {
        members(slot, Kind::Group, &row, &[(group::MEMBERS, true)]);
    }
    for row in kept.table(Kind::Shadow).rows() {
        if slot.table(Kind::Passwd).get(row.name()).is_some() {
            let fields: Vec<_> = (1..Kind::Shadow.fields()).map(|at| (at, false)).collect();
            members(slot, Kind::Shadow, &row, &fields);
        }
    }
    if slot.has(Kind::Gshadow) {
        for row in kept.table(Kind::Gshadow).rows() {
            if slot.table(Kind::Group).get(row.name()).is_some() {
                members(
                    slot,
                    Kind::Gshadow,
                    &row,
                    &[(1, false), (2, true), (3, true)],
                );
            }
        }
    }
    for kind in [Kind::Subuid, Kind::Subgid] {
        subordinates(slot, kept, kind)?;
    }
    Ok(Merged {
        changed: false,
        notes,
    })
}

/// Numbers that changed, from and to.
#[derive(Debug, Default)]
struct Moved {
    /// Of accounts that the slot has.
    slot: BTreeMap<u32, u32>,
    /// Of kept accounts.
    kept: BTreeMap<u32, u32>,
}

/// Settles the numbers of one kind: adds groups that the slot lacks, moves
/// whoever has to. Accounts that the slot lacks are added by [`account`], which
/// needs their groups' numbers.
fn numbers(
    slot: &mut Databases,
    kept: &Databases,
    kind: Kind,
    at: usize,
    what: &str,
    notes: &mut Vec<String>,
) -> Result<Moved> {
    let mut moved = Moved::default();
    let kept_names = names(kept, kind);
    for row in kept.table(kind).rows() {
        let label = row.label();
        let Some(number) = row.number(at) else {
            notes.push(format!("kept {what} '{label}' has no number; left out"));
            continue;
        };
        let slots_row = slot.table(kind).get(row.name());
        let own = slots_row.and_then(|row| row.number(at));
        let is_person = PEOPLE.contains(&number);
        if let Some(own) = own.filter(|own| *own != number && !is_person) {
            moved.kept.insert(number, own);
            notes.push(format!(
                "{what} '{label}' has the system's number {own}, not the kept {number}"
            ));
            continue;
        }
        // Accounts that share a number on purpose are both kept, or root's.
        let holder = slot
            .table(kind)
            .holder(at, number)
            .filter(|holder| holder != row.name() && !kept_names.contains(holder) && number != 0);
        let mut now = number;
        if let Some(holder) = holder {
            let other = String::from_utf8_lossy(&holder).into_owned();
            let range = if is_person { PEOPLE } else { SYSTEM };
            let free = edit::free(&edit::taken(slot, kept, kind, at), range, &label)?;
            notes.push(if is_person {
                moved.slot.insert(number, free);
                let table = slot.table_mut(kind);
                table.set(&holder, at, free.to_string().as_bytes());
                format!("{what} '{other}' of the system has the number {free}: '{label}' keeps {number}")
            } else {
                moved.kept.insert(number, free);
                now = free;
                format!("{what} '{label}' has the number {free}, not the kept {number}: that is '{other}' of the system")
            });
        }
        if let Some(own) = own.filter(|own| *own != now) {
            moved.slot.entry(own).or_insert(now);
        }
        set_number(slot.table_mut(kind), &row, at, now);
    }
    Ok(moved)
}

/// Gives the line of the row's name a number; where there is no line, it is the row's.
fn set_number(table: &mut Table, row: &Row<'_>, at: usize, number: u32) {
    let number = number.to_string();
    if table.get(row.name()).is_none() {
        table.push(row.fields());
    }
    table.set(row.name(), at, number.as_bytes());
}

/// One kept account's line; its number is settled.
fn account(
    slot: &mut Databases,
    row: &Row<'_>,
    before: &BTreeSet<Vec<u8>>,
    users: &Moved,
    groups: &Moved,
) {
    let Some(uid) = row.number(passwd::UID) else {
        return;
    };
    let table = slot.table_mut(Kind::Passwd);
    table.set(row.name(), passwd::GECOS, row.field(passwd::GECOS));
    table.set(row.name(), passwd::SHELL, row.field(passwd::SHELL));
    let is_of_slot = before.contains(row.name());
    let is_person = PEOPLE.contains(users.kept.get(&uid).unwrap_or(&uid));
    if is_of_slot && !is_person {
        return;
    }
    table.set(row.name(), passwd::HOME, row.field(passwd::HOME));
    if let Some(gid) = row.number(passwd::GID) {
        let gid = groups.kept.get(&gid).unwrap_or(&gid).to_string();
        table.set(row.name(), passwd::GID, gid.as_bytes());
    }
}

/// Brings a kept line's fields into the slot's line: in the place of what is
/// there, or as further names. A line that the slot lacks is added.
fn members(slot: &mut Databases, kind: Kind, row: &Row<'_>, fields: &[(usize, bool)]) {
    let table = slot.table_mut(kind);
    let Some(own) = table.get(row.name()) else {
        table.push(row.fields());
        return;
    };
    let values: Vec<(usize, Vec<u8>)> = fields
        .iter()
        .map(|(at, adds)| {
            let value = if *adds {
                union(own.field(*at), row.field(*at))
            } else {
                row.field(*at).to_vec()
            };
            (*at, value)
        })
        .collect();
    for (at, value) in values {
        table.set(row.name(), at, &value);
    }
}

/// Ranges of subordinate numbers: kept ones come in the place of those that the
/// slot has for the name; a range of the slot that overlaps one is moved.
fn subordinates(slot: &mut Databases, kept: &Databases, kind: Kind) -> Result<()> {
    let kept_names = names(kept, kind);
    for name in &kept_names {
        slot.table_mut(kind).remove(name);
    }
    for row in kept.table(kind).rows() {
        if slot.table(Kind::Passwd).get(row.name()).is_some() {
            slot.table_mut(kind).push(row.fields());
        }
    }
    for name in names(slot, kind) {
        if kept_names.contains(&name) {
            continue;
        }
        let clashes = slot.table(kind).get(&name).is_some_and(|own| {
            let Some(own) = edit::range_of(&own) else {
                return false;
            };
            kept.table(kind)
                .rows()
                .filter_map(|row| edit::range_of(&row))
                .any(|range| range.start < own.end && own.start < range.end)
        });
        if clashes {
            slot.table_mut(kind).remove(&name);
            edit::add_subordinates(slot, kind, &String::from_utf8_lossy(&name))?;
        }
    }
    Ok(())
}

fn names(databases: &Databases, kind: Kind) -> BTreeSet<Vec<u8>> {
    let rows = databases.table(kind).rows();
    rows.map(|row| row.name().to_vec()).collect()
}

fn names_with(databases: &Databases, kind: Kind, at: usize, number: u32) -> Vec<Vec<u8>> {
    let rows = databases.table(kind).rows();
    rows.filter(|row| row.number(at) == Some(number))
        .map(|row| row.name().to_vec())
        .collect()
}
