//! An appliance, as tests of several modules have it.

use isoforge_contract::machine::Config;

use isoforge_system::slots::Ids;

/// The configuration that tests of the contract have, too.
const CONFIG: &[u8] = include_bytes!("../../crates/contract/src/machine/sample.json");

/// Where its partitions are.
pub(crate) fn ids() -> Ids {
    Ids {
        state: "11111111-2222-4333-8444-555555555555".to_owned(),
        persistent: "22222222-2222-4333-8444-555555555555".to_owned(),
        oem: "33333333-2222-4333-8444-555555555555".to_owned(),
        esp: "ABCD-1234".to_owned(),
    }
}

/// What it was told by a profile that sets nothing.
pub(crate) fn config() -> Config {
    Config::parse(CONFIG).unwrap()
}
