//! Settings of the system: its name, name servers, time, environment, kernel
//! and units. Each stays on its line: the reader of the document holds them to that.

use super::Run;
use crate::cloud::Stage;
use crate::rooted::Attributes;
use isoforge_contract::cloud::{Dns, Systemctl, check_hostname, pattern};

impl Run<'_> {
    pub(super) fn hostname(&mut self, name: &str) {
        let facts = self.facts();
        if facts.machine_id.is_empty() && name.contains(".MachineID") {
            return self.fail(format!("hostname '{name}': the machine has no id"));
        }
        let name = pattern::fill(name, &facts);
        // What patterns stand for is known here alone.
        if self.attempt("hostname", check_hostname(&name)).is_none() {
            return;
        }
        let line = format!("{name}\n");
        self.put("hostname", "/etc/hostname", line.as_bytes());
        let hosts = self.root.read("/etc/hosts");
        if let Some(hosts) = self.attempt("hostname", hosts) {
            let hosts = with_host(&String::from_utf8_lossy(&hosts.unwrap_or_default()), &name);
            self.put("hostname", "/etc/hosts", hosts.as_bytes());
        }
        let set = self.host.set_hostname(&name);
        self.attempt("hostname", set);
    }

    /// For systemd-resolved where the system has it, else for the resolver of
    /// the C library.
    pub(super) fn dns(&mut self, dns: &Dns) {
        let is_resolved = self.root.exists("/usr/lib/systemd/systemd-resolved");
        if let Some(path) = dns
            .path
            .as_deref()
            .or((!is_resolved).then_some("/etc/resolv.conf"))
        {
            return self.put("dns", path, resolv_conf(dns).as_bytes());
        }
        let mut text = String::from("[Resolve]\n");
        for (key, words) in [("DNS", &dns.nameservers), ("Domains", &dns.search)] {
            if !words.is_empty() {
                text.push_str(&format!("{key}={}\n", words.join(" ")));
            }
        }
        if !dns.options.is_empty() {
            self.fail(format!(
                "dns: systemd-resolved has no options '{}'; set 'path' to write resolv.conf",
                dns.options.join(" ")
            ));
        }
        self.put(
            "dns",
            "/etc/systemd/resolved.conf.d/50-appliance.conf",
            text.as_bytes(),
        );
        self.restart("systemd-resolved.service");
    }

    pub(super) fn timesyncd(&mut self, settings: &[(String, String)]) {
        if settings.is_empty() {
            return;
        }
        if !self.root.exists("/usr/lib/systemd/systemd-timesyncd") {
            return self.fail("timesyncd: the system has no systemd-timesyncd".to_owned());
        }
        let path = "/etc/systemd/timesyncd.conf.d/50-appliance.conf";
        let format = |key: &str, value: &str| format!("{key}={value}");
        self.merge("timesyncd", path, "[Time]", settings, format);
        self.restart("systemd-timesyncd.service");
    }

    /// Variables for logins, and where they name proxies for all services too:
    /// containerd and kubelet fetch through them.
    pub(super) fn environment(&mut self, variables: &[(String, String)], file: Option<&str>) {
        if variables.is_empty() {
            return;
        }
        let path = file.unwrap_or("/etc/environment");
        self.merge("environment", path, "", variables, environment_line);
        if file.is_none() {
            self.proxies();
        }
    }

    /// The proxies in `/etc/environment`, for all services.
    fn proxies(&mut self) {
        let there = self
            .root
            .read("/etc/environment")
            .ok()
            .flatten()
            .unwrap_or_default();
        let there = String::from_utf8_lossy(&there).into_owned();
        let words: Vec<String> = there
            .lines()
            .filter_map(|line| line.split_once('='))
            .filter(|(name, _)| name.to_lowercase().ends_with("_proxy"))
            .map(|(name, value)| systemd_word(name, value.trim_matches('"')))
            .collect();
        if !words.is_empty() {
            let path = "/etc/systemd/system.conf.d/50-appliance-proxy.conf";
            let text = format!("[Manager]\nDefaultEnvironment={}\n", words.join(" "));
            self.put("environment", path, text.as_bytes());
        }
    }

    pub(super) fn sysctl(&mut self, settings: &[(String, String)]) {
        if settings.is_empty() {
            return;
        }
        let path = "/etc/sysctl.d/90-appliance.conf";
        self.merge("sysctl", path, "", settings, |key, value| {
            format!("{key} = {value}")
        });
        let program = "/usr/lib/systemd/systemd-sysctl";
        let result = self.host.run(program, &[path]);
        self.attempt("sysctl", result);
    }

    pub(super) fn modules(&mut self, modules: &[String]) {
        for module in modules {
            let words: Vec<&str> = module.split_ascii_whitespace().collect();
            let result = self.host.run("modprobe", &words);
            self.attempt(&format!("module '{module}'"), result);
        }
    }

    pub(super) fn systemctl(&mut self, systemctl: &Systemctl) {
        for change in &systemctl.overrides {
            let path = format!("/etc/systemd/system/{}.d/{}", change.service, change.name);
            self.put("systemctl", &path, change.content.as_bytes());
        }
        let acts = [
            ("enable", &systemctl.enable),
            ("disable", &systemctl.disable),
            ("mask", &systemctl.mask),
        ];
        for (verb, units) in acts {
            for unit in units {
                let result = self.host.run("systemctl", &["--no-reload", verb, unit]);
                self.attempt(&format!("systemctl {verb} {unit}"), result);
                self.units_changed = true;
            }
        }
        if !systemctl.start.is_empty() {
            self.reload_units();
        }
        for unit in &systemctl.start {
            // Not waited for: it may have to come after this program.
            let result = self.host.run("systemctl", &["--no-block", "start", unit]);
            self.attempt(&format!("systemctl start {unit}"), result);
        }
    }

    pub(super) fn firstboot(&mut self, settings: &[(String, String)]) {
        if settings.is_empty() {
            return;
        }
        let mut args = vec!["--force".to_owned()];
        for (key, value) in settings {
            args.push(if value.is_empty() {
                format!("--{key}")
            } else {
                format!("--{key}={value}")
            });
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let result = self.host.run("systemd-firstboot", &args);
        self.attempt("systemd_firstboot", result);
    }

    /// Writes a file of root's that everyone may read.
    fn put(&mut self, what: &str, path: &str, bytes: &[u8]) {
        let written = self
            .root
            .write(path, bytes, Attributes::root(0o644).or_kept());
        if self.attempt(what, written) == Some(true) {
            self.changed(path);
        }
    }

    /// Brings settings into a file of `KEY=VALUE` lines.
    fn merge(
        &mut self,
        what: &str,
        path: &str,
        head: &str,
        settings: &[(String, String)],
        format: impl Fn(&str, &str) -> String,
    ) {
        let there = self.root.read(path);
        let Some(there) = self.attempt(what, there) else {
            return;
        };
        let there = String::from_utf8_lossy(&there.unwrap_or_default()).into_owned();
        let mut lines: Vec<String> = there.lines().map(str::to_owned).collect();
        if lines.is_empty() && !head.is_empty() {
            lines.push(head.to_owned());
        }
        for (key, value) in settings {
            let line = format(key, value);
            let is_of = |line: &String| line.split('=').next().map(str::trim) == Some(key);
            match lines.iter_mut().find(|line| is_of(line)) {
                Some(there) => *there = line,
                None => lines.push(line),
            }
        }
        let text = lines.join("\n") + "\n";
        self.put(what, path, text.as_bytes());
    }

    /// Restarts a service that runs already; early in a boot none does.
    fn restart(&mut self, unit: &str) {
        if self.stage != Stage::Initramfs {
            let result = self
                .host
                .run("systemctl", &["--no-block", "try-restart", unit]);
            self.attempt(&format!("restarting {unit}"), result);
        }
    }
}

/// `/etc/hosts` with this host's name, as Debian has it.
fn with_host(hosts: &str, name: &str) -> String {
    const OWN: &str = "127.0.1.1";
    let short = name.split('.').next().unwrap_or(name);
    let names = if short == name {
        name.to_owned()
    } else {
        format!("{name} {short}")
    };
    let own = format!("{OWN}\t{names}");
    let mut lines: Vec<&str> = hosts.lines().collect();
    if lines.is_empty() {
        lines.push("127.0.0.1\tlocalhost");
    }
    let is_own = |line: &&str| line.split_ascii_whitespace().next() == Some(OWN);
    match lines.iter().position(is_own) {
        Some(at) => {
            if let Some(line) = lines.get_mut(at) {
                *line = &own;
            }
        }
        None => lines.push(&own),
    }
    lines.join("\n") + "\n"
}

fn resolv_conf(dns: &Dns) -> String {
    let mut text = String::new();
    for server in &dns.nameservers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    for (key, words) in [("search", &dns.search), ("options", &dns.options)] {
        if !words.is_empty() {
            text.push_str(&format!("{key} {}\n", words.join(" ")));
        }
    }
    text
}

fn environment_line(name: &str, value: &str) -> String {
    let needs_quotes = value.contains(|c: char| c.is_whitespace() || "#'$".contains(c));
    if needs_quotes {
        format!("{name}=\"{value}\"")
    } else {
        format!("{name}={value}")
    }
}

/// A variable as systemd-system.conf(5) takes it.
fn systemd_word(name: &str, value: &str) -> String {
    format!("\"{name}={}\"", value.replace('%', "%%"))
}
