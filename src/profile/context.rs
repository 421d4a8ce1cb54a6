//! What templates see of a profile. Its names are the keys of the TOML and part
//! of the contract with templates. No path of the building machine is in it,
//! so that no output can depend on one.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::model::{Component, Profile, Var, cloud_config_device};
use super::secret::{REDACTED, Secrets};
use isoforge_contract::machine::Device;
use isoforge_network::{File, Network, Renderer};

impl Profile {
    /// The context with the values of `secrets`; one that is not among them is
    /// shown as `[redacted]`.
    ///
    /// A table that the profile does not have is null: in templates a key of
    /// null is undefined, a key of nothing at all an error.
    #[must_use]
    pub fn context(&self, secrets: &Secrets) -> Value {
        let secret = |path: &str| {
            let value = secrets.get(path).map(|s| s.reveal().to_owned());
            value.unwrap_or_else(|| REDACTED.to_owned())
        };
        let component = |c: &Option<Component>| c.as_ref().map(describe);
        let registration = self.registration.as_ref().map(|r| {
            let token = secret("registration.token");
            json!({ "endpoint": r.endpoint, "token": token })
        });
        let kubernetes = (!self.kubernetes.is_none()).then(|| {
            json!({
                "distribution": self.kubernetes.distribution,
                "version": self.iso_version(),
                "versions": self.kubernetes.versions,
            })
        });
        json!({
            "appliance": self.appliance,
            "registration": registration,
            "os": {
                "flavor": self.os.flavor,
                "distribution": self.os.distribution,
                "version": self.os.version,
                "fips": self.os.fips,
            },
            "kubernetes": kubernetes,
            "cni": component(&self.cni),
            "csi": component(&self.csi),
            "registry": component(&self.registry),
            "addons": self.addons.iter().map(describe).collect::<Vec<_>>(),
            "boot": {
                "firmware": self.boot.firmware,
                "cmdline": self.kernel_cmdline_extra(),
                "timeout": self.boot.timeout_seconds,
                "title": self.title(),
            },
            "install": {
                "device": cloud_config_device(&self.install.device),
                "rule": matches!(self.install.device, Device::Rule(_)),
                "mode": self.install.mode,
                "after": self.install.after,
                "cmdline": self.installed_cmdline(),
            },
            "provider": {
                "repository": self.provider.repository,
                "tag": self.provider_tag(self.iso_version()),
            },
            "network": self.network.as_ref().map(|network| {
                network_for(network, network.renderer.unwrap_or(Renderer::Networkd))
            }),
            "vars": table("vars", &self.vars, &secret),
        })
    }
}

/// `network` as templates see it, which has its files for `renderer`.
pub(crate) fn network_for(network: &Network, renderer: Renderer) -> Value {
    let file = |file: File| {
        let private = file.mode & 0o077 == 0;
        json!({ "path": file.path, "private": private, "content": file.content })
    };
    let files: Vec<_> = network.files(renderer).into_iter().map(file).collect();
    json!({
        "renderer": renderer,
        "files": files,
        "name_servers": network.name_servers,
        "search": network.search,
        "ntp": (!network.ntp.is_empty()).then_some(&network.ntp),
    })
}

fn describe(component: &Component) -> Value {
    json!({ "name": component.name, "version": component.version })
}

fn table(path: &str, table: &BTreeMap<String, Var>, secret: &dyn Fn(&str) -> String) -> Value {
    let entries = table
        .iter()
        .map(|(name, value)| (name.clone(), var(&format!("{path}.{name}"), value, secret)));
    Value::Object(entries.collect::<Map<_, _>>())
}

fn var(path: &str, value: &Var, secret: &dyn Fn(&str) -> String) -> Value {
    match value {
        Var::Text(text) => json!(text),
        Var::Integer(i) => json!(i),
        Var::Float(f) => json!(f),
        Var::Flag(flag) => json!(flag),
        Var::List(list) => (0..)
            .zip(list)
            .map(|(i, item): (usize, _)| var(&format!("{path}.{i}"), item, secret))
            .collect(),
        Var::Table(inner) => table(path, inner, secret),
        Var::Secret(_) => json!(secret(path)),
    }
}
