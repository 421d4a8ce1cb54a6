//! One database of accounts: lines of fields with colons between them. Lines
//! that are none of its kind (comments, NIS's `+`, damage) stay as they are,
//! byte for byte.

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// passwd(5): name, password, uid, gid, gecos, home, shell.
    Passwd,
    /// shadow(5): name, hash, last change, and how it ages.
    Shadow,
    /// group(5): name, password, gid, members.
    Group,
    /// gshadow(5): name, hash, administrators, members.
    Gshadow,
    /// subuid(5): name, first, count.
    Subuid,
    /// subgid(5): name, first, count.
    Subgid,
}

impl Kind {
    /// All, in the order in which they are written: an account is in `passwd`
    /// only once the rest of it is there.
    pub(crate) const ALL: [Self; 6] = [
        Self::Subuid,
        Self::Subgid,
        Self::Gshadow,
        Self::Group,
        Self::Shadow,
        Self::Passwd,
    ];

    /// Its file below `/etc`.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Passwd => "passwd",
            Self::Shadow => "shadow",
            Self::Group => "group",
            Self::Gshadow => "gshadow",
            Self::Subuid => "subuid",
            Self::Subgid => "subgid",
        }
    }

    /// How many fields a line has.
    pub(crate) fn fields(self) -> usize {
        match self {
            Self::Passwd => 7,
            Self::Shadow => 9,
            Self::Group | Self::Gshadow => 4,
            Self::Subuid | Self::Subgid => 3,
        }
    }

    /// Mode of a new file.
    pub(crate) fn mode(self) -> u32 {
        match self {
            Self::Shadow | Self::Gshadow => 0o640,
            _ => 0o644,
        }
    }
}

/// Fields of passwd(5).
pub(crate) mod passwd {
    /// Number of the account.
    pub(crate) const UID: usize = 2;
    /// Number of its first group.
    pub(crate) const GID: usize = 3;
    /// Who it is.
    pub(crate) const GECOS: usize = 4;
    /// Its home directory.
    pub(crate) const HOME: usize = 5;
    /// What a login starts.
    pub(crate) const SHELL: usize = 6;
}

/// Fields of shadow(5).
pub(crate) mod shadow {
    /// The hash, or why there is none.
    pub(crate) const HASH: usize = 1;
    /// Day of the last change; 0: must be changed at the next login.
    pub(crate) const CHANGED: usize = 2;
    /// Days after a change until the password must be changed.
    pub(crate) const MAX: usize = 4;
    /// Days after that until the account is locked.
    pub(crate) const INACTIVE: usize = 6;
    /// Day from which on the account is locked.
    pub(crate) const EXPIRE: usize = 7;
}

/// Fields of group(5).
pub(crate) mod group {
    /// Number of the group.
    pub(crate) const GID: usize = 2;
    /// Names with commas between them; in gshadow(5) too.
    pub(crate) const MEMBERS: usize = 3;
}

/// A line's fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row<'a>(Vec<&'a [u8]>);

impl<'a> Row<'a> {
    /// Its first field.
    pub(crate) fn name(&self) -> &'a [u8] {
        self.field(0)
    }

    /// Its name for messages.
    pub(crate) fn label(&self) -> String {
        String::from_utf8_lossy(self.name()).into_owned()
    }

    /// A field; empty where there is none.
    pub(crate) fn field(&self, at: usize) -> &'a [u8] {
        self.0.get(at).copied().unwrap_or_default()
    }

    /// A field as number.
    pub(crate) fn number(&self, at: usize) -> Option<u32> {
        std::str::from_utf8(self.field(at)).ok()?.parse().ok()
    }

    pub(crate) fn fields(&self) -> &[&'a [u8]] {
        &self.0
    }
}

/// The names of a field, which commas separate.
fn names(field: &[u8]) -> Vec<&[u8]> {
    field
        .split(|byte| *byte == b',')
        .filter(|name| !name.is_empty())
        .collect()
}

/// Two lists of names as one, each name once, in order.
pub(crate) fn union(first: &[u8], second: &[u8]) -> Vec<u8> {
    let mut all = names(first);
    for name in names(second) {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all.join(&b',')
}

/// A database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    kind: Kind,
    lines: Vec<Vec<u8>>,
    ends: bool,
}

impl Table {
    /// Nobody.
    pub(crate) const fn empty() -> Self {
        Self {
            kind: Kind::Passwd,
            lines: Vec::new(),
            ends: true,
        }
    }

    /// Reads a file's bytes.
    pub(crate) fn parse(kind: Kind, bytes: &[u8]) -> Self {
        let ends = bytes.is_empty() || bytes.ends_with(b"\n");
        let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let lines = if bytes.is_empty() {
            Vec::new()
        } else {
            body.split(|byte| *byte == b'\n')
                .map(<[u8]>::to_vec)
                .collect()
        };
        Self { kind, lines, ends }
    }

    /// The file's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.lines.join(&b'\n');
        if self.ends && !self.lines.is_empty() {
            bytes.push(b'\n');
        }
        bytes
    }

    /// Its lines that are of its kind.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.lines.iter().filter_map(|line| self.row(line))
    }

    /// The first line of a name.
    pub(crate) fn get(&self, name: &[u8]) -> Option<Row<'_>> {
        self.rows().find(|row| row.name() == name)
    }

    /// Name of the first line that has a number in a field.
    pub(crate) fn holder(&self, at: usize, number: u32) -> Option<Vec<u8>> {
        self.rows()
            .find(|row| row.number(at) == Some(number))
            .map(|row| row.name().to_vec())
    }

    /// Changes a field of a name's first line; tells whether there is one.
    pub(crate) fn set(&mut self, name: &[u8], at: usize, value: &[u8]) -> bool {
        let Some(place) = self.place(name) else {
            return false;
        };
        let Some(line) = self.lines.get_mut(place) else {
            return false;
        };
        let mut fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        let Some(field) = fields.get_mut(at) else {
            return false;
        };
        *field = value;
        *line = fields.join(&b':');
        true
    }

    /// Adds a line. NIS's `+` lines stay the last ones: what follows them is
    /// not looked at.
    pub(crate) fn push(&mut self, fields: &[&[u8]]) {
        let end = self.lines.len();
        let at = self
            .lines
            .iter()
            .position(|line| line.starts_with(b"+"))
            .unwrap_or(end);
        self.lines.insert(at, fields.join(&b':'));
        self.ends = true;
    }

    /// Removes the lines of a name.
    pub(crate) fn remove(&mut self, name: &[u8]) {
        while let Some(at) = self.place(name) {
            self.lines.remove(at);
        }
    }

    fn place(&self, name: &[u8]) -> Option<usize> {
        self.lines
            .iter()
            .position(|line| self.row(line).is_some_and(|row| row.name() == name))
    }

    fn row<'a>(&self, line: &'a [u8]) -> Option<Row<'a>> {
        if line.is_empty() || matches!(line.first(), Some(b'#' | b'+' | b'-' | b':')) {
            return None;
        }
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        (fields.len() == self.kind.fields()).then_some(Row(fields))
    }
}
