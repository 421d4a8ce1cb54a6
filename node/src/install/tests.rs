//! Installations onto loop devices, judged by foreign programs.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use fs_err as fs;
use insta::assert_snapshot;
use isoforge::node::{After, ExtraFilesystem, ExtraPartition, Firmware};
use isoforge::oci::digest::Digest;
use tempfile::TempDir;

use super::engine::Installation;
use super::medium::{Content, Image, Source};
use super::model::{Choices, Event, Failure, Observer};
use super::plan::{MIB, plan};
use super::sources::{Error as SourceError, Media, Opened};
use super::*;
use crate::disks::fixture::shell;
use crate::slots::testing::config;

/// An image whose root file system has `mib` MiB.
pub(super) fn image(mib: u64) -> Image {
    let source = |path: &str, size| Source {
        path: path.to_owned(),
        content: Content {
            digest: Digest::of(b""),
            size,
        },
    };
    Image {
        name: "demo".to_owned(),
        version: "1.0.0".to_owned(),
        kubernetes: None,
        epoch: None,
        rootfs: source("rootfs.squashfs", mib * MIB),
        kernel: source("boot/kernel", 12 * MIB),
        initrd: source("boot/initrd", 30 * MIB),
        efi: vec![source("EFI/BOOT/bootx64.efi", 3 * MIB)],
        bios: None,
    }
}

fn layout(config: &Config, image: &Image, disk_bytes: u64, sector: u32) -> String {
    match plan(config, image, disk_bytes, sector) {
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
    let image = image(300);
    assert_snapshot!(layout(&config, &image, 20 << 30, 512), @"");
    assert_snapshot!(layout(&config, &image, 20 << 30, 4096), @"");
    config.firmware = vec![Firmware::Uefi];
    config.install.partitions.state_mib = Some(2048);
    config.install.partitions.persistent_mib = Some(4096);
    config.install.partitions.extra = vec![ExtraPartition {
        label: "DATA".to_owned(),
        size_mib: 5000,
        filesystem: ExtraFilesystem::Ext4,
        mount: Some("/data".to_owned()),
    }];
    assert_snapshot!(layout(&config, &image, (20 << 30) + 12345, 512), @"");
}

#[test]
fn what_does_not_fit_is_told_with_sizes() {
    let mut config = config();
    let image = image(300);
    assert_snapshot!(layout(&config, &image, 2 << 30, 512), @"");
    assert_snapshot!(layout(&config, &image, 0, 512), @"");
    assert_snapshot!(layout(&config, &image, 20 << 30, 520), @"");
    let sizes = config.install.partitions.clone();
    config.install.partitions.state_mib = Some(1000);
    assert_snapshot!(layout(&config, &image, 20 << 30, 512), @"");
    config.install.partitions.state_mib = Some(u64::MAX);
    assert_snapshot!(layout(&config, &image, 20 << 30, 512), @"");
    config.install.partitions = sizes.clone();
    config.install.partitions.esp_mib = 3;
    assert_snapshot!(layout(&config, &image, 20 << 30, 512), @"");
    config.install.partitions = sizes.clone();
    config.install.partitions.oem_mib = u64::MAX / MIB;
    assert_snapshot!(layout(&config, &image, 20 << 30, 512), @"");
    config.install.partitions = sizes;
    config.install.partitions.extra = vec![ExtraPartition {
        label: "STATE".to_owned(),
        size_mib: 1,
        filesystem: ExtraFilesystem::None,
        mount: None,
    }];
    assert_snapshot!(layout(&config, &image, 20 << 30, 512), @"");
    // The smallest disk that is taken, and one sector less.
    config.install.partitions.extra.clear();
    let end = |bytes: u64| plan(&config, &image, bytes, 512).is_ok();
    let least = (MIB..u64::MAX)
        .step_by(MIB as usize)
        .find(|bytes| end(*bytes))
        .unwrap();
    let exact = least - MIB + 33 * 512;
    assert!(end(exact) && !end(exact - 512));
}

// ---- a medium and a disk ----

/// Whether loop devices can be made; says so where not.
fn can_loop(test: &str) -> bool {
    let can = rustix::process::geteuid().is_root() && Path::new("/dev/loop-control").exists();
    if !can {
        eprintln!("SKIPPED {test}: it needs root and loop devices");
    }
    can
}

/// A machine with one disk, and a medium.
struct Bench {
    dir: TempDir,
    sys: Sysfs,
    medium: Medium,
    config: Config,
    device: PathBuf,
}

impl Drop for Bench {
    fn drop(&mut self) {
        shell("losetup -d $1", &[&self.device]);
    }
}

struct NoMedia;

impl Media for NoMedia {
    fn open(&self, _: &str) -> Result<Option<Opened>, SourceError> {
        Ok(None)
    }
}

/// Bytes that no compressor or file system makes smaller.
fn noise(seed: u64, bytes: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut out = Vec::with_capacity(bytes as usize + 8);
    while (out.len() as u64) < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend(state.to_le_bytes());
    }
    out.truncate(bytes as usize);
    out
}

const FILES: [(&str, u64); 8] = [
    ("rootfs.squashfs", 80 * MIB + 4096),
    ("boot/kernel", 3 * MIB + 1),
    ("boot/initrd", 5 * MIB + 77),
    ("EFI/BOOT/bootx64.efi", 900_000),
    ("EFI/BOOT/grubx64.efi", 1_500_000),
    ("EFI/BOOT/mmx64.efi", 800_000),
    ("isoforge/boot/bios-core.img", 180_000),
    ("isoforge/boot/bios-mbr.img", 512),
];

impl Bench {
    fn new(sector: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let iso = root.join("iso");
        let mut contents = serde_json::Map::new();
        for (seed, (path, size)) in (1..).zip(FILES) {
            let bytes = noise(seed * 7919, size);
            let to = iso.join(path);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::write(to, &bytes).unwrap();
            let content = serde_json::json!({"digest": Digest::of(&bytes), "size": size});
            contents.insert(path.to_owned(), content);
        }
        let mut squashfs = contents.remove("rootfs.squashfs").unwrap();
        squashfs["epoch"] = 7.into();
        let manifest = serde_json::json!({
            "schema": 1,
            "appliance": {"name": "demo", "version": "1.0.0"},
            "architectures": {"amd64": {
                "squashfs": squashfs,
                "boot": contents,
                "components": [{"kind": "kubernetes", "name": "k3s", "version": "1.32.3"}],
            }},
        });
        fs::write(iso.join("isoforge/manifest.json"), manifest.to_string()).unwrap();
        fs::create_dir_all(iso.join("EFI/debian")).unwrap();
        fs::write(iso.join("EFI/debian/grub.cfg"), "stub").unwrap();
        let user = "#cloud-config\nusers:\n  - name: ops\n    passwd: $6$salt$hash\n";
        fs::write(iso.join("config.yaml"), user).unwrap();
        let disk = root.join("disk");
        fs::File::create(&disk).unwrap().set_len(4 << 30).unwrap();
        let sectors = PathBuf::from(sector.to_string());
        let device = shell("losetup -P -f --show -b $2 $1", &[&disk, &sectors]);
        // The machine's own, but for the firmware.
        let sys = root.join("sys");
        fs::create_dir_all(sys.join("firmware/efi")).unwrap();
        std::os::unix::fs::symlink("/sys/block", sys.join("block")).unwrap();
        let mut config = config();
        config.install.partitions.persistent_min_mib = 64;
        Self {
            sys: Sysfs {
                sys,
                medium: iso.clone(),
                work: root.join("work"),
                ..Sysfs::default()
            },
            medium: Medium::new(iso),
            config,
            device: device.trim().into(),
            dir,
        }
    }

    fn install(&self, observer: &mut dyn Observer) -> Result<(), Failure> {
        let choices = Choices {
            disk: self.device.clone(),
            account: None,
            hostname: Some("edge-1".to_owned()),
            network: None,
            after: After::None,
        };
        Installation {
            medium: &self.medium,
            config: &self.config,
            choices: &choices,
            sys: &self.sys,
            media: &NoMedia,
        }
        .run(observer)
    }

    fn partition(&self, number: u32) -> PathBuf {
        format!("{}p{number}", self.device.display()).into()
    }

    fn iso(&self, path: &str) -> PathBuf {
        self.medium.path(path)
    }

    /// Bytes written to the disk since it was made.
    fn written(&self) -> u64 {
        let name = self.device.file_name().unwrap().to_str().unwrap();
        let stat = fs::read_to_string(format!("/sys/block/{name}/stat")).unwrap();
        let sectors: u64 = stat.split_whitespace().nth(6).unwrap().parse().unwrap();
        sectors * 512
    }

    /// Runs a script on the mounted partition `$1`.
    fn inside(&self, number: u32, script: &str) -> String {
        let folder = self.dir.path().join("look");
        fs::create_dir_all(&folder).unwrap();
        let script = format!(
            "mount -r \"$1\" \"$2\"; cd \"$2\"; ({script}) || failed=1; cd /; umount \"$2\"; \
             [ -z \"${{failed-}}\" ]"
        );
        shell(
            &script,
            &[&self.partition(number), &folder, self.medium.root()],
        )
    }

    /// Runs a script with the ESP as `$1`, the medium as `$2`.
    fn esp(&self, script: &str) -> String {
        shell(script, &[&self.partition(2), self.medium.root()])
    }

    fn uuid(&self, number: u32) -> String {
        let script = "blkid -p -o value -s UUID $1";
        shell(script, &[&self.partition(number)]).trim().to_owned()
    }

    /// What a firmware would start.
    fn starts(&self) -> Vec<&'static str> {
        let disk = fs::File::open(&self.device).unwrap();
        let mut mbr = [0; 512];
        std::os::unix::fs::FileExt::read_exact_at(disk.file(), &mut mbr, 0).unwrap();
        let mut starts = Vec::new();
        if mbr[..440].iter().any(|byte| *byte != 0) {
            starts.push("BIOS");
        }
        for entry in crate::disks::table::read_all(disk.file(), 4 << 30) {
            if entry.type_guid == crate::disks::table::TYPE_ESP {
                let at = format!("{}@@{}", self.device.display(), entry.offset);
                let script = "mdir -b -i $1 ::EFI/BOOT 2>/dev/null || true";
                let list = shell(script, &[Path::new(&at)]).to_lowercase();
                if list.contains("bootx64.efi") && !starts.contains(&"UEFI") {
                    starts.push("UEFI");
                }
            }
        }
        starts
    }

    fn is_clean(&self) {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let own = self.dir.path().to_str().unwrap();
        assert!(!mounts.contains(own), "{mounts}");
    }
}

/// Keeps what it is told, and may do something at a step.
#[derive(Default)]
struct Ear<'a> {
    told: Vec<Event>,
    at: Option<(u32, &'a (dyn Fn() + Sync))>,
    on_bytes: Option<&'a (dyn Fn() + Sync)>,
}

impl Observer for Ear<'_> {
    fn event(&mut self, event: Event) {
        if let (Event::Step { number, .. }, Some((at, what))) = (&event, self.at)
            && *number == at
        {
            what();
        }
        if let (Event::Bytes { .. }, Some(what)) = (&event, self.on_bytes) {
            what();
        }
        self.told.push(event);
    }
}

fn quiet() -> Ear<'static> {
    Ear::default()
}

fn without_ids(text: &str, bench: &Bench) -> String {
    let device = bench.device.to_str().unwrap();
    text.replace(device, "DISK")
        .lines()
        .filter(|line| !line.contains("\"id\"") && !line.contains("\"uuid\""))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn a_disk_is_installed_whole() {
    if !can_loop("a_disk_is_installed_whole") {
        return;
    }
    let bench = Bench::new(512);
    let before = bench.written();
    let mut ear = quiet();
    bench.install(&mut ear).unwrap();
    bench.is_clean();
    let written = bench.written() - before;
    assert_eq!(bench.starts(), ["BIOS", "UEFI"]);

    let report = shell("sfdisk --verify $1 2>&1", &[&bench.device]);
    assert!(report.contains("No errors detected"), "{report}");
    let json = shell("sfdisk --json $1", &[&bench.device]);
    assert_snapshot!(without_ids(&json, &bench), @"");
    shell("fsck.fat -n $1", &[&bench.partition(2)]);
    for number in [3, 4, 5] {
        shell("e2fsck -fn $1 2>&1", &[&bench.partition(number)]);
    }

    assert_snapshot!(bench.inside(4, "find . ! -name lost+found | sort"), @"");
    let slots = "for slot in a recovery; do
        cmp slots/$slot/rootfs.squashfs $3/rootfs.squashfs
        cmp slots/$slot/kernel $3/boot/kernel
        cmp slots/$slot/initrd $3/boot/initrd
        grep -c 'root=live:UUID' slots/$slot/slot.cfg
        done; head -c 60 grubenv; grep -n LABEL= grub/grub.cfg slots/*/slot.cfg || true";
    assert_snapshot!(bench.inside(4, slots), @"");
    let config = bench.inside(4, "cat slots/a/slot.cfg grub/grub.cfg");
    for number in [3, 4, 5] {
        assert!(config.contains(&bench.uuid(number)), "{config}");
    }
    assert!(
        bench
            .inside(4, "cat slots/a/slot.json")
            .contains("\"kubernetes\": \"1.32.3\"")
    );
    assert_snapshot!(bench.esp("mdir -b -/ -i $1 ::"), @"");
    for (path, _) in &FILES[3..6] {
        let script = format!("mcopy -i $1 '::{path}' - | cmp - $2/{path}");
        bench.esp(&script);
    }
    let stubs = bench.esp(
        "for dir in boot/grub EFI/BOOT EFI/debian; do
            mcopy -i $1 ::$dir/grub.cfg - | md5sum; done | sort -u | wc -l
         mcopy -i $1 ::boot/grub/grub.cfg -",
    );
    assert!(
        stubs.starts_with("1\n") && stubs.contains(&bench.uuid(4)),
        "{stubs}"
    );
    assert_snapshot!(bench.inside(3, "stat -c '%a %U %n' *.yaml; cat 90*"), @"");
    assert_snapshot!(bench.inside(5, "ls"), @"lost+found");

    // GRUB's core image knows where it lies, the MBR too.
    let core = fs::read(bench.partition(1)).unwrap();
    let original = fs::read(bench.iso("isoforge/boot/bios-core.img")).unwrap();
    assert_eq!(core[..2548], original[..2548]);
    assert_eq!(core[2548..2556], 2053_u64.to_le_bytes());
    assert!(core[2556..original.len()] == original[2556..]);
    let mbr = shell("head -c 512 $1 | base64 -w0", &[&bench.device]);
    let code = fs::read(bench.iso("isoforge/boot/bios-mbr.img")).unwrap();
    let start = shell(
        "head -c 432 $1 | base64 -w0",
        &[&bench.iso("isoforge/boot/bios-mbr.img")],
    );
    assert!(mbr.starts_with(&start) && code.len() == 512);
    let fields = shell(
        "head -c 478 $1 | tail -c +433 | od -An -v -tu1",
        &[&bench.device],
    );
    let fields: Vec<u8> = fields
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    assert_eq!(fields[..8], 2052_u64.to_le_bytes());
    assert_eq!(
        fields[30..],
        [0x80, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0]
    );

    let slots: u64 = FILES[..3].iter().map(|(_, size)| 2 * size).sum();
    let esp: u64 = FILES[3..6].iter().map(|(_, size)| size).sum();
    let ratio = written as f64 / (slots + esp) as f64;
    assert!(
        ratio <= 1.05,
        "{written} bytes for {} of files",
        slots + esp
    );
    println!("bytes written: {ratio:.4} of the files");
    let steps: Vec<String> = ear
        .told
        .iter()
        .filter_map(|event| match event {
            Event::Step { number, of, name } => Some(format!("{number}/{of} {name}")),
            _ => None,
        })
        .collect();
    assert_snapshot!(steps.join("\n"), @"");
    let last = ear
        .told
        .iter()
        .rev()
        .find(|event| matches!(event, Event::Bytes { .. }));
    let total: u64 = FILES[..3].iter().map(|(_, size)| size).sum();
    assert_eq!(last, Some(&Event::Bytes { done: total, total }));

    // The list knows it, and takes it only where that is forced.
    let disk = disks::find(&bench.sys, &bench.device).unwrap();
    assert_eq!(disk.appliance.as_deref(), Some("demo 1.0.0"));
    assert_eq!(disk.content, "GPT: BIOS, ESP, OEM, STATE, PERSISTENT");
    assert_eq!(disk.unusable, None);
}

#[test]
fn sectors_of_4096_bytes_and_further_partitions() {
    if !can_loop("sectors_of_4096_bytes_and_further_partitions") {
        return;
    }
    let mut bench = Bench::new(4096);
    bench.config.install.partitions.extra = vec![
        ExtraPartition {
            label: "DATA".to_owned(),
            size_mib: 100,
            filesystem: ExtraFilesystem::Ext4,
            mount: Some("/data".to_owned()),
        },
        ExtraPartition {
            label: "RAW".to_owned(),
            size_mib: 10,
            filesystem: ExtraFilesystem::None,
            mount: None,
        },
    ];
    bench.install(&mut quiet()).unwrap();
    bench.is_clean();
    assert_eq!(bench.starts(), ["UEFI"]);
    let report = shell("sfdisk --verify $1 2>&1", &[&bench.device]);
    assert!(report.contains("No errors detected"), "{report}");
    let json = shell("sfdisk --json $1", &[&bench.device]);
    assert_snapshot!(without_ids(&json, &bench), @"");
    shell("fsck.fat -n $1", &[&bench.partition(1)]);
    for number in [2, 3, 4, 6] {
        shell("e2fsck -fn $1 2>&1", &[&bench.partition(number)]);
    }
    let mounts = bench.inside(6, "cat appliance/mounts.json");
    assert_eq!(
        mounts,
        format!("{{\n  \"/data\": \"{}\"\n}}\n", bench.uuid(4))
    );
    assert_eq!(bench.uuid(5), "");
}

#[test]
fn a_damaged_medium_names_the_file_and_leaves_nothing_that_starts() {
    if !can_loop("a_damaged_medium_names_the_file_and_leaves_nothing_that_starts") {
        return;
    }
    let bench = Bench::new(512);
    // Short from the beginning: nothing is written.
    let kernel = bench.iso("boot/kernel");
    let whole = fs::read(&kernel).unwrap();
    fs::write(&kernel, &whole[..1000]).unwrap();
    let before = bench.written();
    let failure = bench.install(&mut quiet()).unwrap_err();
    assert_snapshot!(format!("{failure}\n{}", failure.advice), @"");
    assert_eq!(bench.written(), before);
    fs::write(&kernel, &whole).unwrap();
    bench.install(&mut quiet()).unwrap();
    assert_eq!(bench.starts(), ["BIOS", "UEFI"]);

    // Pulled out half-way.
    let rootfs = bench.iso("rootfs.squashfs");
    let pull = || {
        let file = std::fs::File::options().write(true).open(&rootfs).unwrap();
        file.set_len(5 * MIB).unwrap();
    };
    let mut ear = Ear {
        on_bytes: Some(&pull),
        ..Ear::default()
    };
    let failure = bench.install(&mut ear).unwrap_err();
    assert_snapshot!(format!("{failure}\n{}", failure.advice), @"");
    assert_eq!(bench.starts(), [""; 0]);
    bench.is_clean();

    // Every file that is copied, with one byte changed.
    fs::write(&rootfs, noise(7919, FILES[0].1)).unwrap();
    let mut causes = Vec::new();
    for (path, _) in FILES {
        let whole = fs::read(bench.iso(path)).unwrap();
        let mut changed = whole.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        fs::write(bench.iso(path), changed).unwrap();
        let failure = bench.install(&mut quiet()).unwrap_err();
        let cause = failure
            .cause
            .split("its content")
            .next()
            .unwrap()
            .to_owned();
        causes.push(format!("{}: {cause}", failure.step));
        assert_eq!(bench.starts(), [""; 0], "{path}");
        bench.is_clean();
        fs::write(bench.iso(path), whole).unwrap();
    }
    assert_snapshot!(causes.join("\n"), @"");

    let manifest = bench.iso("isoforge/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("boot/initrd", "boot/other")).unwrap();
    assert_snapshot!(bench.install(&mut quiet()).unwrap_err(), @"");
    fs::write(&manifest, "{}").unwrap();
    assert_snapshot!(bench.install(&mut quiet()).unwrap_err(), @"");
}

#[test]
fn cut_off_anywhere_nothing_starts_and_a_second_run_starts_over() {
    if !can_loop("cut_off_anywhere_nothing_starts_and_a_second_run_starts_over") {
        return;
    }
    let bench = Bench::new(512);
    bench.install(&mut quiet()).unwrap();
    let first = bench.uuid(4);
    let cut = || panic!("cut off");
    for step in 3..=8 {
        let mut ear = Ear {
            at: Some((step, &cut)),
            ..Ear::default()
        };
        let run = std::panic::catch_unwind(AssertUnwindSafe(|| bench.install(&mut ear)));
        assert!(run.is_err());
        assert_eq!(bench.starts(), [""; 0], "step {step}");
        bench.is_clean();
    }
    let mut ear = Ear {
        on_bytes: Some(&cut),
        ..Ear::default()
    };
    let run = std::panic::catch_unwind(AssertUnwindSafe(|| bench.install(&mut ear)));
    assert!(run.is_err());
    assert_eq!(bench.starts(), [""; 0]);

    // A run that was killed leaves its file systems mounted.
    let left = bench.sys.work.join("STATE");
    fs::create_dir_all(&left).unwrap();
    shell("mount $1 $2", &[&bench.partition(4), &left]);
    bench.install(&mut quiet()).unwrap();
    bench.is_clean();
    assert_eq!(bench.starts(), ["BIOS", "UEFI"]);
    assert_ne!(bench.uuid(4), first);
    for number in [3, 4, 5] {
        shell("e2fsck -fn $1 2>&1", &[&bench.partition(number)]);
    }
}

#[test]
fn what_must_not_be_overwritten_is_not() {
    if !can_loop("what_must_not_be_overwritten_is_not") {
        return;
    }
    let mut bench = Bench::new(512);
    bench.install(&mut quiet()).unwrap();
    let before = bench.written();
    // Somebody else uses a partition of it.
    let folder = bench.dir.path().join("elsewhere");
    fs::create_dir_all(&folder).unwrap();
    shell("mount -r $1 $2", &[&bench.partition(3), &folder]);
    let failure = bench.install(&mut quiet()).unwrap_err();
    assert!(failure.cause.contains("in use: mounted at"), "{failure}");
    // It is the medium.
    bench.sys.medium.clone_from(&folder);
    let failure = bench.install(&mut quiet()).unwrap_err();
    assert!(failure.cause.ends_with("the install medium"), "{failure}");
    shell("umount $1", &[&folder]);
    bench.sys.medium = bench.medium.root().to_owned();
    // The machine falls short of what is required.
    bench.config.install.requirements.disk_mib = Some(1 << 20);
    bench.config.install.requirements.enforce = true;
    let failure = bench.install(&mut quiet()).unwrap_err();
    assert!(
        failure.cause.starts_with("disk: 1.0 TiB is asked for"),
        "{failure}"
    );
    assert_eq!(bench.written(), before);
    assert_eq!(bench.starts(), ["BIOS", "UEFI"]);
}
