//! An appliance, as tests of several modules have it.

use isoforge_contract::machine::{
    After, Boot, Config, Device, Firmware, Flavor, Health, Install, Partitions, Requirements,
    SCHEMA, State,
};

use crate::slots::Ids;

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
    Config {
        schema: SCHEMA,
        name: "demo".to_owned(),
        version: "1.0.0".to_owned(),
        title: "demo 1.0.0".to_owned(),
        flavor: Flavor::Appliance,
        firmware: vec![Firmware::Bios, Firmware::Uefi],
        install: Install {
            unattended: false,
            device: Device::Auto,
            after: After::Reboot,
            force: false,
            pages: Vec::new(),
            account: None,
            partitions: Partitions {
                esp_mib: 64,
                oem_mib: 64,
                state_mib: None,
                persistent_min_mib: 1024,
                persistent_mib: None,
                extra: Vec::new(),
            },
            requirements: Requirements::default(),
        },
        boot: Boot {
            cmdline: Vec::new(),
            timeout_seconds: 5,
            fips: false,
            selinux: false,
        },
        state: State::default(),
        health: Health {
            checks: Vec::new(),
            units: Vec::new(),
            time_limit_seconds: 600,
        },
        registry: None,
    }
}
