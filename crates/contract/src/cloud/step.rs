//! One step of a stage, in yip's form.

use super::checks;
use super::file::{File, Kind};
use super::reader::Reader;
use super::user::{self, User};
use isoforge_base::yaml::Node;

/// When a step runs; all must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// A line for the shell that succeeds.
    pub shell: Option<String>,
    /// A pattern for the system's name.
    pub os: Option<String>,
    /// A pattern for the system's version.
    pub os_version: Option<String>,
    /// A pattern for the architecture, in Go's name.
    pub arch: Option<String>,
    /// What starts services.
    pub service_manager: Option<String>,
    /// A pattern for the host's name.
    pub node: Option<String>,
    /// Files of which one exists.
    pub any_file: Vec<String>,
    /// Files that all exist.
    pub all_files: Vec<String>,
    /// Files of which none exists.
    pub no_file: Vec<String>,
}

/// Name servers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dns {
    /// Their addresses.
    pub nameservers: Vec<String>,
    /// Domains to search.
    pub search: Vec<String>,
    /// Options of resolv.conf(5).
    pub options: Vec<String>,
    /// A file in the form of resolv.conf(5).
    pub path: Option<String>,
}

/// A drop-in of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The unit.
    pub service: String,
    /// Name of the drop-in.
    pub name: String,
    /// What is in it.
    pub content: String,
}

/// What is to become of units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Systemctl {
    /// Started at boot.
    pub enable: Vec<String>,
    /// Not started at boot.
    pub disable: Vec<String>,
    /// Started.
    pub start: Vec<String>,
    /// Can't be started.
    pub mask: Vec<String>,
    /// Changed.
    pub overrides: Vec<Override>,
}

/// A step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// Its name for messages.
    pub name: String,
    /// When it runs.
    pub conditions: Conditions,
    /// Name servers.
    pub dns: Option<Dns>,
    /// Directories.
    pub directories: Vec<File>,
    /// Files.
    pub files: Vec<File>,
    /// Lines for the shell.
    pub commands: Vec<String>,
    /// The host's name.
    pub hostname: Option<String>,
    /// Settings of the kernel.
    pub sysctl: Vec<(String, String)>,
    /// Accounts.
    pub users: Vec<User>,
    /// Keys of accounts that are there.
    pub authorized_keys: Vec<(String, Vec<String>)>,
    /// Modules of the kernel, with their parameters.
    pub modules: Vec<String>,
    /// Settings of systemd-timesyncd.
    pub timesyncd: Vec<(String, String)>,
    /// What is to become of units.
    pub systemctl: Systemctl,
    /// Variables of the environment.
    pub environment: Vec<(String, String)>,
    /// Where they are written; none: `/etc/environment`.
    pub environment_file: Option<String>,
    /// Arguments of systemd-firstboot(1).
    pub systemd_firstboot: Vec<(String, String)>,
}

impl Step {
    /// Reads a step, and the names that it should come after, with their
    /// places.
    pub(super) fn read<'a>(
        reader: &mut Reader,
        item: &'a Node,
        path: &str,
        at: usize,
    ) -> (Self, Vec<(String, &'a Node)>) {
        let mut fields = reader.record(item, path);
        let mut step = Self {
            name: fields
                .text(reader, "name")
                .unwrap_or_else(|| format!("step {}", at + 1)),
            ..Self::default()
        };
        let mut after = Vec::new();
        for (item, path) in fields.list(reader, "after") {
            let mut fields = reader.record(item, &path);
            after.extend(fields.text(reader, "name").map(|name| (name, item)));
            fields.finish(reader);
        }
        let conditions = &mut step.conditions;
        conditions.shell = fields.text(reader, "if");
        conditions.os = fields.text(reader, "only_os");
        conditions.os_version = fields.text(reader, "only_os_version");
        conditions.arch = fields.text(reader, "only_arch");
        conditions.service_manager = fields.text(reader, "only_service_manager");
        conditions.node = fields.text(reader, "node");
        if let Some(item) = fields.take("if_files") {
            let mut files = reader.record(item, &fields.path("if_files"));
            conditions.any_file = files.texts(reader, "any");
            conditions.all_files = files.texts(reader, "all");
            conditions.no_file = files.texts(reader, "none");
            files.finish(reader);
        }
        patterns(reader, item, conditions, path);
        if let Some(item) = fields.take("dns") {
            step.dns = Some(dns(reader, item, &fields.path("dns")));
        }
        for (item, path) in fields.list(reader, "directories") {
            step.directories
                .extend(File::read_step_file(reader, item, &path, Kind::Directory));
        }
        for (item, path) in fields.list(reader, "files") {
            step.files
                .extend(File::read_step_file(reader, item, &path, Kind::File));
        }
        step.commands = fields.texts(reader, "commands");
        step.hostname = fields.hostname(reader, "hostname");
        step.sysctl = fields.settings(reader, "sysctl", checks::check_setting);
        if let Some(item) = fields.take("users") {
            step.users = user::read_all(reader, item, &fields.path("users"));
        }
        if let Some(item) = fields.take("authorized_keys") {
            let path = fields.path("authorized_keys");
            for (name, _, value) in reader.entries(item, &path) {
                let keys = user::keys(reader, value, &format!("{path}.{name}"));
                step.authorized_keys.push((name, keys));
            }
        }
        step.modules = fields.texts(reader, "modules");
        step.timesyncd = fields.settings(reader, "timesyncd", checks::check_setting);
        if let Some(item) = fields.take("systemctl") {
            step.systemctl = systemctl(reader, item, &fields.path("systemctl"));
        }
        step.environment = fields.settings(reader, "environment", checks::check_variable);
        step.environment_file = fields.text(reader, "environment_file");
        step.systemd_firstboot =
            fields.settings(reader, "systemd_firstboot", checks::check_firstboot);
        fields.finish(reader);
        (step, after)
    }
}

/// A pattern that is none would make its step run nowhere.
fn patterns(reader: &mut Reader, item: &Node, conditions: &Conditions, path: &str) {
    for (name, pattern) in [
        ("only_os", &conditions.os),
        ("only_os_version", &conditions.os_version),
        ("only_arch", &conditions.arch),
        ("node", &conditions.node),
    ] {
        if let Some(pattern) = pattern
            && let Err(error) = regex::Regex::new(pattern)
        {
            let error = error.to_string();
            let last = error.lines().last().unwrap_or_default();
            reader.problem(item, format!("'{path}.{name}' is no pattern: {last}"));
        }
    }
}

fn dns(reader: &mut Reader, item: &Node, path: &str) -> Dns {
    let mut fields = reader.record(item, path);
    let dns = Dns {
        nameservers: fields.texts(reader, "nameservers"),
        search: fields.texts(reader, "search"),
        options: fields.texts(reader, "options"),
        path: fields.text(reader, "path"),
    };
    fields.finish(reader);
    let mut all = dns
        .nameservers
        .iter()
        .chain(&dns.search)
        .chain(&dns.options);
    if all
        .any(|word| word.is_empty() || word.contains(|c: char| c.is_whitespace() || c.is_control()))
    {
        reader.problem(item, format!("each entry of '{path}' must be one word"));
    }
    dns
}

fn systemctl(reader: &mut Reader, item: &Node, path: &str) -> Systemctl {
    let mut fields = reader.record(item, path);
    let mut systemctl = Systemctl {
        enable: fields.texts(reader, "enable"),
        disable: fields.texts(reader, "disable"),
        start: fields.texts(reader, "start"),
        mask: fields.texts(reader, "mask"),
        overrides: Vec::new(),
    };
    for (item, path) in fields.list(reader, "overrides") {
        let mut fields = reader.record(item, &path);
        let service = fields.text(reader, "service");
        let name = fields.text(reader, "name");
        let content = fields.text(reader, "content").unwrap_or_default();
        fields.finish(reader);
        let Some(service) = service else {
            reader.problem(item, format!("'{path}' has no service"));
            continue;
        };
        let name = name.unwrap_or_else(|| "override-yip.conf".to_owned());
        if [&service, &name]
            .iter()
            .any(|part| part.is_empty() || part.contains('/'))
        {
            reader.problem(
                item,
                format!("'{path}' must name a unit and a file, no paths"),
            );
            continue;
        }
        systemctl.overrides.push(Override {
            service,
            name,
            content,
        });
    }
    fields.finish(reader);
    systemctl
}
