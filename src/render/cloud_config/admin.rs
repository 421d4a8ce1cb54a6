//! Whether somebody can administer the machine that a cloud-config sets up.

use serde_saphyr::Spanned;

use super::check::field;
use super::node::Node;

/// The group whose members Kairos takes for administrators.
const GROUP: &str = "admin";

/// Whether `root` has a user in the group `admin`, at its top or in a step of a
/// stage, or says with `install.nousers` that none is wanted.
pub(super) fn is_there(root: &Spanned<Node>) -> bool {
    let nousers = field(root, "install").and_then(|install| field(install, "nousers"));
    if nousers.is_some_and(|flag| is_on(&flag.value)) {
        return true;
    }
    let stages = field(root, "stages").map_or(&[] as &[_], |stages| entries(&stages.value));
    let steps = stages.iter().flat_map(|(_, steps)| items(&steps.value));
    std::iter::once(root)
        .chain(steps)
        .filter_map(|holder| field(holder, "users"))
        .any(|users| {
            let listed = items(&users.value).iter();
            let named = entries(&users.value).iter().map(|(_, user)| user);
            listed.chain(named).any(is_admin)
        })
}

fn is_admin(user: &Spanned<Node>) -> bool {
    match field(user, "groups").map(|groups| &groups.value) {
        Some(Node::Text(text)) => text.split(',').any(|group| group.trim() == GROUP),
        Some(Node::List(groups)) => groups
            .iter()
            .any(|group| matches!(&group.value, Node::Text(text) if text == GROUP)),
        _ => false,
    }
}

fn is_on(node: &Node) -> bool {
    match node {
        Node::Bool(flag) => *flag,
        Node::Text(text) => ["true", "yes", "on"].contains(&text.to_lowercase().as_str()),
        _ => false,
    }
}

fn items(node: &Node) -> &[Spanned<Node>] {
    match node {
        Node::List(items) => items,
        _ => &[],
    }
}

fn entries(node: &Node) -> &[(Spanned<Node>, Spanned<Node>)] {
    match node {
        Node::Map(entries) => entries,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::super::node::parse;
    use super::*;

    #[test]
    fn users_at_the_top_and_in_stages_count() {
        let has = |text: &str| is_there(&parse(text).unwrap().root);
        for text in [
            "users:\n  - name: a\n    groups: [x, admin]\n",
            "users:\n  - name: a\n    groups: x, admin\n",
            "users:\n  a:\n    groups: [admin]\n",
            "stages:\n  initramfs:\n    - name: s\n    - users:\n        a:\n          groups: [admin]\n",
            "install:\n  nousers: true\n",
        ] {
            assert!(has(text), "{text}");
        }
        for text in [
            "hostname: admin\n",
            "users:\n  - name: admin\n",
            "users:\n  - name: a\n    groups: [administrators]\n",
            "install:\n  nousers: false\n",
            "stages:\n  boot:\n    - commands: [\"true\"]\n",
        ] {
            assert!(!has(text), "{text}");
        }
    }
}
