//! `isoforge logout`.

use isoforge_base::error::Result;

use crate::cli::args::{Global, Logout};
use crate::cli::{report, settings};
use isoforge_base::output;
use isoforge_oci::registry::Client;
use isoforge_oci::registry::login;

pub(in crate::cli) fn run(args: &Logout, global: &Global) -> Result<()> {
    let progress = report::progress(global);
    let host = login::registry_host(&args.registry)?;
    let client = Client::new(settings::registry_config(global)?);
    let Some(path) = client.find_login(&host)? else {
        report::data(format!("there are no credentials for {host}\n"))?;
        return Ok(());
    };
    let change = client.forget_login(path, &host)?;
    if let Some(text) = &change.text {
        output::replace_private(path, login::text_of(text).as_bytes())?;
    }
    report::data(format!(
        "the credentials for {host} are out of {}\n",
        path.display()
    ))?;
    if let Some(other) = client.find_login(&host)? {
        progress.warn(format!("{} has others for {host}", other.display()));
    }
    Ok(())
}
