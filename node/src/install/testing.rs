//! A loop device for a disk and a folder for a medium.

use std::path::{Path, PathBuf};

use fs_err as fs;
use isoforge_base::digest::Digest;
use isoforge_contract::machine::{After, Config};
use tempfile::TempDir;

use super::engine::Installation;
use super::medium::Medium;
use super::model::{Choices, Event, Failure, Observer};
use crate::disks::Sysfs;
use crate::disks::fixture::shell;
use crate::media::{Media, Opened};
use crate::testing::config;
use isoforge_system::boot::lock::Lock;
use isoforge_system::disk_plan::MIB;

/// A machine with one disk, and a medium.
pub(super) struct Bench {
    pub(super) dir: TempDir,
    pub(super) sys: Sysfs,
    pub(super) medium: Medium,
    pub(super) config: Config,
    pub(super) device: PathBuf,
    pub(super) lock: Option<Lock>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        shell("losetup -d $1", &[&self.device]);
    }
}

pub(super) struct NoMedia;

impl Media for NoMedia {
    fn open(&self, _: &str) -> anyhow::Result<Option<Opened>> {
        Ok(None)
    }
}

/// Bytes that no compressor or file system makes smaller.
pub(super) fn noise(seed: u64, bytes: u64) -> Vec<u8> {
    let mut out = vec![0; usize::try_from(bytes).unwrap()];
    fastrand::Rng::with_seed(seed).fill(&mut out);
    out
}

pub(super) const FILES: [(&str, u64); 8] = [
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
    pub(super) fn new(sector: u32) -> Self {
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
        squashfs["compression"] = "zstd:9".into();
        squashfs["block_size"] = 262_144.into();
        let manifest = serde_json::json!({
            "schema": 1,
            "tool": {"name": "isoforge", "version": "1.0.0"},
            "profile": Digest::of(b"profile"),
            "epoch": {"seconds": 7, "source": "none"},
            "appliance": {"name": "demo", "version": "1.0.0"},
            "architectures": {"amd64": {
                "squashfs": squashfs,
                "boot": contents,
                "components": [
                    {"kind": "kubernetes", "name": "containerd", "version": "1.7", "source": "dpkg"},
                    {"kind": "kubernetes", "name": "k3s", "version": "1.32.3", "source": "profile"},
                ],
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
            lock: None,
            dir,
        }
    }

    pub(super) fn install(&self, observer: &mut dyn Observer) -> Result<(), Failure> {
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
            lock: self.lock.as_ref(),
        }
        .run(observer)
    }

    pub(super) fn partition(&self, number: u32) -> PathBuf {
        format!("{}p{number}", self.device.display()).into()
    }

    pub(super) fn iso(&self, path: &str) -> PathBuf {
        self.medium.path(path)
    }

    /// Bytes written to the disk since it was made.
    pub(super) fn written(&self) -> u64 {
        let name = self.device.file_name().unwrap().to_str().unwrap();
        let stat = fs::read_to_string(format!("/sys/block/{name}/stat")).unwrap();
        let sectors: u64 = stat.split_whitespace().nth(6).unwrap().parse().unwrap();
        sectors * 512
    }

    /// Runs a script on the mounted partition `$1`.
    pub(super) fn inside(&self, number: u32, script: &str) -> String {
        let folder = self.dir.path().join("look");
        fs::create_dir_all(&folder).unwrap();
        let script = format!(
            "mount -r \"$1\" \"$2\"; cd \"$2\"; ({script}) || failed=1; cd /; umount \"$2\"; \
             [ -z \"${{failed-}}\" ]"
        );
        shell(
            &script,
            &[&self.partition(number), &folder, &self.medium.path("")],
        )
    }

    /// Runs a script with the ESP as `$1`, the medium as `$2`.
    pub(super) fn esp(&self, script: &str) -> String {
        shell(script, &[&self.partition(2), &self.medium.path("")])
    }

    pub(super) fn uuid(&self, number: u32) -> String {
        let script = "blkid -p -o value -s UUID $1";
        shell(script, &[&self.partition(number)]).trim().to_owned()
    }

    /// What a firmware would start.
    pub(super) fn starts(&self) -> Vec<&'static str> {
        let disk = fs::File::open(&self.device).unwrap();
        let mut mbr = [0; 512];
        std::os::unix::fs::FileExt::read_exact_at(disk.file(), &mut mbr, 0).unwrap();
        let mut starts = Vec::new();
        // BIOS runs whatever ends so; `int 0x18` has it try the next device.
        if mbr[510..] == [0x55, 0xAA] && mbr[..2] != [0xCD, 0x18] {
            starts.push("BIOS");
        }
        for entry in crate::disks::table::read_all(disk.file(), 4 << 30) {
            if entry.type_guid == isoforge_formats::gpt::TYPE_ESP.on_disk() {
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

    pub(super) fn is_clean(&self) {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let own = self.dir.path().to_str().unwrap();
        assert!(!mounts.contains(own), "{mounts}");
    }
}

/// Keeps what it is told, and may do something at a step.
#[derive(Default)]
pub(super) struct Ear<'a> {
    pub(super) told: Vec<Event>,
    pub(super) at: Option<(u32, &'a (dyn Fn() + Sync))>,
    pub(super) on_bytes: Option<&'a (dyn Fn() + Sync)>,
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

pub(super) fn quiet() -> Ear<'static> {
    Ear::default()
}

pub(super) fn without_ids(text: &str, bench: &Bench) -> String {
    let device = bench.device.to_str().unwrap();
    text.replace(device, "DISK")
        .lines()
        .filter(|line| !line.contains("\"id\"") && !line.contains("\"uuid\""))
        .map(|line| format!("{line}\n"))
        .collect()
}
