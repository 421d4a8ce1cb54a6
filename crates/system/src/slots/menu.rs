//! GRUB's configuration on an installed disk: the stub on the ESP, the menu on
//! STATE, and what starts a slot, which lies in the slot.
//!
//! All of it is made of commands that the signed GRUB of every distribution has
//! built in. Text of the profile is quoted for GRUB's shell.

use isoforge_contract::machine::Flavor;
use isoforge_contract::machine::{
    Config, OEM_ARGUMENT, PERSISTENT_ARGUMENT, SLOT_ARGUMENT, TRIAL_ARGUMENT,
};

use super::{Ids, Slot, file};
use crate::boot::cmdline;
use crate::boot::grub::quote;
use crate::boot::lock::Lock;

const MENU: &str = include_str!("menu.cfg");
const SLOT: &str = include_str!("slot.cfg");
const STUB: &str = include_str!("stub.cfg");

/// The menu, the file `grub/grub.cfg` on STATE. It calls slots that do not say
/// their own name `title`: take the appliance's name without its version, so that
/// the menu stays the same over upgrades. With `lock` the slots start without the
/// password, recovery where the machine chose it.
#[must_use]
pub fn menu(title: &str, timeout_seconds: u32, ids: &Ids, lock: Option<&Lock>) -> String {
    let recovery = match lock {
        Some(_) => "",
        None => "--unrestricted",
    };
    fill(
        MENU,
        &[
            ("@LOCK@", lock.map(Lock::of_menu).unwrap_or_default()),
            ("@RECOVERY@", recovery.to_owned()),
            ("@TITLE@", quote(title)),
            ("@TIMEOUT@", timeout_seconds.to_string()),
            ("@STATE@", quote(&ids.state)),
            ("@TRIAL@", format!("{TRIAL_ARGUMENT}=1")),
        ],
    )
}

/// What leads from the ESP to the menu. It has no quote in its comment: GRUB's
/// rescue parser, which may be the one to read it, would take it for one.
#[must_use]
pub fn esp_stub(ids: &Ids, lock: Option<&Lock>) -> String {
    fill(
        STUB,
        &[
            ("@LOCK@", lock.map(Lock::of_stub).unwrap_or_default()),
            ("@STATE@", quote(&ids.state)),
        ],
    )
}

/// What starts a slot, its file `slot.cfg`. The menu sets `state` to the device
/// and `load` where the slot shall be started, `trial_argument` to what a trial
/// boot adds to the command line. Where it comes back with `load=failed` a kernel
/// is loaded, and its initrd can't be.
#[must_use]
pub fn slot_menu(config: &Config, ids: &Ids, slot: Slot) -> String {
    let consoles = cmdline::consoles(Flavor::Appliance);
    let (before, after) = arguments(config, ids, slot);
    let words = |arguments: &[String]| {
        let quoted: Vec<String> = arguments.iter().map(|text| quote(text)).collect();
        quoted.join(" ")
    };
    fill(
        SLOT,
        &[
            ("@SLOT@", slot.to_string()),
            ("@UEFI@", quote(consoles.uefi)),
            ("@BIOS@", quote(consoles.bios)),
            ("@BEFORE@", words(&before)),
            ("@AFTER@", words(&after)),
            // Last, since it is the user's.
            ("@TITLE@", quote(&config.title)),
        ],
    )
}

/// The kernel's arguments for a slot, before and after the consoles. The
/// profile's own stand behind what they may want to change, and before what
/// decides where state is and how a failed boot ends.
#[must_use]
pub fn arguments(config: &Config, ids: &Ids, slot: Slot) -> (Vec<String>, Vec<String>) {
    let mut before = vec![
        format!("root=live:UUID={}", ids.state),
        format!("rd.live.dir=/{}", slot.folder()),
        format!("rd.live.squashimg={}", file::ROOTFS),
        "rd.live.overlay.overlayfs=1".to_owned(),
    ];
    if config.boot.selinux {
        before.push("selinux=0".to_owned());
    }
    if config.boot.fips {
        before.push("fips=1".to_owned());
    }
    let mut after = config.boot.cmdline.clone();
    after.extend([
        format!("{SLOT_ARGUMENT}={slot}"),
        format!("{PERSISTENT_ARGUMENT}={}", ids.persistent),
        format!("{OEM_ARGUMENT}={}", ids.oem),
        // A system that can't come up must end, and so give way to the good one.
        "panic=10".to_owned(),
        "rd.shell=0".to_owned(),
        "rd.emergency=reboot".to_owned(),
    ]);
    (before, after)
}

/// Fills in values, in one pass: what is filled in is not looked at again.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut out = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('@') {
        out.push_str(text);
        let mark = after.split_once('@');
        let value = mark.and_then(|(name, after)| {
            let (_, value) = values
                .iter()
                .find(|(known, _)| known.trim_matches('@') == name)?;
            Some((value, after))
        });
        match value {
            Some((value, after)) => {
                out.push_str(value);
                rest = after;
            }
            None => {
                out.push('@');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
