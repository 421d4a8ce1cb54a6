use insta::assert_snapshot;
use isoforge_contract::machine::ExtraPartition;

use super::*;

const CONTENTS: Contents = Contents {
    slot_bytes: (300 + 12 + 30) * MIB,
    efi_bytes: 3 * MIB,
};

fn config() -> Config {
    Config::parse(include_bytes!("../../../contract/src/machine/sample.json")).unwrap()
}

fn layout(config: &Config, disk_bytes: u64, sector: u32) -> String {
    match plan(config, CONTENTS, disk_bytes, sector) {
        Err(error) => error.to_string(),
        Ok(plan) => plan
            .partitions
            .iter()
            .map(|p| {
                assert_eq!((p.offset % MIB, p.bytes % MIB), (0, 0));
                let (at, mib) = (p.offset / MIB, p.bytes / MIB);
                format!("{} {} {at} +{mib}\n", p.number, p.label)
            })
            .collect(),
    }
}

#[test]
fn layouts() {
    let mut config = config();
    assert_snapshot!(layout(&config, 20 << 30, 512), @r"
    1 BIOS 1 +1
    2 ESP 2 +64
    3 OEM 66 +64
    4 STATE 130 +1616
    5 PERSISTENT 1746 +18733
    ");
    assert_snapshot!(layout(&config, 20 << 30, 4096), @r"
    1 ESP 1 +64
    2 OEM 65 +64
    3 STATE 129 +1616
    4 PERSISTENT 1745 +18734
    ");
    config.firmware = vec![Firmware::Uefi];
    config.install.partitions.state_mib = Some(2048);
    config.install.partitions.persistent_mib = Some(4096);
    config.install.partitions.extra = vec![ExtraPartition {
        label: "DATA".to_owned(),
        size_mib: 5000,
        filesystem: ExtraFilesystem::Ext4,
        mount: Some("/data".to_owned()),
    }];
    assert_snapshot!(layout(&config, (20 << 30) + 12345, 512), @r"
    1 ESP 1 +64
    2 OEM 65 +64
    3 STATE 129 +2048
    4 DATA 2177 +5000
    5 PERSISTENT 7177 +4096
    ");
}

#[test]
fn what_does_not_fit_is_told_with_sizes() {
    let mut config = config();
    assert_snapshot!(layout(&config, 2 << 30, 512), @"too small with 2.0 GiB: 2.7 GiB are needed, which are BIOS 1.0 MiB, ESP 64.0 MiB, OEM 64.0 MiB, STATE 1.5 GiB, PERSISTENT 1.0 GiB");
    assert_snapshot!(layout(&config, 0, 512), @"too small with 0 B: 2.7 GiB are needed, which are BIOS 1.0 MiB, ESP 64.0 MiB, OEM 64.0 MiB, STATE 1.5 GiB, PERSISTENT 1.0 GiB");
    assert_snapshot!(layout(&config, 20 << 30, 520), @"sectors of 520 bytes can't be used, only of 512 or 4,096");
    let sizes = config.install.partitions.clone();
    config.install.partitions.state_mib = Some(1000);
    assert_snapshot!(layout(&config, 20 << 30, 512), @"[install.partitions] state: 1000.0 MiB can't hold three systems of 342.0 MiB each; at least 1.0 GiB are needed");
    config.install.partitions.state_mib = Some(u64::MAX);
    assert_snapshot!(layout(&config, 20 << 30, 512), @"[install.partitions] state: 18446744073709551615 MiB is no size of a partition");
    config.install.partitions = sizes.clone();
    config.install.partitions.esp_mib = 3;
    assert_snapshot!(layout(&config, 20 << 30, 512), @"[install.partitions] esp: 3.0 MiB can't hold boot loaders of 3.0 MiB");
    config.install.partitions = sizes.clone();
    config.install.partitions.oem_mib = u64::MAX / MIB;
    assert_snapshot!(layout(&config, 20 << 30, 512), @"[install.partitions] OEM: 17592186044415 MiB is no size of a partition");
    config.install.partitions = sizes;
    config.install.partitions.extra = vec![ExtraPartition {
        label: "STATE".to_owned(),
        size_mib: 1,
        filesystem: ExtraFilesystem::None,
        mount: None,
    }];
    assert_snapshot!(layout(&config, 20 << 30, 512), @"[[install.partitions.extra]] label 'STATE': a name has 1 to 16 bytes and differs from those of the others");
    // The smallest disk that is taken, and one sector less.
    config.install.partitions.extra.clear();
    let end = |bytes: u64| plan(&config, CONTENTS, bytes, 512).is_ok();
    let least = (MIB..u64::MAX)
        .step_by(MIB as usize)
        .find(|bytes| end(*bytes))
        .unwrap();
    let exact = least - MIB + 33 * 512;
    assert!(end(exact) && !end(exact - 512));
}
