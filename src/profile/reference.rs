//! The reference of all keys as Markdown, made from the key table.

use super::Document;
use super::keys::{Fields, Key, Need, Shape, join, path_of};

const HEAD: &str = "\
<!-- Written by `cargo xtask generate` from the table of keys; edits here are lost. -->
# The profile

A profile is one TOML file. `isoforge validate PROFILE` checks it and reports all problems at once.

- Relative paths start from the directory of the file that writes them; in a `--set` argument from
  the current one.
- `extends = \"base.toml\"` builds on another profile: later keys win, tables merge, and a list
  replaces the base's unless its key is written as `\"+name\"`, which appends to it. Of keys that
  exclude each other, the one written last replaces the others.
- `--set key.path=value` goes over all files. The value is TOML, or else a string. A part of the path
  with dots in it is put in double quotes.
- `{arch}` and `{version}` in images, archives and URLs stand for the architecture (`amd64`, `arm64`)
  and the Kubernetes version; in image references a `+` of the version becomes `_`.
- A secret is written as `{ env = \"NAME\" }` or `{ file = \"PATH\" }`, never as its value.
- Keys that a later version will act on are errors that say so; they are listed at the end.
- `isoforge schema > profile.schema.json` writes a JSON Schema; with `#:schema ./profile.schema.json`
  as its first line, editors that know TOML complete and check the profile.
";

const CATALOG_HEAD: &str = "
# The catalog

A catalog says where a component comes from, so that a profile names only what it wants. The built-in
one is `profiles/catalog.toml`; `catalog = \"FILE\"` in a profile adds another, whose entries win over
entries of the same kind, name, version and `fips`.
";

/// A table of the reference; the path of a `[[…]]` has `[]` behind it.
struct Section {
    path: String,
    fields: &'static Fields,
}

/// The reference of profile and catalog, as `docs/profile.md` holds it.
#[must_use]
pub fn reference() -> String {
    let mut out = HEAD.to_owned();
    sections(&mut out, Document::Profile.fields(), true);
    out.push_str("\n## Known, but not supported by this version\n\n");
    let mut groups = Groups::new();
    later(&mut groups, "", Document::Profile.fields());
    for (reason, names) in groups {
        out.push_str(&format!("- {reason}: {}.\n", names.join(", ")));
    }
    out.push_str(CATALOG_HEAD);
    sections(&mut out, Document::Catalog.fields(), false);
    out
}

/// The reference of all keys of the settings file.
#[must_use]
pub fn settings_reference() -> String {
    let mut out = String::new();
    sections(&mut out, Document::Settings.fields(), true);
    out
}

fn sections(out: &mut String, root: &'static Fields, top_named: bool) {
    let mut all = Vec::new();
    collect(&mut all, "", root);
    let mut told = Vec::<(&Fields, String)>::new();
    for section in all {
        let title = match section.path.strip_suffix("[]") {
            Some(path) => format!("`[[{path}]]`"),
            None if section.path.is_empty() && top_named => "Top level".to_owned(),
            None if section.path.is_empty() => "Top level of a catalog".to_owned(),
            None => format!("`[{}]`", section.path),
        };
        out.push_str(&format!("\n## {title}\n\n"));
        if let Some((_, first)) = told.iter().find(|(f, _)| std::ptr::eq(*f, section.fields)) {
            out.push_str(&format!("The keys of {first}.\n"));
            continue;
        }
        told.push((section.fields, title));
        out.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
        for key in &section.fields.keys {
            if let Some(row) = row(key) {
                out.push_str(&row);
            }
        }
        for choice in &section.fields.choices {
            let names: Vec<_> = choice.names.iter().map(|n| format!("`{n}`")).collect();
            let count = if choice.required {
                "Exactly"
            } else {
                "At most"
            };
            out.push_str(&format!(
                "\n{count} one of {} is written.\n",
                names.join(", ")
            ));
        }
    }
}

/// Sections in the order of the key table.
fn collect(all: &mut Vec<Section>, path: &str, fields: &'static Fields) {
    all.push(Section {
        path: path.to_owned(),
        fields,
    });
    for key in fields.usable() {
        if let Some(inner) = key.shape.fields() {
            collect(all, &inner_path(path, key), inner);
        }
    }
}

/// The path of the table or tables that `key` holds.
fn inner_path(path: &str, key: &Key) -> String {
    match key.shape {
        Shape::Named(_) => format!("{}.\"…\"", path_of(path, key)),
        _ => path_of(path, key),
    }
}

fn row(key: &Key) -> Option<String> {
    let default = match &key.need {
        Need::Required => "**required**",
        Need::Default(default) => default,
        Need::Later(_) | Need::Refused(_) => return None,
    };
    Some(format!(
        "| `{}` | {} | {default} | {} |\n",
        key.name,
        describe(&key.shape),
        key.help
    ))
}

/// The type in words, with code where TOML is meant.
fn describe(shape: &Shape) -> String {
    match shape {
        Shape::Word(words) => code(words),
        Shape::List(of) if matches!(**of, Shape::Word(_)) => format!("array of {}", describe(of)),
        Shape::Secret => "`{ env = \"NAME\" }` or `{ file = \"PATH\" }`".to_owned(),
        Shape::PasswordHash => "string as crypt(5) has it".to_owned(),
        Shape::Size => "bytes: `262144` or `\"256K\"`".to_owned(),
        Shape::Mode => "octal: `\"0755\"` or `0o755`".to_owned(),
        Shape::Named(_) => "tables".to_owned(),
        other => {
            let words = other.describe();
            let bare = words.strip_prefix("an ").or(words.strip_prefix("a "));
            bare.unwrap_or(&words).replace("the ", "")
        }
    }
}

fn code(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|w| format!("`{w}`")).collect();
    words.join(", ")
}

/// What a key waits for, or what to do instead, and the keys that do.
type Groups = Vec<(String, Vec<String>)>;

fn later(groups: &mut Groups, path: &str, fields: &Fields) {
    for key in &fields.keys {
        let name = || join(path, key.name);
        match key.need {
            Need::Later(with) => group(groups, format!("Comes with {with}"), &name()),
            Need::Refused(instead) => group(groups, format!("Never: {instead}"), &name()),
            Need::Required | Need::Default(_) => {
                if let Some(inner) = key.shape.fields() {
                    later(groups, &inner_path(path, key), inner);
                }
            }
        }
    }
}

fn group(groups: &mut Groups, reason: String, name: &str) {
    let name = format!("`{name}`");
    match groups.iter_mut().find(|(known, _)| *known == reason) {
        Some((_, names)) => names.push(name),
        None => groups.push((reason, vec![name])),
    }
}
