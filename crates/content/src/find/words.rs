//! Images among words: of `args` and `command`, of variables and annotations, of
//! texts that objects carry.
//!
//! A word is an image where it is a reference in full: a registry's host (with a dot
//! or a port, or `localhost`), a path, and a tag or digest. Short names and tags
//! that are mere words may be one: a label, a taint or a service with its port is
//! written alike. So are a path of a server with its port (`host.example/path:8080`),
//! so many of a resource (`example.com/gpu:2`) and a line of a file (`conf.d/a:12`):
//! a tag of digits alone counts where something else says that a registry is meant.

use std::net::Ipv4Addr;

use isoforge_oci::reference::Reference;

/// Effects of taints, which are written as tags are: `host/key:NoSchedule`.
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
/// Domains of labels, taints and groups of the API, which are no registries.
const LABELS: [&str; 3] = ["kubernetes.io", "k8s.io", "helm.sh"];
/// The registry below one of them.
const REGISTRY_AMONG_LABELS: &str = "registry.k8s.io";
/// Hosts that serve images and nothing else behind a path.
const REGISTRIES: [&str; 8] = [
    "docker.io",
    "gcr.io",
    "ghcr.io",
    "mcr.microsoft.com",
    "pkg.dev",
    "public.ecr.aws",
    "quay.io",
    REGISTRY_AMONG_LABELS,
];
/// What programs for images write before references.
const TRANSPORT: &str = "docker://";
/// Tags without a digit that are usual.
const USUAL_TAGS: [&str; 8] = [
    "latest", "stable", "main", "master", "edge", "nightly", "release", "dev",
];
/// What parts words, in lines of a shell as in JSON.
const BETWEEN: [char; 10] = ['"', '\'', '`', ',', ';', '|', '&', '<', '>', '\\'];

/// How sure it is that a word names an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// It is a reference in full.
    Image,
    /// It may be one.
    Likely,
}

/// The words of a text that look like images, behind `=` too; with `is_named` what
/// holds the text has a name that says so.
pub(super) fn of(text: &str, is_named: bool) -> Vec<(&str, Look)> {
    let words = text.split(|c: char| c.is_whitespace() || BETWEEN.contains(&c));
    let looks = words.filter_map(|word| {
        let (word, is_named) = match word.rsplit_once('=') {
            Some((name, word)) => (word, is_named || says_image(name)),
            None => (word, is_named),
        };
        let word = match word.contains('$') {
            true => word,
            false => word.trim_matches(['(', ')', '[', ']', '{', '}']),
        };
        let word = word.strip_prefix(TRANSPORT).unwrap_or(word);
        Some((word, look(word, is_named)?))
    });
    looks.collect()
}

/// What is behind the last `=`, which no reference has.
pub(super) fn behind_sign(text: &str) -> &str {
    text.rsplit_once('=').map_or(text, |(_, behind)| behind)
}

/// Whether a name of a flag, variable or key says that it holds an image.
pub(super) fn says_image(name: &str) -> bool {
    name.to_ascii_lowercase().contains("image")
}

/// How one word looks.
pub(super) fn look(word: &str, is_named: bool) -> Option<Look> {
    if !word.contains([':', '/']) || word.contains("://") {
        return None;
    }
    if word.contains('$') {
        let filled = without_variables(word)?;
        return look(&filled, is_named).map(|_| Look::Likely);
    }
    let reference: Reference = word.parse().ok()?;
    let last = word.rsplit('/').next().unwrap_or(word);
    let (has_digest, has_tag) = (word.contains('@'), last.contains(':'));
    let tag = reference.tag().unwrap_or_default();
    if !has_digest && EFFECTS.contains(&tag) {
        return None;
    }
    let has_digit = tag.bytes().any(|byte| byte.is_ascii_digit());
    let is_number = tag.bytes().all(|byte| byte.is_ascii_digit());
    match word.split_once('/') {
        Some((host, _)) if is_host(host) => {
            if LABELS.iter().any(|domain| is_of(host, domain)) && host != REGISTRY_AMONG_LABELS {
                return None;
            }
            let is_tag = match is_number {
                // An address has one port, so behind another one these are a tag.
                true => host.contains(':') || REGISTRIES.iter().any(|domain| is_of(host, domain)),
                false => has_digit || USUAL_TAGS.contains(&tag),
            };
            if has_digest || (has_tag && (is_named || is_tag)) {
                return Some(Look::Image);
            }
            (has_tag || is_named).then_some(Look::Likely)
        }
        // `namespace/service:8080` is no image.
        Some(_) => {
            let is_likely = is_named || (has_digit && !is_number);
            (has_digest || (has_tag && is_likely)).then_some(Look::Likely)
        }
        None => (is_named && (has_tag || has_digest)).then_some(Look::Likely),
    }
}

/// Whether what stands before the first slash is a host: its last part is no number,
/// unless it is an address as a whole.
fn is_host(host: &str) -> bool {
    let name = host.split(':').next().unwrap_or(host);
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_numeric = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    if is_numeric && name.contains('.') && name.parse::<Ipv4Addr>().is_err() {
        return false;
    }
    host == "localhost" || host.contains(':') || (host.contains('.') && !host.starts_with('.'))
}

/// Whether a host is of a domain.
fn is_of(host: &str, domain: &str) -> bool {
    let rest = host.strip_suffix(domain);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The word with something in the place of each `$(NAME)`, `${NAME}` and `$NAME`;
/// nothing where one has no end.
fn without_variables(word: &str) -> Option<String> {
    let (mut out, mut rest) = (String::new(), word);
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        out.push('0');
        rest = match after.chars().next()? {
            '(' => after.split_once(')')?.1,
            '{' => after.split_once('}')?.1,
            _ => after.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_'),
        };
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_references_in_full_are_images() {
        let digest = format!("quay.io/x/a@sha256:{}", "a".repeat(64));
        for word in [
            "quay.io/x/a:v1",
            "quay.io/x/a:1",
            "docker.io/library/postgres:16",
            "europe-docker.pkg.dev/x/a:8080",
            "registry.k8s.io/pause:3.10",
            "registry.example/a:8080-debug",
            "registry.example/a:20240131.1",
            "localhost/a:v1",
            "host:5000/a:latest",
            "10.0.0.1:5000/x/a:1",
            "10.0.0.1/x/a:v1",
            &digest,
        ] {
            assert_eq!(look(word, false), Some(Look::Image), "{word}");
        }
        for word in [
            // An address, a resource, a mode, a line, a label: all are written alike.
            "host.example/path:8080",
            "metrics.space.svc.cluster.local/probe:9090",
            "10.0.0.1/path:80",
            "localhost/path:8080",
            "nvidia.com/gpu:2",
            "run.d/socket:0660",
            "conf.d/app.yaml:12",
            "example.com/rack:a",
            "data.d/x:ro",
            "space/object:key1",
            "example.com/key:word",
            "x/engine:v1.8.1",
            "quay.io/x/a:$(TAG)",
            "${REGISTRY}/x/a:v1.2",
        ] {
            assert_eq!(look(word, false), Some(Look::Likely), "{word}");
        }
        for word in [
            "",
            "word",
            "https://quay.io/x/a:v1",
            "quay.io/x/a",
            "/etc/x.conf:ro",
            "./a.b/c:1",
            "kube-system/kubelet",
            "default/service:8080",
            "host:8080",
            "host.example:8080",
            "host.example:8080/path",
            "host.example/path",
            "10.0.0.1:8080",
            "[::1]:8080/x",
            "10.96.0.0/12",
            "1000:1000",
            "user:group",
            "user.name:group",
            "space/name:key",
            "system:serviceaccount:space:name",
            "arn:aws:iam::123456789012:role/x",
            "git@git.example:x/a.git",
            "unix:/run/x.sock",
            "unix:///run/x.sock",
            "/run/x.d/y:/z:ro",
            "usr.d/bin:usr/local/bin",
            "1.5/2:3",
            "2024.01/02:15",
            "redis:6.2",
            "tcp:10.0.0.1/x",
            "networking.k8s.io/v1",
            "networking.k8s.io/v1:Ingress",
            "feature.node.kubernetes.io/cpu:v3",
            "helm.sh/chart:web-1.2.3",
            "node-role.kubernetes.io/control-plane:NoSchedule",
            "example.com/gpu:NoExecute",
            "node.kubernetes.io/x:1",
            "a.b:/c",
            "quay.io/UPPER/a:1",
            "$(A",
            "$",
        ] {
            assert_eq!(look(word, false), None, "{word}");
        }
        assert_eq!(look("example.com/key:word", true), Some(Look::Image));
        assert_eq!(look("registry.example/a:8080", true), Some(Look::Image));
        for word in ["redis:6.2", "quay.io/x/a", "x/a:8080"] {
            assert_eq!(look(word, true), Some(Look::Likely), "{word}");
        }
    }

    #[test]
    fn words_are_found_behind_signs_and_between_quotes() {
        let text =
            "exec run --image=quay.io/a:1 A=b=quay.io/b:2 '{\"c\":\"quay.io/c:3\"}'; (quay.io/d:4)";
        let words: Vec<&str> = of(text, false).into_iter().map(|(word, _)| word).collect();
        assert_eq!(
            words,
            ["quay.io/a:1", "quay.io/b:2", "quay.io/c:3", "quay.io/d:4"]
        );
        assert_eq!(
            of("--the-image=redis:6", false),
            [("redis:6", Look::Likely)]
        );
        assert_eq!(
            of(
                "--addr=host.example/path:8080 docker://registry.example/a:v1",
                false
            ),
            [
                ("host.example/path:8080", Look::Likely),
                ("registry.example/a:v1", Look::Image)
            ]
        );
        assert_eq!(behind_sign("--a=b=c"), "c");
        assert_eq!(behind_sign("c"), "c");
    }
}
