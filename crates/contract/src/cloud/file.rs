//! Files and directories of a cloud-config, in cloud-init's and in yip's form.

use base64::Engine as _;

use super::checks::check_file_path;
use super::reader::{Fields, Reader};
use isoforge_base::limit::read_within;
use isoforge_base::yaml::{Node, Value};

/// Largest file that a document may hold compressed, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// An owner or group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Id {
    /// By number.
    Number(u32),
    /// By name, looked up when it is needed.
    Name(String),
}

/// A file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it lies.
    pub path: String,
    /// What is in it, decoded.
    pub content: Vec<u8>,
    /// Permission bits; none: what is usual.
    pub mode: Option<u32>,
    /// Its owner; none: root.
    pub owner: Option<Id>,
    /// Its group; none: root.
    pub group: Option<Id>,
    /// Whether the content comes after what is in the file.
    pub append: bool,
}

/// What is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
}

impl File {
    /// An entry of `write_files`, and whether it is for later.
    pub(super) fn read_write_file(
        reader: &mut Reader,
        item: &Node,
        path: &str,
    ) -> (Option<Self>, bool) {
        let mut fields = reader.record(item, path);
        let mut file = common(reader, &mut fields, item, path, Kind::File);
        let append = fields.flag(reader, "append") == Some(true);
        let is_deferred = fields.flag(reader, "defer") == Some(true);
        let owner = fields.text(reader, "owner");
        fields.finish(reader);
        if let Some(file) = &mut file {
            file.append = append;
            if let Some(owner) = owner {
                (file.owner, file.group) = owner_and_group(&owner);
            }
        }
        (file, is_deferred)
    }

    /// An entry of a step's `files` or `directories`.
    pub(super) fn read_step_file(
        reader: &mut Reader,
        item: &Node,
        path: &str,
        kind: Kind,
    ) -> Option<Self> {
        let mut fields = reader.record(item, path);
        let mut file = common(reader, &mut fields, item, path, kind);
        let owner = fields.text(reader, "owner");
        let group = fields.text(reader, "group");
        let both = fields.text(reader, "ownerstring");
        fields.finish(reader);
        if let Some(file) = &mut file {
            if let Some(both) = both {
                (file.owner, file.group) = owner_and_group(&both);
            }
            file.owner = owner.and_then(|owner| id(&owner)).or(file.owner.take());
            file.group = group.and_then(|group| id(&group)).or(file.group.take());
        }
        file
    }
}

fn common(
    reader: &mut Reader,
    fields: &mut Fields<'_>,
    item: &Node,
    path: &str,
    kind: Kind,
) -> Option<File> {
    let place = fields.take("path");
    let content = fields.text(reader, "content").unwrap_or_default();
    let encoding = fields.text(reader, "encoding").unwrap_or_default();
    let permissions = fields.take("permissions");
    let Some(place) = place else {
        reader.problem(item, format!("'{path}' has no path"));
        return None;
    };
    let target = reader.text(place, &format!("{path}.path"))?;
    if !target.starts_with('/') || target.chars().any(char::is_control) {
        reader.problem(place, format!("'{path}.path' must be an absolute path"));
        return None;
    }
    if kind == Kind::File && !reader.holds(place, &format!("{path}.path"), check_file_path(&target))
    {
        return None;
    }
    let content = match decode(&content, &encoding) {
        Ok(content) => content,
        Err(message) => {
            reader.problem(item, format!("'{path}.content': {message}"));
            return None;
        }
    };
    let mode = match permissions.map(mode) {
        Some(None) => {
            let at = permissions.unwrap_or(item);
            let message = format!("'{path}.permissions' must be permission bits, such as \"0644\"");
            reader.problem(at, message);
            return None;
        }
        Some(mode) => mode,
        None => None,
    };
    Some(File {
        path: target,
        content,
        mode,
        owner: None,
        group: None,
        append: false,
    })
}

/// Permission bits. As readers of YAML have it, `0644` and `0o644` are octal,
/// and so is any text; 420 is what it says.
fn mode(item: &Node) -> Option<u32> {
    let text = item.scalar()?;
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let is_octal = text.starts_with('0') || matches!(item.value, Value::Text(_));
    let mode = u32::from_str_radix(digits, if is_octal { 8 } else { 10 }).ok()?;
    (mode <= 0o7777).then_some(mode)
}

/// `user:group`, `user` or `:group`.
fn owner_and_group(text: &str) -> (Option<Id>, Option<Id>) {
    let (owner, group) = text.split_once(':').unwrap_or((text, ""));
    (id(owner), id(group))
}

fn id(text: &str) -> Option<Id> {
    if text.is_empty() {
        return None;
    }
    Some(match text.parse() {
        Ok(number) => Id::Number(number),
        Err(_) => Id::Name(text.to_owned()),
    })
}

/// Decodes what is said to be encoded.
fn decode(content: &str, encoding: &str) -> Result<Vec<u8>, String> {
    let encoding = encoding.trim().to_lowercase();
    let from_base64 = || {
        let text: String = content.chars().filter(|c| !c.is_whitespace()).collect();
        base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_err(|error| format!("it is no base64: {error}"))
    };
    match encoding.as_str() {
        "" | "text/plain" => Ok(content.as_bytes().to_vec()),
        "b64" | "base64" => from_base64(),
        "gz" | "gzip" => gunzip(content.as_bytes()),
        "gz+b64" | "gz+base64" | "gzip+b64" | "gzip+base64" => gunzip(&from_base64()?),
        other => Err(format!("the encoding '{other}' is not known")),
    }
}

fn gunzip(bytes: &[u8]) -> Result<Vec<u8>, String> {
    read_within(flate2::read::MultiGzDecoder::new(bytes), MAX_FILE_BYTES)
        .map_err(|error| format!("it is no gzip: {error}"))?
        .ok_or_else(|| format!("it has more than {MAX_FILE_BYTES} bytes"))
}
