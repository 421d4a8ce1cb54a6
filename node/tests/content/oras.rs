//! Packs that oras pushes to the machine's registry, and pulls from it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use appliance::content::distribution;
use appliance::content::images::Images;
use appliance::content::inspect::list;
use appliance::content::storage::Storage;
use appliance::content::verify::verify;
use appliance::registry::prepare::prepare;
use appliance::registry::push_port;
use isoforge_base::progress::Progress;
use isoforge_contract::machine::RegistryKind;

use crate::registry::zot;
use crate::served::{Machine, debians};

const FILE: &str = "shop-1.0.0.tar.gz";
const TYPE: &str = "application/vnd.example.pack.v1+tar";

#[allow(clippy::disallowed_methods)] // of tests alone
fn command() -> Command {
    Command::new("oras")
}

/// Whether oras is installed; else the test is skipped.
fn is_installed() -> bool {
    isoforge_judges::has_client("oras", "oras.land/oras/cmd/oras")
}

/// Runs oras in a folder, trusting the machine's authority.
fn oras(machine: &Machine, folder: &Path, args: &[&str]) -> Result<String, String> {
    let authority = machine.places.authority().display().to_string();
    let config = machine.dir.path().join("oras.json").display().to_string();
    let options = ["--ca-file", &authority, "--registry-config", &config];
    let output = command()
        .args([args, &options].concat())
        .current_dir(folder)
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A pack goes in with the machine's password, comes out without one, and is told.
fn goes_in_and_comes_out(machine: &Machine, storage: &dyn Fn() -> Box<dyn Images>) {
    let folder = machine.dir.path().join("pushed");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join(FILE), b"a pack").unwrap();
    let file = format!("{FILE}:{TYPE}");
    let to = format!("127.0.0.1:{}/packs/shop:1.0.0", push_port(&machine.config));
    let push = ["push", &to, &file, "--artifact-type", TYPE];
    assert!(oras(machine, &folder, &push).is_err(), "without a password");
    let password = machine.password();
    let creds = ["--username", "pusher", "--password", &password];
    oras(machine, &folder, &[push.as_slice(), &creds].concat()).unwrap();

    let back = machine.dir.path().join("pulled");
    std::fs::create_dir(&back).unwrap();
    let from = format!("127.0.0.1:{}/packs/shop:1.0.0", machine.config.port);
    oras(machine, &back, &["pull", &from]).unwrap();
    assert_eq!(std::fs::read(back.join(FILE)).unwrap(), b"a pack");

    let storage = storage();
    let listing = list(storage.as_ref()).unwrap();
    let names = listing.images.iter().map(|image| image.reference.as_str());
    assert!(
        names.clone().any(|name| name == "packs/shop:1.0.0"),
        "{names:?}"
    );
    let verified = verify(storage.as_ref(), &Progress::silent()).unwrap();
    assert_eq!(verified.damage, []);
}

#[test]
fn distribution_takes_a_pack_from_oras() {
    if !is_installed() {
        return;
    }
    let machine = Machine::new(RegistryKind::Distribution);
    prepare(&machine.config, &machine.places, &BTreeSet::new()).unwrap();
    let _serving = machine.start(&debians(), "config.json", machine.config.port);
    let _pushing = machine.start(&debians(), "push.json", push_port(&machine.config));
    let root = machine.places.storage();
    goes_in_and_comes_out(&machine, &|| Box::new(distribution::Storage::new(&root)));
}

#[test]
fn zot_takes_a_pack_from_oras() {
    let Some(zot) = zot().filter(|_| is_installed()) else {
        return;
    };
    let machine = Machine::new(RegistryKind::Zot);
    prepare(&machine.config, &machine.places, &BTreeSet::new()).unwrap();
    let _registry = machine.start(&zot, "config.json", machine.config.port);
    let root = machine.places.storage();
    goes_in_and_comes_out(&machine, &|| Box::new(Storage::open(&root).unwrap()));
}
