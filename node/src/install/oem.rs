//! What the installer writes into OEM: the site's configuration as it was found,
//! and what was chosen.

use isoforge_contract::machine::Config;
use serde::Serialize;

use super::model::{Account, Choices, Network};
use super::sources::Site;

/// Name of the file with what was chosen.
const CHOSEN: &str = "90_installer.yaml";

/// Groups of an account that is made on the pages.
const GROUPS: [&str; 1] = ["admin"];

/// A cloud-config, as far as the installer writes one.
#[derive(Serialize)]
struct Chosen<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    users: Vec<User<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stages: Option<Stages>,
}

#[derive(Serialize)]
struct User<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    passwd: Option<&'a str>,
    lock_passwd: bool,
    groups: Vec<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    ssh_authorized_keys: &'a [String],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    must_change_password: bool,
}

#[derive(Serialize)]
struct Stages {
    initramfs: [Step; 1],
}

#[derive(Serialize)]
struct Step {
    name: &'static str,
    files: [File; 1],
}

#[derive(Serialize)]
struct File {
    path: String,
    permissions: &'static str,
    owner: u32,
    group: u32,
    content: String,
}

/// Names and texts of OEM's files.
///
/// # Errors
/// Where what was chosen can't be put into YAML.
pub(super) fn files(
    config: &Config,
    site: &Site,
    choices: &Choices,
) -> Result<Vec<(String, String)>, serde_saphyr::SerializeError> {
    let mut files: Vec<(String, String)> = site
        .texts
        .iter()
        .map(|text| (text.file.to_owned(), text.text.clone()))
        .collect();
    if let Some(text) = chosen(config, site, choices)? {
        files.push((CHOSEN.to_owned(), text));
    }
    Ok(files)
}

fn chosen(
    config: &Config,
    site: &Site,
    choices: &Choices,
) -> Result<Option<String>, serde_saphyr::SerializeError> {
    let mut users = Vec::new();
    match (&choices.account, &config.install.account) {
        (Some(account), _) => users.push(user(account)),
        // The profile's account stands in where nobody gives another.
        (None, Some(account)) if !site.has_account() => users.push(User {
            name: &account.name,
            passwd: Some(&account.password_hash),
            lock_passwd: false,
            groups: account.groups.iter().map(String::as_str).collect(),
            ssh_authorized_keys: &[],
            must_change_password: true,
        }),
        (None, _) => {}
    }
    let chosen = Chosen {
        hostname: choices.hostname.as_deref(),
        users,
        stages: choices.network.as_ref().map(stages),
    };
    if chosen.hostname.is_none() && chosen.users.is_empty() && chosen.stages.is_none() {
        return Ok(None);
    }
    let text = serde_saphyr::to_string(&chosen)?;
    Ok(Some(format!(
        "#cloud-config\n# What was chosen at the installation.\n{text}"
    )))
}

fn user(account: &Account) -> User<'_> {
    User {
        name: &account.name,
        passwd: account.password_hash.as_deref(),
        lock_passwd: account.password_hash.is_none(),
        groups: GROUPS.to_vec(),
        ssh_authorized_keys: &account.ssh_keys,
        must_change_password: false,
    }
}

/// The file sorts before those that the profile gives, and those of images, so it
/// takes the place of all of them for this interface.
fn stages(network: &Network) -> Stages {
    Stages {
        initramfs: [Step {
            name: "Network as chosen at the installation",
            files: [File {
                path: format!(
                    "/etc/systemd/network/05-chosen-{}.network",
                    network.interface
                ),
                permissions: "0644",
                owner: 0,
                group: 0,
                content: unit(network),
            }],
        }],
    }
}

/// systemd.network(5).
fn unit(network: &Network) -> String {
    let mut text = format!("[Match]\nName={}\n\n[Network]\n", network.interface);
    match &network.address {
        None => text.push_str("DHCP=yes\n"),
        Some(address) => {
            text.push_str(&format!("Address={}\n", address.cidr));
            if !address.gateway.is_empty() {
                text.push_str(&format!("Gateway={}\n", address.gateway));
            }
        }
    }
    for server in &network.dns {
        text.push_str(&format!("DNS={server}\n"));
    }
    text
}

#[cfg(test)]
mod tests;
