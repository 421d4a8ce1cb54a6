//! A cloud-config as a value.

use std::collections::BTreeMap;

use super::file::File;
use super::pattern;
use super::reader::Reader;
use super::step::Step;
use super::user::{self, User};
use super::{Remark, STAGES};
use crate::Error;
use isoforge_base::yaml::{self, Dialect, Node, Value};

/// Largest text: readers look at files up to this size (1 MB) on the installation
/// medium.
pub const MAX_BYTES: usize = 1_000_000;

/// What a document says about the installation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Install {
    /// `auto`, or a path.
    pub device: Option<String>,
    /// Whether it installs without asking.
    pub auto: Option<bool>,
    /// Whether the machine boots afterwards.
    pub reboot: Option<bool>,
    /// Whether the machine turns itself off afterwards.
    pub poweroff: Option<bool>,
    /// Whether a disk with an installed appliance may be overwritten.
    pub force: Option<bool>,
    /// Whether it is meant that there is no account.
    pub nousers: Option<bool>,
}

/// A cloud-config.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// Name of its file, for messages.
    pub name: String,
    /// The host's name; may hold patterns.
    pub hostname: Option<String>,
    /// Accounts.
    pub users: Vec<User>,
    /// Keys for all accounts above.
    pub ssh_authorized_keys: Vec<String>,
    /// Files, written early.
    pub write_files: Vec<File>,
    /// Files, written in stage `boot`.
    pub deferred_files: Vec<File>,
    /// Commands of stage `boot`.
    pub runcmd: Vec<String>,
    /// Steps by the names of their stages, each also with `.before` and
    /// `.after`.
    pub stages: BTreeMap<String, Vec<Step>>,
    install: Install,
    unknown: Vec<Remark>,
}

impl Document {
    /// Reads a document; `name` stands before line and column in messages.
    ///
    /// # Errors
    /// With all that is wrong: no YAML, a key twice, values of the
    /// wrong type.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let (document, problems) = Self::salvage(name, text);
        if problems.is_empty() {
            Ok(document)
        } else {
            Err(Error::CloudConfig(problems))
        }
    }

    /// Reads what can be read of a document, and gives what is wrong with the
    /// rest. A user, file or step with something wrong is left out whole: half
    /// a condition would let a step run where it must not.
    #[must_use]
    pub fn salvage(name: &str, text: &str) -> (Self, Vec<Remark>) {
        let nothing = |line, column, message: String| {
            let problem = Remark {
                document: name.to_owned(),
                line,
                column,
                message,
            };
            let document = Self {
                name: name.to_owned(),
                ..Self::default()
            };
            (document, vec![problem])
        };
        if text.len() > MAX_BYTES {
            let message = format!("{} bytes, {MAX_BYTES} are the most", text.len());
            return nothing(1, 1, message);
        }
        match yaml::documents(text, Dialect::CloudConfig) {
            Ok(documents) => Self::read(name, text, &documents),
            Err(error) => nothing(error.line, error.column, error.problem),
        }
    }

    /// Reads the first of `documents`, which are those of `text`, as
    /// [`Document::salvage`] does.
    #[must_use]
    pub fn read(name: &str, text: &str, documents: &[Node]) -> (Self, Vec<Remark>) {
        let nothing = Node::null();
        let root = documents.first().unwrap_or(&nothing);
        let mut reader = Reader::new(name);
        if documents.len() > 1 {
            let message = "the first of several YAML documents counts, the others are ignored";
            reader.unknown(root, message.to_owned());
        }
        let mut document = read(&mut reader, root);
        reader.unknown.extend(foreign(name, text, root));
        reader.problems.append(&mut reader.refused);
        reader.problems.sort();
        reader.unknown.sort();
        document.name = name.to_owned();
        document.unknown = reader.unknown;
        (document, reader.problems)
    }

    /// What it says about the installation.
    #[must_use]
    pub fn install(&self) -> &Install {
        &self.install
    }

    /// Whether it gives an account that somebody can log in to: by password or
    /// by SSH key.
    #[must_use]
    pub fn has_account(&self) -> bool {
        let keys_for_all = !self.ssh_authorized_keys.is_empty();
        let opens = |user: &User| user.can_log_in() || keys_for_all;
        let steps = || self.stages.values().flatten();
        self.users.iter().any(opens)
            || steps().any(|step| step.users.iter().any(User::can_log_in))
            || steps().any(|step| {
                step.authorized_keys
                    .iter()
                    .any(|(_, keys)| !keys.is_empty())
            })
    }

    /// What nothing here acts on, in the order in which it stands.
    #[must_use]
    pub fn unknown(&self) -> &[Remark] {
        &self.unknown
    }
}

fn read(reader: &mut Reader, root: &Node) -> Document {
    let mut document = Document::default();
    let mut fields = reader.record(root, "");
    // A name of the file for people.
    let _ = fields.text(reader, "name");
    document.hostname = fields.hostname(reader, "hostname");
    if let Some(users) = fields.take("users") {
        document.users = user::read_all(reader, users, "users");
    }
    let keys = fields.take("ssh_authorized_keys");
    if let Some(keys) = keys {
        document.ssh_authorized_keys = user::keys(reader, keys, "ssh_authorized_keys");
        if document.users.is_empty() && !document.ssh_authorized_keys.is_empty() {
            let message =
                "'ssh_authorized_keys' are keys for the accounts in 'users': there is none";
            reader.unknown(keys, message.to_owned());
            document.ssh_authorized_keys.clear();
        }
    }
    for (item, path) in fields.list(reader, "write_files") {
        let problems = reader.problems.len();
        let (file, is_deferred) = File::read_write_file(reader, item, &path);
        let file = file.filter(|_| reader.problems.len() == problems);
        if is_deferred {
            document.deferred_files.extend(file);
        } else {
            document.write_files.extend(file);
        }
    }
    for (item, path) in fields.list(reader, "runcmd") {
        document.runcmd.extend(command(reader, item, &path));
    }
    if let Some(install) = fields.take("install") {
        document.install = install_block(reader, install);
    }
    if let Some(stylus) = fields.take("stylus") {
        let message =
            "'stylus' is for the agent of the central management; nothing here acts on it";
        reader.unknown(stylus, message.to_owned());
    }
    if let Some(stages) = fields.take("stages") {
        document.stages = read_stages(reader, stages);
    }
    fields.finish(reader);
    if let Value::Map(entries) = &root.value {
        let ours = |key: &Node| key.scalar() != Some("stylus");
        for (_, value) in entries.iter().filter(|(key, _)| ours(key)) {
            unfilled(reader, value);
        }
    }
    document
}

/// What is written in a template language that nobody renders: it stays as it stands.
#[must_use]
pub fn foreign(name: &str, text: &str, root: &Node) -> Vec<Remark> {
    let remark = |line, column, message| Remark {
        document: name.to_owned(),
        line,
        column,
        message,
    };
    let mut found = Vec::new();
    if let Some(line) = pattern::jinja_header(text) {
        let message = "nobody renders Jinja here: what stands in its braces stays as it is";
        found.push(remark(line, 1, message.to_owned()));
    }
    let mut nodes = vec![root];
    while let Some(node) = nodes.pop() {
        if let Some(pattern) = node.scalar().and_then(pattern::jinja) {
            let message = format!("nobody fills in '{pattern}'");
            found.push(remark(node.line, node.column, message));
        }
        nodes.extend(node.items());
        nodes.extend(node.pairs().iter().map(|(_, value)| value));
    }
    found.sort();
    found
}

/// Tells the patterns of Kairos that nothing here fills in.
fn unfilled(reader: &mut Reader, item: &Node) {
    match &item.value {
        Value::List(items) => items.iter().for_each(|item| unfilled(reader, item)),
        Value::Map(entries) => entries
            .iter()
            .for_each(|(_, value)| unfilled(reader, value)),
        _ => {
            if let Some(found) = item.scalar().and_then(pattern::unfilled) {
                reader.unknown(item, format!("nothing here fills in '{found}'"));
            }
        }
    }
}

/// A command: a line for the shell, or words as they are.
fn command(reader: &mut Reader, item: &Node, path: &str) -> Option<String> {
    if !matches!(item.value, Value::List(_)) {
        return reader.text(item, path);
    }
    let words = reader.texts(item, path);
    let quoted: Vec<String> = words.iter().map(|word| shell_word(word)).collect();
    Some(quoted.join(" "))
}

/// One word for a POSIX shell.
fn shell_word(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn install_block(reader: &mut Reader, item: &Node) -> Install {
    let mut fields = reader.record(item, "install");
    let install = Install {
        device: fields.text(reader, "device"),
        auto: fields.flag(reader, "auto"),
        reboot: fields.flag(reader, "reboot"),
        poweroff: fields.flag(reader, "poweroff"),
        force: fields.flag(reader, "force"),
        nousers: fields.flag(reader, "nousers"),
    };
    fields.finish(reader);
    install
}

fn read_stages(reader: &mut Reader, item: &Node) -> BTreeMap<String, Vec<Step>> {
    let mut stages = BTreeMap::new();
    for (name, key, value) in reader.entries(item, "stages") {
        let path = format!("stages.{name}");
        let base = name
            .strip_suffix(".before")
            .or_else(|| name.strip_suffix(".after"))
            .unwrap_or(&name);
        if !STAGES.contains(&base) {
            reader.unknown(key, format!("no stage '{name}' is run here"));
            continue;
        }
        let mut steps: Vec<Step> = Vec::new();
        for (at, (item, path)) in reader.list(value, &path).into_iter().enumerate() {
            let problems = reader.problems.len();
            let step = Step::read(reader, item, &path, at);
            if reader.problems.len() > problems {
                continue;
            }
            for (after, place) in &step.1 {
                let is_earlier = steps.iter().any(|earlier| earlier.name == *after);
                if !is_earlier {
                    let message = format!(
                        "steps run in the order in which they stand: '{path}.after' names '{after}', which is none before it"
                    );
                    reader.unknown(place, message);
                }
            }
            steps.push(step.0);
        }
        stages.insert(name, steps);
    }
    stages
}
