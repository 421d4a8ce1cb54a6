//! Whether somebody can administer the machine that a cloud-config sets up.

use isoforge_base::yaml::{Node, Value};

/// The group whose members Kairos takes for administrators.
const GROUP: &str = "admin";

/// Whether `root` has a user in the group `admin`, at its top or in a step of a
/// stage, or says with `install.nousers` that none is wanted.
pub(super) fn is_there(root: &Node) -> bool {
    let nousers = root
        .get("install")
        .and_then(|install| install.get("nousers"));
    if nousers.is_some_and(is_on) {
        return true;
    }
    let stages = root.get("stages").map_or(&[] as &[_], Node::pairs);
    let steps = stages.iter().flat_map(|(_, steps)| steps.items());
    std::iter::once(root)
        .chain(steps)
        .filter_map(|holder| holder.get("users"))
        .any(|users| {
            let named = users.pairs().iter().map(|(_, user)| user);
            users.items().iter().chain(named).any(is_admin)
        })
}

fn is_admin(user: &Node) -> bool {
    let Some(groups) = user.get("groups") else {
        return false;
    };
    let mut listed = groups.items().iter().filter_map(Node::text);
    let mut written = groups.text().into_iter().flat_map(|text| text.split(','));
    listed.any(|group| group == GROUP) || written.any(|group| group.trim() == GROUP)
}

fn is_on(node: &Node) -> bool {
    match &node.value {
        Value::Bool(flag, _) => *flag,
        Value::Text(text) => ["true", "yes", "on"].contains(&text.to_lowercase().as_str()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use isoforge_base::yaml::{Dialect, documents};

    use super::*;

    #[test]
    fn users_at_the_top_and_in_stages_count() {
        let has = |text: &str| is_there(&documents(text, Dialect::CloudConfig).unwrap()[0]);
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
