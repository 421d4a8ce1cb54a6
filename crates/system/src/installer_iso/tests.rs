//! The installer ISO against foreign tools, and its own promises.

use std::path::Path;

use super::*;
use isoforge_base::error::{Class, Diagnose as _, Failure};
use isoforge_formats::iso9660::BLOCK_BYTES;
use isoforge_formats::iso9660::read::{Image, Limits};
use isoforge_judges::{run, scratch};

const SQUASHFS_BYTES: usize = 3_000_001;

fn stub(marker: &str) -> String {
    format!("search --no-floppy --file --set=root /isoforge/id/{marker}\n")
}

fn manifest(squashfs: &Digest) -> Vec<u8> {
    format!("{{\"squashfs\":\"{squashfs}\"}}\n").into_bytes()
}

fn pattern(bytes: usize, seed: u8) -> Vec<u8> {
    (0..bytes).map(|n| (n % 241) as u8 ^ seed).collect()
}

fn squashfs() -> Squashfs<'static> {
    Squashfs {
        size: SQUASHFS_BYTES as u64,
        write: Box::new(|out| {
            for part in pattern(SQUASHFS_BYTES, 9).chunks(100_003) {
                out.write_all(part)?;
            }
            Ok(())
        }),
    }
}

fn inputs() -> IsoInputs<'static> {
    let program = |name: &str, bytes, seed| EfiProgram {
        name: name.to_owned(),
        data: Payload::bytes(pattern(bytes, seed)),
    };
    IsoInputs {
        volume_id: "COS_LIVE".to_owned(),
        epoch: 1_780_000_000,
        kernel: Payload::bytes(pattern(50_000, 1)),
        initrd: Payload::bytes(pattern(70_000, 2)),
        efi_programs: vec![
            program("bootx64.efi", 20_000, 3),
            program("grubx64.efi", 30_000, 4),
        ],
        bios: Some(Bios {
            core_image: pattern(9_001, 5),
            boot_hybrid: pattern(512, 6),
        }),
        menu: b"menuentry Live { linux /boot/kernel }\n".to_vec(),
        stub: &stub,
        stub_paths: vec!["EFI/debian/grub.cfg".to_owned()],
        config: b"#cloud-config\n".to_vec(),
        squashfs: squashfs(),
        manifest: &manifest,
        extra: vec![
            Extra {
                path: "isoforge/content/oci-layout".to_owned(),
                kind: ExtraKind::File {
                    mode: 0o644,
                    data: Payload::bytes(&br#"{"imageLayoutVersion":"1.0.0"}"#[..]),
                },
            },
            Extra {
                path: "isoforge/content/blobs/sha256".to_owned(),
                kind: ExtraKind::Directory { mode: 0o755 },
            },
            Extra {
                path: "latest".to_owned(),
                kind: ExtraKind::Symlink {
                    target: b"boot/kernel".to_vec(),
                },
            },
        ],
    }
}

fn build(path: &Path, inputs: IsoInputs<'_>) -> IsoReport {
    let announced = size(&inputs).unwrap();
    let report = try_build(path, inputs).unwrap();
    assert_eq!(report.size, announced);
    report
}

fn try_build(path: &Path, inputs: IsoInputs<'_>) -> Result<IsoReport, Error> {
    let out = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .unwrap();
    write(&out, inputs, &Progress::silent())
}

/// What `xorriso` says about boot entries and partitions, without the GUIDs'
/// byte strings and names in UTF-16.
fn boot_report(image: &str) -> String {
    let text = run(
        "xorriso",
        &[
            "-abort_on",
            "WARNING",
            "-indev",
            image,
            "-report_el_torito",
            "plain",
            "-report_system_area",
            "plain",
        ],
    );
    assert!(!text.contains("WARNING"), "{text}");
    text.lines()
        .filter(|line| {
            ["El Torito", "System area", "MBR", "GPT"]
                .iter()
                .any(|start| line.starts_with(start))
        })
        .filter(|line| !line.contains("GUID") && !line.contains("partition name"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn read(path: &Path, file: &str) -> Vec<u8> {
    let mut image = Image::open(File::open(path).unwrap(), Limits::default()).unwrap();
    let entry = image.find(file.as_bytes()).unwrap();
    let entry = entry.unwrap_or_else(|| panic!("{file} is missing"));
    image.read_file(&entry, 1 << 30).unwrap()
}

#[test]
fn foreign_tools_find_boot_entries_partitions_and_files() {
    let dir = scratch();
    let path = dir.path().join("x.iso");
    let report = build(&path, inputs());
    let image = path.to_str().unwrap();
    insta::assert_snapshot!(boot_report(image), @r#"
    El Torito catalog  : 49  1
    El Torito images   :   N  Pltf  B   Emul  Ld_seg  Hdpt  Ldsiz         LBA
    El Torito boot img :   1  BIOS  y   none  0x0000  0x00      4        4608
    El Torito boot img :   2  UEFI  y   none  0x0000  0x00  16384         512
    El Torito img path :   1  /boot/eltorito.img
    El Torito img opts :   1  boot-info-table grub2-boot-info
    El Torito img blks :   2  4096
    System area options: 0x00004201
    System area summary: MBR protective-msdos-label grub2-mbr cyl-align-off GPT
    MBR heads per cyl  : 0
    MBR secs per head  : 0
    MBR partition table:   N Status  Type        Start       Blocks
    MBR partition      :   1   0x00  0xee            1        26763
    MBR partition      :   2   0x80  0x00            0            1
    GPT                :   N  Info
    GPT entry array    :      2  128  separated
    GPT lba range      :      2048  26730  26763
    GPT partname local :   1  EFI System
    GPT partition flags:   1  0x0000000000000000
    GPT start and size :   1  2048  16384
    GPT partname local :   2  ISO9660
    GPT partition flags:   2  0x1000000000000000
    GPT start and size :   2  18432  8299
    GPT partition path :   2  /boot/eltorito.img
    "#);
    let verified = run("sfdisk", &["--verify", image]);
    assert!(verified.contains("No errors detected"), "{verified}");

    // The EFI system partition, cut out where the partition table says.
    let bytes = fs_err::read(&path).unwrap();
    let esp = dir.path().join("esp.img");
    fs_err::write(&esp, &bytes[1 << 20..9 << 20]).unwrap();
    let esp = esp.to_str().unwrap();
    run("fsck.fat", &["-n", "-v", esp]);
    let marker = report.manifest.hex();
    for (file, content) in [
        ("EFI/BOOT/bootx64.efi", pattern(20_000, 3)),
        ("EFI/BOOT/grubx64.efi", pattern(30_000, 4)),
        ("EFI/BOOT/grub.cfg", stub(&marker).into_bytes()),
        ("boot/grub/grub.cfg", stub(&marker).into_bytes()),
        ("EFI/debian/grub.cfg", stub(&marker).into_bytes()),
    ] {
        let copy = dir.path().join("copy");
        run(
            "mcopy",
            &[
                "-n",
                "-i",
                esp,
                &format!("::{file}"),
                copy.to_str().unwrap(),
            ],
        );
        assert!(
            fs_err::read(copy).unwrap() == content,
            "{file} in the partition"
        );
        assert!(read(&path, file) == content, "{file} on the ISO");
    }
}

#[test]
fn the_contract_s_files_are_there_and_the_report_tells_the_truth() {
    let dir = scratch();
    let path = dir.path().join("x.iso");
    let report = build(&path, inputs());
    let bytes = fs_err::read(&path).unwrap();
    assert_eq!(report.size, bytes.len() as u64);
    assert_eq!(report.digest, Digest::of(&bytes));
    assert_eq!(report.squashfs, Digest::of(&pattern(SQUASHFS_BYTES, 9)));
    assert_eq!(report.squashfs_size, SQUASHFS_BYTES as u64);
    let manifest = manifest(&report.squashfs);
    assert_eq!(report.manifest, Digest::of(&manifest));
    let marker = format!("isoforge/id/{}", report.manifest.hex());
    for (file, content) in [
        ("rootfs.squashfs", pattern(SQUASHFS_BYTES, 9)),
        ("boot/kernel", pattern(50_000, 1)),
        ("boot/initrd", pattern(70_000, 2)),
        ("boot/grub2/grub.cfg", inputs().menu),
        ("config.yaml", b"#cloud-config\n".to_vec()),
        ("isoforge/manifest.json", manifest),
        (&marker, format!("{}\n", report.manifest.hex()).into_bytes()),
        (
            "isoforge/content/oci-layout",
            br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
        ),
    ] {
        assert!(read(&path, file) == content, "{file}");
        let placed = report
            .files
            .iter()
            .find(|placed| placed.path == file)
            .unwrap();
        let start = placed.offset as usize;
        assert!(
            bytes[start..start + placed.bytes as usize] == content,
            "{file}"
        );
    }
    // The configuration comes last and can grow to its room.
    let config = report.files.last().unwrap();
    assert_eq!(
        (config.path.as_str(), config.room),
        ("config.yaml", 1 << 20)
    );
    let end = config.offset + config.room;
    assert!(report.files.iter().all(|file| file.offset <= config.offset));
    assert!(report.size - end < 33 * 512 + BLOCK_BYTES);
}

#[test]
fn the_core_image_and_the_mbr_know_where_they_are() {
    let dir = scratch();
    let path = dir.path().join("x.iso");
    let report = build(&path, inputs());
    let core = report
        .files
        .iter()
        .find(|file| file.path == "boot/eltorito.img")
        .unwrap();
    let block = core.offset / BLOCK_BYTES;
    let image = read(&path, "boot/eltorito.img");
    let mut expected = pattern(9_001, 5);
    expected[2548..2556].copy_from_slice(&(block * 4 + 5).to_le_bytes());
    let sum = expected[64..].chunks(4).fold(0_u32, |sum, word| {
        let mut bytes = [0; 4];
        bytes[..word.len()].copy_from_slice(word);
        sum.wrapping_add(u32::from_le_bytes(bytes))
    });
    let table = [16, block as u32, 9_001, sum];
    expected[8..64].fill(0);
    for (n, value) in table.into_iter().enumerate() {
        expected[8 + n * 4..12 + n * 4].copy_from_slice(&value.to_le_bytes());
    }
    assert!(image == expected);
    let bytes = fs_err::read(&path).unwrap();
    assert_eq!(bytes[..0x1B0], pattern(512, 6)[..0x1B0]);
    assert_eq!(bytes[0x1B0..0x1B8], (block * 4 + 4).to_le_bytes());
}

#[test]
fn equal_inputs_give_equal_bytes_and_another_squashfs_other_identifiers() {
    let dir = scratch();
    let path = |name| dir.path().join(name);
    let first = build(&path("a.iso"), inputs());
    // What the file held before does not matter.
    fs_err::write(path("b.iso"), vec![0xA5; 30_000_000]).unwrap();
    let second = build(&path("b.iso"), inputs());
    assert_eq!(first, second);
    assert!(fs_err::read(path("a.iso")).unwrap() == fs_err::read(path("b.iso")).unwrap());
    let mut changed = inputs();
    changed.squashfs = Squashfs {
        size: SQUASHFS_BYTES as u64,
        write: Box::new(|out| Ok(out.write_all(&pattern(SQUASHFS_BYTES, 10))?)),
    };
    let third = build(&path("c.iso"), changed);
    assert_ne!(first.manifest, third.manifest);
    let disk_guid = |name| fs_err::read(path(name)).unwrap()[512 + 56..512 + 72].to_vec();
    assert_ne!(disk_guid("a.iso"), disk_guid("c.iso"));
}

#[test]
fn one_firmware_is_enough_and_none_is_an_error() {
    let dir = scratch();
    let path = dir.path().join("x.iso");
    let image = path.to_str().unwrap();
    let mut uefi = inputs();
    uefi.bios = None;
    build(&path, uefi);
    insta::assert_snapshot!(boot_report(image), @r#"
    El Torito catalog  : 49  1
    El Torito images   :   N  Pltf  B   Emul  Ld_seg  Hdpt  Ldsiz         LBA
    El Torito boot img :   1  UEFI  y   none  0x0000  0x00  16384         512
    El Torito img blks :   1  4096
    System area options: 0x00000201
    System area summary: MBR protective-msdos-label cyl-align-off GPT
    MBR heads per cyl  : 0
    MBR secs per head  : 0
    MBR partition table:   N Status  Type        Start       Blocks
    MBR partition      :   1   0x00  0xee            1        26743
    GPT                :   N  Info
    GPT entry array    :      2  128  separated
    GPT lba range      :      2048  26710  26743
    GPT partname local :   1  EFI System
    GPT partition flags:   1  0x0000000000000000
    GPT start and size :   1  2048  16384
    GPT partname local :   2  ISO9660
    GPT partition flags:   2  0x1000000000000000
    GPT start and size :   2  18432  8279
    GPT partition path :   2  /isoforge/manifest.json
    "#);
    assert!(
        fs_err::read(&path).unwrap()[..440]
            .iter()
            .all(|&byte| byte == 0)
    );
    assert!(run("sfdisk", &["--verify", image]).contains("No errors detected"));

    let mut bios = inputs();
    bios.efi_programs.clear();
    build(&path, bios);
    insta::assert_snapshot!(boot_report(image), @r#"
    El Torito catalog  : 49  1
    El Torito images   :   N  Pltf  B   Emul  Ld_seg  Hdpt  Ldsiz         LBA
    El Torito boot img :   1  BIOS  y   none  0x0000  0x00      4          50
    El Torito img path :   1  /boot/eltorito.img
    El Torito img opts :   1  boot-info-table grub2-boot-info
    System area options: 0x00004201
    System area summary: MBR protective-msdos-label grub2-mbr cyl-align-off GPT
    MBR heads per cyl  : 0
    MBR secs per head  : 0
    MBR partition table:   N Status  Type        Start       Blocks
    MBR partition      :   1   0x00  0xee            1         8431
    MBR partition      :   2   0x80  0x00            0            1
    GPT                :   N  Info
    GPT entry array    :      2  128  separated
    GPT lba range      :      200  8398  8431
    GPT partname local :   1  ISO9660
    GPT partition flags:   1  0x1000000000000000
    GPT start and size :   1  200  8199
    GPT partition path :   1  /boot/eltorito.img
    "#);
    assert!(run("sfdisk", &["--verify", image]).contains("No errors detected"));

    let mut neither = inputs();
    neither.bios = None;
    neither.efi_programs.clear();
    let error = try_build(&path, neither).unwrap_err().to_string();
    assert!(error.ends_with("starts nowhere"), "{error}");
}

#[test]
fn a_partition_over_32_mib_has_no_sector_count_in_the_boot_catalog() {
    let dir = scratch();
    let path = dir.path().join("x.iso");
    let mut large = inputs();
    large.efi_programs.push(EfiProgram {
        name: "tool.efi".to_owned(),
        data: Payload::bytes(pattern(40 << 20, 7)),
    });
    build(&path, large);
    let mut image = Image::open(File::open(&path).unwrap(), Limits::default()).unwrap();
    let entries = image.boot_entries().unwrap();
    let [bios, uefi] = entries.as_slice() else {
        panic!("{entries:?}");
    };
    assert_eq!((bios.platform, bios.sectors), (0, 4));
    assert_eq!((uefi.platform, uefi.sectors, uefi.block.0), (0xEF, 0, 512));
    boot_report(path.to_str().unwrap());
}

#[test]
fn content_that_is_not_as_announced_is_an_error() {
    let dir = scratch();
    let path = dir.path().join("x.iso");
    for bytes in [SQUASHFS_BYTES - 1, SQUASHFS_BYTES + 1] {
        let mut wrong = inputs();
        wrong.squashfs.write = Box::new(move |out| Ok(out.write_all(&pattern(bytes, 9))?));
        assert!(try_build(&path, wrong).is_err(), "{bytes}");
    }
    let file = dir.path().join("blob");
    fs_err::write(&file, b"12345").unwrap();
    for size in [4, 6] {
        let mut wrong = inputs();
        wrong.initrd = Payload::File {
            path: file.clone(),
            size,
            digest: Digest::of(b"12345"),
        };
        assert!(try_build(&path, wrong).is_err(), "{size}");
    }
    let mut rotten = inputs();
    rotten.initrd = Payload::File {
        path: file,
        size: 5,
        digest: Digest::of(b"12346"),
    };
    let error = Failure::from(try_build(&path, rotten).unwrap_err());
    assert_eq!(error.class(), Class::Verification);
    assert!(format!("{error:#}").contains("its digest is"), "{error:#}");
    assert!(error.hint().unwrap().contains("verify --repair"));
    let mut missing = inputs();
    missing.kernel = Payload::File {
        path: dir.path().join("nowhere"),
        size: 1,
        digest: Digest::of(b"1"),
    };
    assert!(matches!(
        try_build(&path, missing),
        Err(Error::Io { doing, .. }) if doing == "writing 'boot/kernel' to the ISO"
    ));
    let mut twice = inputs();
    twice.extra.push(Extra {
        path: "boot/kernel".to_owned(),
        kind: ExtraKind::Directory { mode: 0o755 },
    });
    assert_eq!(try_build(&path, twice).unwrap_err().class(), Class::Profile);
    let mut small_core = inputs();
    small_core.bios = Some(Bios {
        core_image: vec![0; 100],
        boot_hybrid: vec![0; 512],
    });
    assert!(try_build(&path, small_core).is_err());
    let grows = |squashfs: &Digest| vec![b' '; 100 + usize::from(squashfs.as_bytes()[0]) * 100];
    let mut moved = inputs();
    moved.manifest = &grows;
    assert!(try_build(&path, moved).is_err());
}
