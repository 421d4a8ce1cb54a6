//! What Kairos's own reader refuses.
//!
//! It is typed, and one value of another type makes an error of the whole text: of what
//! stands at the root nothing is applied then, of `stages` no step. It says so on no
//! console. Source: yip's `pkg/schema` (`schema.go` and `cloudinit/config.go`), read by
//! yaml.v3: a text takes any scalar; a boolean in quotes is none but for `y`, `yes`, `on`,
//! `n`, `no` and `off`; a number in quotes is none; keys that it does not know are passed
//! over.

use isoforge_base::yaml::{Node, Value};

/// A type of Go, as the reader fills it.
enum Kind {
    /// Any scalar.
    Text,
    /// A text with an octal number, which is taken apart later: a refusal all the same.
    Octal,
    Bool,
    Integer,
    List(&'static Kind),
    Map(&'static Kind),
    Struct(&'static [(&'static str, Kind)]),
}

use Kind::{Bool, Integer, List, Map, Octal, Struct, Text};

const TEXTS: Kind = List(&Text);

/// The booleans that yaml.v3 knows; YAML 1.1 has more, such as `Yes`, which is a text here.
const BOOLS: [&str; 6] = ["true", "True", "TRUE", "false", "False", "FALSE"];
/// Those that it takes from a text in quotes, too.
const BOOLS_IN_QUOTES: [&str; 8] = ["y", "Y", "yes", "on", "n", "N", "no", "off"];

const CONFIG: Kind = Struct(&[
    ("growpart", Struct(&[("devices", TEXTS), ("mode", Text)])),
    ("hostname", Text),
    ("runcmd", TEXTS),
    ("ssh_authorized_keys", TEXTS),
    ("users", List(&USER)),
    (
        "write_files",
        List(&Struct(&[
            ("content", Text),
            ("encoding", Text),
            ("owner", Text),
            ("path", Text),
            ("permissions", Octal),
        ])),
    ),
]);

const USER: Kind = Struct(&[
    ("gecos", Text),
    ("groups", TEXTS),
    ("homedir", Text),
    ("lock_passwd", Bool),
    ("name", Text),
    ("no_create_home", Bool),
    ("no_log_init", Bool),
    ("no_user_group", Bool),
    ("passwd", Text),
    ("primary_group", Text),
    ("shell", Text),
    ("ssh_authorized_keys", TEXTS),
    ("system", Bool),
    ("uid", Text),
]);

const STAGES: Kind = Map(&List(&STEP));

const STEP: Kind = Struct(&[
    ("after", List(&Struct(&[("name", Text)]))),
    ("authorized_keys", Map(&TEXTS)),
    ("commands", TEXTS),
    ("directories", List(&FILE)),
    (
        "dns",
        Struct(&[
            ("nameservers", TEXTS),
            ("options", TEXTS),
            ("path", Text),
            ("search", TEXTS),
        ]),
    ),
    ("downloads", List(&FILE)),
    ("environment", Map(&Text)),
    ("environment_file", Text),
    ("files", List(&FILE)),
    ("hostname", Text),
    ("if", Text),
    ("modules", TEXTS),
    ("name", Text),
    ("node", Text),
    ("only_arch", Text),
    ("only_os", Text),
    ("only_os_version", Text),
    ("only_service_manager", Text),
    (
        "packages",
        Struct(&[
            ("install", TEXTS),
            ("refresh", Bool),
            ("remove", TEXTS),
            ("upgrade", Bool),
        ]),
    ),
    ("sysctl", Map(&Text)),
    (
        "systemctl",
        Struct(&[
            ("disable", TEXTS),
            ("enable", TEXTS),
            ("mask", TEXTS),
            (
                "overrides",
                List(&Struct(&[
                    ("content", Text),
                    ("name", Text),
                    ("service", Text),
                ])),
            ),
            ("start", TEXTS),
        ]),
    ),
    ("systemd_firstboot", Map(&Text)),
    ("timesyncd", Map(&Text)),
    ("users", Map(&USER)),
]);

const FILE: Kind = Struct(&[
    ("content", Text),
    ("encoding", Text),
    ("group", Integer),
    ("owner", Integer),
    ("ownerstring", Text),
    ("path", Text),
    ("permissions", Integer),
    ("timeout", Integer),
    ("url", Text),
]);

/// Each value that Kairos's reader refuses, with what it means.
pub(super) fn refusals(root: &Node) -> Vec<(&Node, String)> {
    let mut found = Refusals {
        lost: "the whole file",
        found: Vec::new(),
    };
    found.check(&CONFIG, root, "");
    if let Some(stages) = root.get("stages") {
        found.lost = "all stages";
        found.check(&STAGES, stages, "stages");
    }
    found.found
}

struct Refusals<'a> {
    /// What is not applied for one of them.
    lost: &'static str,
    found: Vec<(&'a Node, String)>,
}

impl<'a> Refusals<'a> {
    fn check(&mut self, kind: &Kind, node: &'a Node, path: &str) {
        if node.is_null() {
            return;
        }
        match (kind, &node.value) {
            (List(of), Value::List(items)) => {
                for (at, item) in items.iter().enumerate() {
                    self.check(of, item, &format!("{path}[{at}]"));
                }
            }
            (Map(of), Value::Map(entries)) => {
                for (key, value) in entries {
                    let name = key.scalar().unwrap_or_default();
                    self.check(of, value, &format!("{path}.{name}"));
                }
            }
            (Struct(fields), Value::Map(_)) => {
                for (name, kind) in *fields {
                    if let Some(value) = node.get(name) {
                        let dot = if path.is_empty() { "" } else { "." };
                        self.check(kind, value, &format!("{path}{dot}{name}"));
                    }
                }
            }
            _ if is_scalar(kind, node) => {}
            _ => {
                let Self { lost, .. } = self;
                let message = format!(
                    "'{path}' must be {}, not {}: Kairos ignores {lost} for it",
                    kind.expected(),
                    described(kind, node)
                );
                self.found.push((node, message));
            }
        }
    }
}

impl Kind {
    fn expected(&self) -> &'static str {
        match self {
            Text => "a text",
            Octal => "an octal number such as \"0644\"",
            Bool => "a boolean without quotes",
            Integer => "a number without quotes",
            List(_) => "a list",
            Map(_) | Struct(_) => "a map",
        }
    }
}

fn is_scalar(kind: &Kind, node: &Node) -> bool {
    let Some(text) = node.scalar() else {
        return false;
    };
    match kind {
        Text => true,
        Octal => text.is_empty() || u32::from_str_radix(text, 8).is_ok() && !text.starts_with('+'),
        Bool => match &node.value {
            Value::Bool(..) => BOOLS.contains(&text) || BOOLS_IN_QUOTES.contains(&text),
            _ => BOOLS_IN_QUOTES.contains(&text),
        },
        Integer => match &node.value {
            Value::Number(number, _) => number.is_i64() || number.is_u64(),
            _ => false,
        },
        List(_) | Map(_) | Struct(_) => false,
    }
}

/// What a value is, as its text where its kind alone would not tell.
fn described(kind: &Kind, node: &Node) -> String {
    match (kind, node.scalar()) {
        (Octal | Bool | Integer, Some(text)) => format!("'{text}'"),
        _ => node.kind().to_owned(),
    }
}
