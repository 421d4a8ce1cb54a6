//! What `no_proxy` exempts, by one table: for isoforge, and judged by Go's own reader
//! and by curl.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Output};
use std::sync::mpsc;

use isoforge_judges::{scratch, skip};

use super::super::choose;
use super::config;

/// A list, a URL, and whether that is asked directly.
type Row = (&'static str, &'static str, bool);

/// Go or curl asks directly what is asked directly here, and nothing else.
const AGREED: &[Row] = &[
    // Hosts, and all below them.
    ("exact.example", "http://exact.example", true),
    ("exact.example", "http://EXACT.example", true),
    ("EXACT.example", "http://exact.example", true),
    ("exact.example", "http://exact.example.", true),
    ("exact.example.", "http://exact.example", true),
    ("exact.example", "http://below.exact.example", true),
    ("exact.example", "http://inexact.example", false),
    ("below.exact.example", "http://exact.example", false),
    ("example", "http://a.example", true),
    ("host", "http://host", true),
    (".dot.example", "http://dot.example", true),
    (".dot.example", "http://a.dot.example", true),
    (".dot.example", "http://adot.example", false),
    ("*.star.example", "http://star.example", false),
    ("*.star.example", "http://a.b.star.example", true),
    ("*.star.example", "http://xstar.example", false),
    ("*star.example", "http://xstar.example", false),
    ("star.*", "http://star.example", false),
    // Ports.
    ("port.example:5000", "http://port.example:5000", true),
    ("port.example:5000", "http://port.example", false),
    ("port.example:80", "http://port.example", true),
    ("port.example:443", "https://port.example", true),
    ("port.example:443", "http://port.example", false),
    ("port.example:", "http://port.example", true),
    ("port.example:x", "http://port.example", false),
    (".port.example:5000", "http://a.port.example:5000", true),
    ("*.port.example:5000", "http://a.port.example:5000", true),
    (":80", "http://port.example", false),
    ("http://port.example", "http://port.example", false),
    ("port.example/", "http://port.example", false),
    // Addresses and ranges.
    ("192.168.1.7", "http://192.168.1.7", true),
    ("192.168.1.7", "http://192.168.1.70", false),
    ("192.168.1.7", "http://192.168.1.7.", true),
    ("192.168.1.7.", "http://192.168.1.7", false),
    ("192.168.1.7:80", "http://192.168.1.7", true),
    ("192.168.1.7:81", "http://192.168.1.7", false),
    ("192.168.1", "http://192.168.1.7", false),
    (".7", "http://192.168.1.7", false),
    ("1.2.3.4.example", "http://1.2.3.4.example", true),
    ("10.0.0.0/8", "http://10.255.0.1", true),
    ("10.0.0.5/8", "http://10.1.2.3", true),
    ("10.0.0.0/8:80", "http://10.1.2.3", true),
    ("10.0.0.0/8", "http://11.1.2.3", false),
    ("1.1.1.1/32", "http://1.1.1.1", true),
    ("0.0.0.0/0", "http://8.8.8.8", true),
    ("0.0.0.0/33", "http://8.8.8.8", false),
    ("0.0.0.0/0", "http://[fe80::5]", false),
    ("fd00::1", "http://[fd00::1]", true),
    ("FD00:0::1", "http://[fd00::1]", true),
    ("fd00::1", "http://[fd00::2]", false),
    ("[fd00::1]:80", "http://[fd00::1]", true),
    ("[fd00::1]:443", "http://[fd00::1]", false),
    ("[fd00::1]:x", "http://[fd00::1]", false),
    ("fe80::/10", "http://[fe80::5]", true),
    ("fe80::/10", "http://[fd00::5]", false),
    ("[fe80::]/10", "http://[fe80::5]", false),
    ("[fe80::/10]", "http://[fe80::5]", false),
    ("::/0", "http://[fe80::5]", true),
    ("::/0", "http://1.1.1.1", false),
    ("::ffff:10.0.0.1", "http://10.0.0.1", true),
    ("10.0.0.1", "http://[::ffff:10.0.0.1]", true),
    ("10.0.0.0/8", "http://[::ffff:10.0.0.1]", true),
    ("::ffff:10.0.0.0/104", "http://10.9.0.1", true),
    ("::ffff:10.0.0.0/104", "http://11.0.0.1", false),
    // Everything.
    ("*", "http://a.example", true),
    ("*", "http://10.0.0.1", true),
    ("x,*", "http://a.example", true),
    (" * ", "http://a.example", true),
    ("**", "http://a.example", false),
    // What stands between.
    ("x.example,a.example", "http://a.example", true),
    ("x.example, a.example", "http://a.example", true),
    ("x.example a.example", "http://a.example", true),
    ("x.example\ta.example", "http://a.example", true),
    ("10.0.0.0/8 192.168.0.0/16", "http://192.168.1.1", true),
    (",, a.example ", "http://a.example", true),
    ("x.example;a.example", "http://a.example", false),
    // Nothing.
    ("", "http://a.example", false),
    (",", "http://a.example", false),
    (".", "http://a.example", false),
    ("..", "http://a.example", false),
    ("*.", "http://a.example", false),
    ("..a.example", "http://b.a.example", false),
    // This machine, as Go has it.
    ("", "http://localhost", true),
    ("", "http://localhost:5000", true),
    ("", "http://127.9.9.9", true),
    ("", "http://[::1]:5000", true),
    ("", "http://[::ffff:127.0.0.1]", true),
    ("", "http://x.localhost", false),
    ("", "http://128.0.0.1", false),
];

/// Where isoforge has its own way: brackets without a port, which neither takes; `*`
/// between blanks; and no address out of half a range, which curl takes.
const OWN: &[Row] = &[
    ("[fd00::1]", "http://[fd00::1]", true),
    ("x *", "http://a.example", true),
    ("1.1.1.1/x", "http://1.1.1.1", false),
];

fn is_direct(list: &str, url: &str) -> bool {
    let variables = [
        ("http_proxy", "http://proxy:1"),
        ("https_proxy", "http://proxy:1"),
        ("no_proxy", list),
    ];
    choose(&config(&variables, &[]), &url.parse().unwrap()).is_none()
}

#[test]
fn exceptions_are_hosts_domains_addresses_ranges_and_ports() {
    for (list, url, direct) in AGREED.iter().chain(OWN) {
        assert_eq!(is_direct(list, url), *direct, "'{list}' for {url}");
    }
}

/// Reads the variables by Go's library and says of each URL how it is asked.
const GO_JUDGE: &str = r#"package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
)

func main() {
	for _, text := range os.Args[1:] {
		asked, err := url.Parse(text)
		if err != nil {
			panic(err)
		}
		proxy, err := http.ProxyFromEnvironment(&http.Request{URL: asked})
		if err != nil {
			panic(err)
		}
		fmt.Println(proxy == nil)
	}
}
"#;

/// The variables of a judged run.
fn variables(command: &mut Command, list: &str, proxy: &str) {
    for name in [
        "HTTP_PROXY",
        "https_proxy",
        "all_proxy",
        "ALL_PROXY",
        "NO_PROXY",
    ] {
        command.env_remove(name);
    }
    command
        .env("http_proxy", proxy)
        .env("HTTPS_PROXY", proxy)
        .env("no_proxy", list);
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

/// What Go's library asks directly.
fn asked_by_go(
    urls_of: &BTreeMap<&'static str, Vec<&'static str>>,
) -> Vec<(&'static str, &'static str)> {
    let folder = scratch();
    let (source, judge) = (folder.path().join("judge.go"), folder.path().join("judge"));
    fs_err::write(&source, GO_JUDGE).unwrap();
    let mut build = Command::new("go");
    build.arg("build").arg("-o").args([&judge, &source]);
    succeed(build.current_dir(folder.path()).env("GOTOOLCHAIN", "local"));
    let mut direct = Vec::new();
    for (list, urls) in urls_of {
        let mut run = Command::new(&judge);
        variables(run.args(urls), list, "http://127.0.0.1:1");
        let said = String::from_utf8(succeed(&mut run).stdout).unwrap();
        let said = urls.iter().zip(said.lines());
        direct.extend(
            said.filter(|(_, said)| *said == "true")
                .map(|(url, _)| (*list, *url)),
        );
    }
    direct
}

/// What curl asks directly: all of it comes to one of two ports of this machine.
fn asked_by_curl(
    urls_of: &BTreeMap<&'static str, Vec<&'static str>>,
) -> Vec<(&'static str, &'static str)> {
    let (seen, came) = mpsc::channel();
    let listen = |is_direct: bool| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = seen.clone();
        // It lives as long as the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                drop(stream);
                let _ = seen.send(is_direct);
            }
        });
        address
    };
    let (proxy, direct) = (listen(false), listen(true));
    let (proxy, everything) = (format!("http://{proxy}"), format!("::{direct}"));
    let mut found = Vec::new();
    for (list, urls) in urls_of {
        for url in urls {
            let mut curl = Command::new("curl");
            curl.args(["--disable", "--silent", "--max-time", "10", "--connect-to"]);
            variables(curl.args([&everything, *url]), list, &proxy);
            // Nobody answers it.
            curl.output().unwrap();
            let is_direct = came.recv().unwrap();
            // A second attempt is on the same way.
            while came.try_recv().is_ok() {}
            if is_direct {
                found.push((*list, *url));
            }
        }
    }
    found
}

/// Go and curl differ; what is here is what one of them does.
#[test]
fn exceptions_are_those_of_go_or_curl() {
    for (program, version) in [("go", "version"), ("curl", "--version")] {
        if Command::new(program).arg(version).output().is_err() {
            return skip(format_args!("{program} is not installed"));
        }
    }
    let mut urls_of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (list, url, _) in AGREED {
        urls_of.entry(list).or_default().push(url);
    }
    let direct = [asked_by_go(&urls_of), asked_by_curl(&urls_of)];
    for (list, url, expected) in AGREED {
        let [by_go, by_curl] = direct
            .each_ref()
            .map(|direct| direct.contains(&(*list, *url)));
        let said = format!("'{list}' for {url}: Go {by_go}, curl {by_curl}");
        assert_eq!(by_go || by_curl, *expected, "{said}");
    }
}
