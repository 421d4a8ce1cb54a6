//! Which proxy is chosen, and what addresses of proxies look like.

mod exceptions;

use insta::assert_snapshot;

use super::super::config::HostConfig;
use super::*;

fn config(proxies: &[(&str, &str)], hosts: &[(&str, &str)]) -> RegistryConfig {
    RegistryConfig {
        proxies: proxies
            .iter()
            .map(|&(name, value)| (name.to_owned(), Secret::new(value.to_owned())))
            .collect(),
        hosts: hosts
            .iter()
            .map(|&(host, proxy)| {
                let proxy = Some(Secret::new(proxy.to_owned()));
                (
                    host.to_owned(),
                    HostConfig {
                        proxy,
                        ..HostConfig::default()
                    },
                )
            })
            .collect(),
        ..RegistryConfig::default()
    }
}

#[test]
fn a_hosts_own_setting_wins_then_the_scheme_decides() {
    let all = [
        ("http_proxy", "http://h:1"),
        ("https_proxy", "http://s:2"),
        ("all_proxy", "socks5h://a:3"),
        ("no_proxy", "direct.example"),
    ];
    let own = [("own.example:5000", "http://own:9"), ("docker.io", "none")];
    let config = config(&all, &own);
    let chosen =
        |url: &str| choose(&config, &url.parse().unwrap()).map(|proxy| proxy.reveal().to_owned());
    assert_eq!(chosen("http://x.example/v2/").unwrap(), "http://h:1");
    assert_eq!(chosen("https://x.example/v2/").unwrap(), "http://s:2");
    assert_eq!(
        chosen("https://own.example:5000/v2/").unwrap(),
        "http://own:9"
    );
    assert_eq!(chosen("https://own.example/v2/").unwrap(), "http://s:2");
    for direct in [
        "https://registry-1.docker.io/v2/",
        "https://direct.example/v2/",
        "http://localhost:5000/v2/",
        "http://127.0.0.1/v2/",
        "http://[::1]:5000/v2/",
    ] {
        assert_eq!(chosen(direct), None, "{direct}");
    }
    let config = self::config(&all[2..3], &[]);
    let url = "http://x.example/".parse().unwrap();
    assert_eq!(choose(&config, &url).unwrap().reveal(), "socks5h://a:3");
}

#[test]
fn addresses_of_proxies_are_read_and_shown_without_password() {
    let parsed = |text: &str| parse(&Secret::new(text.to_owned()));
    for text in [
        "proxy:3128",
        "http://u:p@proxy/",
        "SOCKS5h://[::1]:1080",
        "https://p",
    ] {
        assert!(parsed(text).is_ok(), "{text}");
    }
    for text in [
        "",
        "ftp://u:hunter2@p",
        "http://",
        "http://u:hunter2@p/x",
        "http://a b",
    ] {
        let error = parsed(text).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert_snapshot!(parsed("ftp://u:hunter2@p:1").unwrap_err(), @"'ftp://p:1' is not a proxy of the form http://host:port, https://…, socks4://…, socks4a://…, socks5://… or socks5h://…");
}
