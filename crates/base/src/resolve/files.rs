//! hosts(5) and resolv.conf(5).

use std::net::IpAddr;
use std::time::Duration;

/// As glibc has it.
const MAX_SERVERS: usize = 3;
const MAX_SEARCH: usize = 6;
const TIMEOUT_SECONDS: u32 = 5;
const TIMEOUT_SECONDS_MAX: u32 = 30;
const ATTEMPTS: u32 = 2;
const ATTEMPTS_MAX: u32 = 5;
const NDOTS_MAX: u32 = 15;

/// The addresses of `host` in a file of hosts.
pub(super) fn hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let lines = text.lines().filter_map(|line| line.split('#').next());
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|name| super::same(name, host)).then_some(address)
        })
        .collect()
}

/// What resolv.conf says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) servers: Vec<IpAddr>,
    pub(super) timeout: Duration,
    pub(super) attempts: u32,
    search: Vec<String>,
    ndots: u32,
}

impl Settings {
    pub(super) fn parse(text: &str) -> Self {
        let mut settings = Self {
            servers: Vec::new(),
            timeout: Duration::from_secs(TIMEOUT_SECONDS.into()),
            attempts: ATTEMPTS,
            search: Vec::new(),
            ndots: 1,
        };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // An address may name its interface, which matters to link-local
                    // ones alone.
                    let address = words.next().and_then(|word| word.split('%').next());
                    let address = address.and_then(|word| word.parse::<IpAddr>().ok());
                    settings.servers.extend(address);
                }
                // Of the two the last counts.
                Some("search" | "domain") => {
                    settings.search = words.take(MAX_SEARCH).map(str::to_owned).collect();
                }
                Some("options") => words.for_each(|word| settings.option(word)),
                _ => {}
            }
        }
        settings.servers.truncate(MAX_SERVERS);
        settings
    }

    fn option(&mut self, word: &str) {
        let Some((name, value)) = word.split_once(':') else {
            return;
        };
        match (name, value.parse::<u32>()) {
            ("timeout", Ok(value)) => {
                let seconds = value.clamp(1, TIMEOUT_SECONDS_MAX);
                self.timeout = Duration::from_secs(seconds.into());
            }
            ("attempts", Ok(value)) => self.attempts = value.clamp(1, ATTEMPTS_MAX),
            ("ndots", Ok(value)) => self.ndots = value.min(NDOTS_MAX),
            _ => {}
        }
    }

    /// The full names that are asked for, in order.
    pub(super) fn names(&self, host: &str) -> Vec<String> {
        if let Some(full) = host.strip_suffix('.') {
            return vec![full.to_owned()];
        }
        let domains = self.search.iter().map(|domain| domain.trim_matches('.'));
        let domains = domains.filter(|domain| !domain.is_empty());
        let mut names: Vec<String> = domains.map(|domain| format!("{host}.{domain}")).collect();
        let first = host.matches('.').count() >= self.ndots as usize;
        names.insert(if first { 0 } else { names.len() }, host.to_owned());
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_by_each_of_their_names() {
        let text = "127.0.0.1 localhost # nameserver\n10.0.0.1\tone one.example\n::1 ONE\nx one\n";
        let found = |host| {
            hosts(text, host)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(found("one"), ["10.0.0.1", "::1"]);
        assert_eq!(found("one.example."), ["10.0.0.1"]);
        assert!(found("nameserver").is_empty());
    }

    #[test]
    fn the_search_list_is_gone_through_as_ndots_says() {
        let settings = Settings::parse(
            "# comment\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nnameserver x\ndomain old\nsearch a.example b.example.\noptions ndots:2 timeout:99 attempts:0 rotate\n",
        );
        assert_eq!(settings.servers.len(), 2);
        assert_eq!((settings.timeout.as_secs(), settings.attempts), (30, 1));
        let names = settings.names("r.x");
        assert_eq!(names, ["r.x.a.example", "r.x.b.example", "r.x"]);
        assert_eq!(settings.names("r.x.y")[0], "r.x.y");
        assert_eq!(settings.names("r."), ["r"]);
        assert!(Settings::parse("").servers.is_empty());
    }
}
