//! `WWW-Authenticate` (RFC 9110, 11.6.1) as far as registries use it.

use super::secret::Secret;

/// How a registry wants to be authenticated to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User name and password with each request.
    Basic,
    /// A token from a token service (the "Token Authentication" of the
    /// distribution project).
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

/// The challenge to answer: Bearer before Basic.
pub(super) fn parse<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut best = None;
    for value in headers {
        for (scheme, parameters) in split(value) {
            let get = |wanted: &str| {
                parameters
                    .iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                    .map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = get("realm")
            {
                return Some(Challenge::Bearer {
                    realm,
                    service: get("service"),
                    scope: get("scope"),
                });
            }
            if scheme.eq_ignore_ascii_case("basic") {
                best = Some(Challenge::Basic);
            }
        }
    }
    best
}

type Parameters = Vec<(String, String)>;

/// Parts a header into schemes with their parameters. A scheme is a word that
/// no `=` follows.
fn split(value: &str) -> Vec<(String, Parameters)> {
    let mut out: Vec<(String, Parameters)> = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if word.is_empty() && after.is_empty() {
            return out;
        }
        match after.trim_start().strip_prefix('=') {
            Some(after) => {
                let (value, after) = parameter(after.trim_start());
                if let Some((_, parameters)) = out.last_mut() {
                    parameters.push((word.to_owned(), value));
                }
                rest = after;
            }
            None => {
                out.push((word.to_owned(), Vec::new()));
                rest = after;
            }
        }
    }
}

/// A token or quoted string, and what follows it.
fn parameter(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, quoted.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

/// The value of `Authorization` for a user and password.
pub(super) fn basic(user: &str, password: &Secret) -> Secret {
    use base64::Engine as _;
    let pair = format!("{user}:{}", password.reveal());
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
    Secret::new(format!("Basic {encoded}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: &str) -> Option<Challenge> {
        parse([value].into_iter())
    }

    #[test]
    fn challenges_of_real_registries_are_read() {
        assert_eq!(
            one(
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#
            ),
            Some(Challenge::Bearer {
                realm: "https://auth.docker.io/token".into(),
                service: Some("registry.docker.io".into()),
                scope: Some("repository:a/b:pull,push".into()),
            })
        );
        assert_eq!(
            one(r#"Basic realm="Registry \"x\"""#),
            Some(Challenge::Basic)
        );
        assert_eq!(one("BASIC"), Some(Challenge::Basic));
    }

    #[test]
    fn bearer_wins_in_one_header_or_several() {
        let bearer = Some(Challenge::Bearer {
            realm: "r".into(),
            service: None,
            scope: None,
        });
        assert_eq!(one(r#"Basic realm="a", Bearer realm="r""#), bearer);
        assert_eq!(parse(["Bearer realm=r", "Basic"].into_iter()), bearer);
    }

    #[test]
    fn nonsense_is_no_challenge() {
        for value in [
            "",
            ",,,",
            "=",
            "==\"",
            "Bearer",
            "Negotiate abc==",
            "Bearer scope=\"x",
            "\"",
            "é=\\",
        ] {
            assert_eq!(one(value), None, "{value}");
        }
    }
}
