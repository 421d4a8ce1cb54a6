//! The language that says where images are beside the containers of pods.
//!
//! A rule is one line, in one of two forms:
//!
//! ```text
//! KIND: PATH        as in  LinstorCluster.piraeus.io: spec.components[*].image
//! env: NAME         as in  env: RELATED_IMAGE_*
//! ```
//!
//! KIND is an object's kind, alone or with its API group behind a dot, or `*`
//! for every object. PATH goes from the object to the image:
//!
//! | step | goes to |
//! |---|---|
//! | `key` | the value under the key |
//! | `["key.with/dots"]` | the same, for a key with other characters |
//! | `*` | every value of a map |
//! | `**` | the value itself and all below it |
//! | `[*]` | every item of a list |
//! | `[2]` | one item, counted from 0 |
//! | `[name=x]` | the items whose entry `name` is the text `x` |
//!
//! Steps with a name are parted by dots; those in brackets follow directly. At
//! its end stands a text, a list of texts, or a map of `repository` (or `name`)
//! with `registry`, `tag` and `digest`.
//!
//! NAME is an environment variable of a container; `*` and `?` match as in file
//! names. Its value is an image.

use std::fmt;
use std::str::FromStr;

use globset::{Glob, GlobMatcher};

use crate::Error;
use isoforge_base::yaml::Node;

/// Where images are.
#[derive(Debug, Clone)]
pub struct Rule {
    text: String,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Env(GlobMatcher),
    Field { kind: Kind, steps: Vec<Step> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Any,
    Named { kind: String, group: Option<String> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    EveryKey,
    AnyDepth,
    EveryItem,
    Item(usize),
    Where(String, String),
}

/// Rules that hold without being asked for: the convention of operators to
/// name images in variables of that prefix.
pub(super) fn standard_rules() -> Vec<Rule> {
    "env: RELATED_IMAGE_*".parse().into_iter().collect()
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Rule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let what = parse(text).map_err(|problem| {
            Error::asked(format!("'{text}' says no place of images: {problem}")).with_hint(
                "write KIND: PATH, as in 'Widget: spec.engine.image', or env: NAME, as in \
                 'env: RELATED_IMAGE_*'",
            )
        })?;
        Ok(Self {
            text: text.to_owned(),
            what,
        })
    }
}

impl Rule {
    /// Whether the environment variable `name` holds an image.
    pub(super) fn takes_variable(&self, name: &str) -> bool {
        match &self.what {
            What::Env(glob) => glob.is_match(name),
            What::Field { .. } => false,
        }
    }

    /// What the rule's path leads to in an object of this kind, with the path
    /// as it was gone.
    pub(super) fn values<'a>(
        &self,
        kind: &str,
        api_version: &str,
        object: &'a Node,
    ) -> Vec<(String, &'a Node)> {
        let What::Field { kind: of, steps } = &self.what else {
            return Vec::new();
        };
        let mut found = Vec::new();
        if of.takes(kind, api_version) {
            follow(object, steps, String::new(), &mut found);
        }
        found
    }
}

impl Kind {
    fn takes(&self, kind: &str, api_version: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Named { kind: own, group } => {
                let of = api_version.split_once('/').map_or("", |(group, _)| group);
                own == kind && group.as_ref().is_none_or(|group| group == of)
            }
        }
    }
}

fn parse(text: &str) -> Result<What, String> {
    let (left, right) = text
        .split_once(':')
        .ok_or("a colon belongs behind the kind")?;
    let (left, right) = (left.trim(), right.trim());
    if left == "env" {
        if right.is_empty() {
            return Err("the variable's name is empty".to_owned());
        }
        let glob = Glob::new(right).map_err(|error| error.to_string())?;
        return Ok(What::Env(glob.compile_matcher()));
    }
    let kind = match left {
        "" => return Err("the kind is empty".to_owned()),
        "*" => Kind::Any,
        _ if left.contains(char::is_whitespace) => {
            return Err(format!("'{left}' is no kind"));
        }
        _ => {
            let (kind, group) = match left.split_once('.') {
                Some((kind, group)) => (kind, Some(group.to_owned())),
                None => (left, None),
            };
            let kind = kind.to_owned();
            Kind::Named { kind, group }
        }
    };
    let steps = steps(right)?;
    Ok(What::Field { kind, steps })
}

fn steps(text: &str) -> Result<Vec<Step>, String> {
    let (mut found, mut rest) = (Vec::new(), text);
    let mut wants_name = true;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (step, after) = bracket(inside)?;
            found.push(step);
            rest = after;
            wants_name = false;
            continue;
        }
        if !wants_name {
            rest = rest
                .strip_prefix('.')
                .ok_or_else(|| format!("a dot belongs before '{rest}'"))?;
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        found.push(match name {
            "" => return Err("a step of the path is empty".to_owned()),
            "*" => Step::EveryKey,
            "**" => Step::AnyDepth,
            name => Step::Key(name.to_owned()),
        });
        rest = after;
        wants_name = false;
    }
    if found.is_empty() {
        return Err("the path is empty".to_owned());
    }
    Ok(found)
}

/// The step in brackets, of which the first is gone, and what follows.
fn bracket(text: &str) -> Result<(Step, &str), String> {
    const OPEN: &str = "a bracket is not closed";
    if let Some(inside) = text.strip_prefix('"') {
        let (key, after) = inside.split_once("\"]").ok_or(OPEN)?;
        return Ok((Step::Key(key.to_owned()), after));
    }
    let (inside, after) = text.split_once(']').ok_or(OPEN)?;
    let step = match inside.split_once('=') {
        Some((key, value)) => Step::Where(key.trim().to_owned(), value.trim().to_owned()),
        None if inside == "*" => Step::EveryItem,
        None => Step::Item(inside.parse().map_err(|_| {
            format!("'[{inside}]' is neither [*] nor a number nor [key=value] nor [\"key\"]")
        })?),
    };
    Ok((step, after))
}

fn follow<'a>(node: &'a Node, steps: &[Step], at: String, out: &mut Vec<(String, &'a Node)>) {
    let Some((step, rest)) = steps.split_first() else {
        out.push((at, node));
        return;
    };
    let next: Vec<(String, &Node)> = match step {
        Step::Key(key) => {
            let value = node.get(key);
            value
                .map(|value| (key_path(&at, key), value))
                .into_iter()
                .collect()
        }
        Step::EveryKey => entries(node, &at).collect(),
        Step::EveryItem => items(node, &at).collect(),
        Step::Item(number) => items(node, &at).nth(*number).into_iter().collect(),
        Step::Where(key, value) => items(node, &at)
            .filter(|(_, item)| item.text_at(key) == Some(value))
            .collect(),
        Step::AnyDepth => {
            follow(node, rest, at.clone(), out);
            for (at, value) in entries(node, &at).chain(items(node, &at)) {
                follow(value, steps, at, out);
            }
            return;
        }
    };
    for (at, value) in next {
        follow(value, rest, at, out);
    }
}

/// The values of a map with their paths.
pub(super) fn entries<'a>(node: &'a Node, at: &str) -> impl Iterator<Item = (String, &'a Node)> {
    node.entries()
        .map(move |(key, value)| (key_path(at, key), value))
}

/// The items of a list with their paths.
pub(super) fn items<'a>(node: &'a Node, at: &str) -> impl Iterator<Item = (String, &'a Node)> {
    let items = node.items().iter().enumerate();
    items.map(move |(number, item)| (format!("{at}[{number}]"), item))
}

/// A path with one more key.
pub(super) fn key_path(at: &str, key: &str) -> String {
    let is_plain = !key.is_empty()
        && key != "*"
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    match (is_plain, at) {
        (true, "") => key.to_owned(),
        (true, at) => format!("{at}.{key}"),
        (false, at) => format!("{at}[\"{key}\"]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    const OBJECT: &str = "apiVersion: piraeus.io/v1\nkind: LinstorCluster\nspec:\n  \
        image: a\n  components:\n  - {name: x, image: b}\n  - {name: z, image: c}\n  \
        map:\n    one: {image: d}\n    two.three/4: {image: e}\n";

    fn found(rule: &str) -> Vec<String> {
        let object = yaml::document(OBJECT).unwrap();
        let rule: Rule = rule.parse().unwrap();
        let values = rule.values("LinstorCluster", "piraeus.io/v1", &object);
        values
            .into_iter()
            .map(|(path, node)| format!("{path}={}", node.text().unwrap_or("?")))
            .collect()
    }

    #[test]
    fn paths_lead_where_they_say() {
        assert_eq!(found("LinstorCluster: spec.image"), ["spec.image=a"]);
        assert_eq!(
            found("LinstorCluster.piraeus.io: spec.components[*].image"),
            ["spec.components[0].image=b", "spec.components[1].image=c"]
        );
        assert_eq!(
            found("*: spec.components[name=z].image"),
            ["spec.components[1].image=c"]
        );
        assert_eq!(
            found("*: spec.components[0].image"),
            ["spec.components[0].image=b"]
        );
        assert_eq!(
            found("*: spec.map.*.image"),
            ["spec.map.one.image=d", "spec.map[\"two.three/4\"].image=e"]
        );
        assert_eq!(
            found("*: spec.map[\"two.three/4\"].image"),
            ["spec.map[\"two.three/4\"].image=e"]
        );
        assert_eq!(found("*: **.image").len(), 5);
        for other in ["LinstorCluster.io: spec.image", "Other: spec.image"] {
            assert_eq!(found(other), [""; 0], "{other}");
        }
    }

    #[test]
    fn variables_match_like_file_names() {
        let rule: Rule = "env: *_IMAGE".parse().unwrap();
        assert!(rule.takes_variable("PROXY_IMAGE") && !rule.takes_variable("IMAGE_PULL"));
        assert!(standard_rules()[0].takes_variable("RELATED_IMAGE_X"));
        assert!(!standard_rules()[0].takes_variable("X"));
    }

    #[test]
    fn what_is_no_rule_is_said() {
        let problems: Vec<String> = [
            "spec.image",
            ": spec",
            "Kind:",
            "env:",
            "A B: x",
            "Kind: a..b",
            "Kind: a[",
            "Kind: a[x]",
            "Kind: a[0]b",
        ]
        .iter()
        .map(|text| text.parse::<Rule>().unwrap_err().to_string())
        .collect();
        insta::assert_snapshot!(problems.join("\n"), @r#"
        'spec.image' says no place of images: a colon belongs behind the kind
        ': spec' says no place of images: the kind is empty
        'Kind:' says no place of images: the path is empty
        'env:' says no place of images: the variable's name is empty
        'A B: x' says no place of images: 'A B' is no kind
        'Kind: a..b' says no place of images: a step of the path is empty
        'Kind: a[' says no place of images: a bracket is not closed
        'Kind: a[x]' says no place of images: '[x]' is neither [*] nor a number nor [key=value] nor ["key"]
        'Kind: a[0]b' says no place of images: a dot belongs before 'b'
        "#);
    }
}
