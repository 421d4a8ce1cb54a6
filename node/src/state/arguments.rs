//! What the boot menu says on the kernel command line.

use anyhow::{Context as _, Result, bail};
use isoforge_contract::machine::{
    OEM_ARGUMENT, PERSISTENT_ARGUMENT, SLOT_ARGUMENT, TRIAL_ARGUMENT,
};

use isoforge_system::slots::Slot;

/// Where the kernel tells its command line.
pub(crate) const CMDLINE: &str = "/proc/cmdline";

/// The root of a slot, as dracut reads it; what follows is STATE's UUID.
const ROOT: &str = "root=live:UUID=";

/// What the boot menu says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// The slot that was booted.
    pub slot: Slot,
    /// Whether it boots once, until it is found good.
    pub trial: bool,
    /// UUID of PERSISTENT.
    pub persistent: String,
    /// UUID of OEM.
    pub oem: String,
    /// UUID of STATE; none where the root was named in another way.
    pub state: Option<String>,
}

impl Arguments {
    /// Reads a kernel command line. Of an argument that is there more than once
    /// the last counts.
    pub(crate) fn parse(cmdline: &str) -> Result<Self> {
        let slot = required(cmdline, SLOT_ARGUMENT)?;
        let slot = match slot.parse() {
            Ok(slot) => slot,
            Err(_) => bail!(bad(
                SLOT_ARGUMENT,
                slot,
                "there are the slots a, b and recovery"
            )),
        };
        let trial = match value(cmdline, TRIAL_ARGUMENT) {
            None | Some("0") => false,
            Some("1") => true,
            Some(other) => bail!(bad(TRIAL_ARGUMENT, other, "it is 1 or not there")),
        };
        Ok(Self {
            slot,
            trial,
            persistent: uuid(cmdline, PERSISTENT_ARGUMENT)?,
            oem: uuid(cmdline, OEM_ARGUMENT)?,
            state: words(cmdline)
                .filter_map(|word| word.strip_prefix(ROOT))
                .filter(|uuid| is_uuid(uuid))
                .last()
                .map(str::to_owned),
        })
    }
}

/// The value of the argument `name`; none where it is not there.
pub(crate) fn value<'a>(cmdline: &'a str, name: &str) -> Option<&'a str> {
    words(cmdline)
        .filter_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        .last()
}

/// Whether it is a UUID as file systems have them: as a name below
/// `/dev/disk/by-uuid` it can lead nowhere else.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

/// The words up to `--`, after which init's own begin.
fn words(cmdline: &str) -> impl Iterator<Item = &str> {
    cmdline
        .split_ascii_whitespace()
        .take_while(|word| *word != "--")
}

fn required<'a>(cmdline: &'a str, name: &str) -> Result<&'a str> {
    value(cmdline, name)
        .filter(|value| !value.is_empty())
        .with_context(|| format!("the kernel command line has no '{name}='"))
}

fn uuid(cmdline: &str, name: &str) -> Result<String> {
    let value = required(cmdline, name)?;
    if !is_uuid(value) {
        bail!(bad(name, value, "it is no UUID of a file system"));
    }
    Ok(value.to_ascii_lowercase())
}

fn bad(name: &str, value: &str, reason: &str) -> String {
    format!(
        "kernel argument '{name}={}': {reason}",
        value.escape_debug()
    )
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    const LINE: &str = "BOOT_IMAGE=/slots/b/kernel root=live:UUID=11111111-2222-4333-8444-555555555555 \
        rd.live.dir=/slots/b appliance.slot=b appliance.persistent=22222222-2222-4333-8444-5555555555AB \
        appliance.oem=33333333-2222-4333-8444-555555555555 panic=10\n";

    fn refused(line: &str) -> String {
        Arguments::parse(line).unwrap_err().to_string()
    }

    #[test]
    fn a_slots_line_is_read() {
        let arguments = Arguments::parse(LINE).unwrap();
        let expected = Arguments {
            slot: Slot::B,
            trial: false,
            // udev's links are in lower case
            persistent: "22222222-2222-4333-8444-5555555555ab".to_owned(),
            oem: "33333333-2222-4333-8444-555555555555".to_owned(),
            state: Some("11111111-2222-4333-8444-555555555555".to_owned()),
        };
        assert_eq!(arguments, expected);
        let trial = format!("{} appliance.trial=1", LINE.trim());
        assert!(Arguments::parse(&trial).unwrap().trial);
        let other = LINE.replace("root=live:UUID=", "root=live:LABEL=");
        assert_eq!(Arguments::parse(&other).unwrap().state, None);
    }

    #[test]
    fn the_last_one_counts_and_inits_own_do_not() {
        let line = format!(
            "{} appliance.slot=recovery -- appliance.slot=a",
            LINE.trim()
        );
        assert_eq!(Arguments::parse(&line).unwrap().slot, Slot::Recovery);
        assert_eq!(value("a.b=1 a.bc=2 a.b", "a.b"), Some("1"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert_snapshot!(refused("quiet"), @"the kernel command line has no 'appliance.slot='");
        assert_snapshot!(refused(&LINE.replace("slot=b", "slot=c")), @"kernel argument 'appliance.slot=c': there are the slots a, b and recovery");
        assert_snapshot!(refused(&LINE.replace("appliance.oem", "x")), @"the kernel command line has no 'appliance.oem='");
        assert_snapshot!(refused(&LINE.replace("33333333-2222-4333-8444-555555555555", "../../sda1")), @"kernel argument 'appliance.oem=../../sda1': it is no UUID of a file system");
        assert_snapshot!(refused(&format!("{} appliance.trial=yes", LINE.trim())), @"kernel argument 'appliance.trial=yes': it is 1 or not there");
    }
}
