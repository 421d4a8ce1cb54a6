//! Whether the kernel takes the whole line that GRUB gives it: on the medium, and in
//! flavor `appliance` on the disk, whose lines are made here too.

use super::{convert, machine};
use crate::profile::Profile;
use crate::render::boot_menu;
use isoforge_base::tree::Tree;
use isoforge_contract::arch::Arch;
use isoforge_contract::machine::{Firmware, Flavor, TRIAL_ARGUMENT};
use isoforge_system::boot::{Finding, cmdline};
use isoforge_system::slots::{self, Ids, Slot};

/// The slot with the longest name.
const SLOT: Slot = Slot::Recovery;

/// The lines that are too long for the kernel of the system in `tree`.
pub(super) fn findings(tree: &Tree, profile: &Profile, arch: Arch) -> Vec<Finding> {
    let firmware = profile.firmware(arch);
    let on_disk = (profile.os.flavor == Flavor::Appliance)
        .then(|| on_disk(tree, profile, arch, &firmware))
        .flatten();
    let on_medium = boot_menu::too_long(tree, &convert::menu(profile), &firmware);
    on_medium.into_iter().chain(on_disk).collect()
}

fn on_disk(tree: &Tree, profile: &Profile, arch: Arch, firmware: &[Firmware]) -> Option<Finding> {
    let config = machine::config(profile, arch, tree);
    // Only their lengths count; the installation makes them.
    let uuid = || "00000000-0000-0000-0000-000000000000".to_owned();
    let ids = Ids {
        state: uuid(),
        persistent: uuid(),
        oem: uuid(),
        esp: "0000-0000".to_owned(),
    };
    let (before, after) = slots::arguments(&config, &ids, SLOT);
    let consoles = cmdline::consoles(Flavor::Appliance);
    let consoles = match firmware {
        [Firmware::Uefi] => consoles.uefi,
        _ => consoles.bios,
    };
    let trial = format!("{TRIAL_ARGUMENT}=1");
    let words = before.iter().map(String::as_str);
    let words = words
        .chain([consoles])
        .chain(after.iter().map(String::as_str));
    let kernel = format!("(hd0,gpt3)/{}/kernel", SLOT.folder());
    cmdline::too_long(
        "an installed system",
        &kernel,
        words.chain([trial.as_str()]),
    )
}

/// What of it is known without a system: the least that a line of the medium has.
pub(super) fn known(profile: &Profile) -> Option<Finding> {
    let tree = Tree::new();
    let mut architectures = profile.appliance.arch.iter();
    architectures.find_map(|arch| findings(&tree, profile, *arch).into_iter().next())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::profile::{Options, SetOverride, load};

    const MINIMAL: &str = include_str!("../../profiles/minimal.toml");

    fn found(flavor: &str, argument_bytes: usize) -> String {
        let argument = "a".repeat(argument_bytes);
        let sets = [
            format!("os.flavor={flavor}"),
            format!("boot.cmdline=[\"{argument}\"]"),
        ];
        let overrides = sets.map(SetOverride);
        let options = Options {
            overrides: &overrides,
            catalogs: &[],
        };
        let loaded = load(Path::new("p.toml"), &options, &|_| Ok(MINIMAL.to_owned()));
        let Ok(loaded) = loaded else {
            panic!("{flavor}")
        };
        let found = findings(&Tree::new(), &loaded.profile, Arch::Amd64);
        let known = known(&loaded.profile);
        assert_eq!(known.as_ref(), found.first());
        let messages: Vec<_> = found.into_iter().map(|found| found.message).collect();
        messages.join("\n")
    }

    #[test]
    fn every_line_counts_with_all_of_its_arguments() {
        assert_eq!(found("kairos", 1700), "");
        assert_eq!(found("appliance", 1500), "");
        let told = found("kairos", 1900);
        assert!(told.starts_with("the kernel's command line of the menu entry 'live' has"));
        assert!(!told.contains("an installed system"), "{told}");
        let told = found("appliance", 1900);
        assert!(told.contains("the menu entry 'live' has"), "{told}");
        assert!(told.contains("an installed system has"), "{told}");
        // What an installed system adds is more than what the medium does.
        let told = found("appliance", 1750);
        assert!(told.starts_with("the kernel's command line of an installed system has"));
    }
}
