//! Real GRUB on a real disk, with a kernel of forty instructions that says its
//! command line and turns the machine off. Each boot takes a few seconds.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use isoforge_base::process::Program;

use super::grubenv::Environment;
use super::{Slot, esp_stub, file, menu, slot_menu};
use crate::boot::lock::Lock;
use crate::slots::testing;

/// First sector of the partition.
const PARTITION_SECTOR: u32 = 2048;
const SECTOR_BYTES: usize = 512;
const DISK_BYTES: usize = 24 << 20;

/// GRUB for a disk, which starts as the one of an installed disk does: with the
/// stub of the ESP.
const MODULES: [&str; 16] = [
    "biosdisk",
    "part_msdos",
    "ext2",
    "normal",
    "configfile",
    "test",
    "search",
    "search_fs_uuid",
    "linux",
    "loadenv",
    "serial",
    "terminal",
    "echo",
    "sleep",
    "reboot",
    "password_pbkdf2",
];

/// What the machine prints before the command line.
const MARK: &[u8] = b"\nKERNEL ";

/// A kernel as the x86 boot protocol has it (Linux, "The Linux/x86 Boot
/// Protocol"): writes [`MARK`] and its command line to the first serial port and
/// resets the machine.
fn kernel() -> Vec<u8> {
    let mut image = vec![0_u8; 5 * SECTOR_BYTES];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1F1, &[4]); // setup sectors behind the first
    put(0x1F4, &32_u32.to_le_bytes()); // size of the rest in 16 bytes
    put(0x1FE, &[0x55, 0xAA]);
    put(0x200, &[0xEB, 0x6A]);
    put(0x202, b"HdrS");
    put(0x206, &0x020A_u16.to_le_bytes());
    put(0x211, &[1]); // loaded high
    put(0x214, &0x10_0000_u32.to_le_bytes());
    put(0x22C, &0x7FFF_FFFF_u32.to_le_bytes());
    put(0x230, &0x10_0000_u32.to_le_bytes()); // alignment
    put(0x234, &[1, 20]); // relocatable
    put(0x238, &2047_u32.to_le_bytes());
    put(0x258, &0x10_0000_u64.to_le_bytes());
    put(0x260, &0x1_0000_u32.to_le_bytes());
    let mut code = Vec::new();
    for &byte in MARK {
        // mov al, byte; mov dx, 0x3f8; out dx, al
        code.extend([0xB0, byte, 0x66, 0xBA, 0xF8, 0x03, 0xEE]);
    }
    code.extend([0x8B, 0xB6, 0x28, 0x02, 0x00, 0x00]); // mov esi, [esi+0x228]
    code.extend([
        0xAC, // next: lodsb
        0x84, 0xC0, 0x74, 0x14, // test al, al; jz done
        0x88, 0xC4, // mov ah, al
        0x66, 0xBA, 0xFD, 0x03, // mov dx, 0x3fd
        0xEC, 0xA8, 0x20, 0x74, 0xFB, // wait: in al, dx; test al, 0x20; jz wait
        0x66, 0xBA, 0xF8, 0x03, // mov dx, 0x3f8
        0x88, 0xE0, 0xEE, // mov al, ah; out dx, al
        0xEB, 0xE7, // jmp next
        0xB0, 0xFE, 0xE6, 0x64, // done: mov al, 0xfe; out 0x64, al (reset)
        0xF4, 0xEB, 0xFD, // hlt
    ]);
    image.extend(code);
    image.resize(5 * SECTOR_BYTES + SECTOR_BYTES, 0);
    image
}

mod keyboard;

/// After so many seconds a boot has failed.
const SECONDS: &str = "60";

/// A disk under test.
struct Machine {
    dir: tempfile::TempDir,
    /// A file of the file system that can't be read.
    broken: Option<&'static str>,
    /// What menu and stub are locked with.
    lock: Option<Lock>,
    /// Commands before the stub.
    before_stub: &'static str,
}

impl Machine {
    /// A disk with `environment` and the `slots`.
    fn new(environment: &[u8], slots: &[Slot]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let config = testing::config();
        fs_err::create_dir_all(state.join("grub")).unwrap();
        let menu = menu(&config.name, 0, &testing::ids(), None);
        fs_err::write(state.join(isoforge_contract::disk::MENU), menu).unwrap();
        fs_err::write(state.join(isoforge_contract::disk::GRUBENV), environment).unwrap();
        for &slot in slots {
            let folder = state.join(slot.folder());
            fs_err::create_dir_all(&folder).unwrap();
            fs_err::write(folder.join(file::KERNEL), kernel()).unwrap();
            fs_err::write(folder.join(file::INITRD), b"initrd").unwrap();
            fs_err::write(folder.join(file::STATE_CPIO), super::state_cpio()).unwrap();
            let text = slot_menu(&config, &testing::ids(), slot);
            fs_err::write(folder.join(file::CONFIG), text).unwrap();
        }
        Self {
            dir,
            broken: None,
            lock: None,
            before_stub: "",
        }
    }

    /// Locks it with [`PASSWORD`]; the menu waits for so long.
    fn locked(mut self, timeout_seconds: u32) -> Self {
        // As few iterations as emulation is slow.
        let once = std::num::NonZero::<u32>::MIN;
        let lock = Lock::hash(PASSWORD, b"salt", once);
        let name = testing::config().name;
        let menu = menu(&name, timeout_seconds, &testing::ids(), Some(&lock));
        fs_err::write(self.state().join(isoforge_contract::disk::MENU), menu).unwrap();
        self.lock = Some(lock);
        self
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn disk(&self) -> PathBuf {
        self.dir.path().join("disk.img")
    }

    /// Makes the disk of what is in the folder.
    fn assemble(&self) {
        let dir = self.dir.path();
        let ids = testing::ids();
        let start = PARTITION_SECTOR as usize * SECTOR_BYTES;
        let partition = dir.join("partition.img");
        let file = fs_err::File::create(&partition).unwrap();
        file.set_len((DISK_BYTES - start) as u64).unwrap();
        run(Program::new("mke2fs", "e2fsprogs")
            .args(["-q", "-F", "-t", "ext4", "-U", &ids.state, "-d"])
            .arg(self.state())
            .arg(&partition));
        if let Some(path) = self.broken {
            // Its extents are none any more.
            run(Program::new("debugfs", "e2fsprogs")
                .args(["-w", "-R", &format!("set_inode_field {path} block[0] 0")])
                .arg(&partition));
        }
        let stub = dir.join("stub.cfg");
        // The menu has GRUB speak on the serial line; who looks at a stub needs it before.
        let text = self.before_stub.to_owned() + &esp_stub(&ids, self.lock.as_ref());
        fs_err::write(&stub, text).unwrap();
        let core = dir.join("core.img");
        run(Program::new("grub-mkimage", "grub-common")
            .args(["-O", "i386-pc", "-p", "/grub", "-c"])
            .arg(&stub)
            .arg("-o")
            .arg(&core)
            .args(MODULES));
        let mut disk = fs_err::read("/usr/lib/grub/i386-pc/boot.img")
            .expect("GRUB for BIOS is needed (Debian package grub-pc-bin)");
        disk.truncate(440);
        disk.resize(446, 0);
        let sectors = (DISK_BYTES / SECTOR_BYTES) as u32 - PARTITION_SECTOR;
        disk.extend([0x80, 0, 0, 0, 0x83, 0, 0, 0]);
        disk.extend(PARTITION_SECTOR.to_le_bytes());
        disk.extend(sectors.to_le_bytes());
        disk.resize(510, 0);
        disk.extend([0x55, 0xAA]);
        disk.extend(fs_err::read(core).unwrap());
        assert!(disk.len() <= start);
        disk.resize(start, 0);
        disk.extend(fs_err::read(partition).unwrap());
        fs_err::write(self.disk(), disk).unwrap();
    }

    /// Boots, and gives what was booted: the slot, and `trial`; or `reboot`.
    fn boot(&self, drive: &str) -> String {
        // Emulation takes a processor of its own.
        static ALONE: Mutex<()> = Mutex::new(());
        let _alone = ALONE.lock();
        let disk = format!("file={},format=raw,{drive}", self.disk().display());
        let serial = self.dir.path().join("serial.txt");
        let ended = Program::new("timeout", "coreutils")
            .args([SECONDS, "qemu-system-x86_64", "-accel", "tcg", "-m", "64"])
            .args(["-display", "none", "-no-reboot", "-nic", "none"])
            .args(["-drive", &disk, "-serial"])
            .arg(format!("file:{}", serial.display()))
            .output(1 << 20);
        let text = String::from_utf8_lossy(&fs_err::read(serial).unwrap()).into_owned();
        ended.unwrap_or_else(|error| panic!("{error}\n{text}"));
        let Some((_, line)) = text.rsplit_once("KERNEL ") else {
            return "reboot".to_owned();
        };
        let mut told: Vec<&str> = Vec::new();
        for word in line.split_whitespace() {
            told.extend(word.strip_prefix("appliance.slot="));
            told.extend((word == "appliance.trial=1").then_some("trial"));
        }
        assert!(line.contains(" console=ttyS0,115200n8 "), "{line}");
        told.join(" ")
    }

    /// The block as it is on the disk, read without the journal.
    fn environment(&self) -> Environment {
        let start = PARTITION_SECTOR as usize * SECTOR_BYTES;
        let partition = self.dir.path().join("after.img");
        let disk = fs_err::read(self.disk()).unwrap();
        fs_err::write(&partition, &disk[start..]).unwrap();
        let bytes = run(Program::new("debugfs", "e2fsprogs")
            .args(["-R", "cat /grubenv"])
            .arg(&partition));
        Environment::parse(&bytes).unwrap()
    }
}

/// A password, and a wrong one.
const PASSWORD: &str = "correct horse ~\"$x";
const WRONG: &str = "correct horse";

fn run(program: Program) -> Vec<u8> {
    program.output(1 << 20).unwrap()
}

const WRITABLE: &str = "if=ide";
const READ_ONLY: &str = "if=virtio,readonly=on";

fn on_trial(good: Slot, trial: Slot) -> [u8; super::grubenv::BYTES] {
    let mut environment = Environment::new(good);
    environment.trial = Some(trial);
    environment.to_bytes()
}

fn remove(path: &Path) {
    fs_err::remove_file(path).unwrap();
}

#[test]
fn a_trial_is_booted_once_and_then_the_good_slot() {
    let machine = Machine::new(&on_trial(Slot::A, Slot::B), &Slot::ALL);
    machine.assemble();
    assert_eq!(machine.boot(WRITABLE), "b trial");
    assert_eq!(machine.environment(), Environment::new(Slot::A));
    assert_eq!(machine.boot(WRITABLE), "a");
}

#[test]
fn a_block_that_cannot_be_written_boots_the_good_slot() {
    let machine = Machine::new(&on_trial(Slot::B, Slot::A), &Slot::ALL);
    machine.assemble();
    assert_eq!(machine.boot(READ_ONLY), "b");
    assert_eq!(machine.environment().trial, Some(Slot::A));
}

#[test]
fn recovery_is_booted_once_where_it_is_asked_for() {
    let machine = Machine::new(&on_trial(Slot::B, Slot::Recovery), &Slot::ALL);
    machine.assemble();
    assert_eq!(machine.boot(WRITABLE), "recovery");
    assert_eq!(machine.boot(WRITABLE), "b");
}

#[test]
fn a_slot_without_its_files_gives_way_to_the_next() {
    let machine = Machine::new(&Environment::new(Slot::A).to_bytes(), &Slot::ALL);
    let state = machine.state();
    // The kernel is missing: only trying to load it tells.
    remove(&state.join("slots/a/kernel"));
    machine.assemble();
    assert_eq!(machine.boot(WRITABLE), "b");
    remove(&state.join("slots/b/slot.cfg"));
    machine.assemble();
    assert_eq!(machine.boot(WRITABLE), "recovery");
}

#[test]
fn a_trial_without_its_files_boots_the_good_slot_and_calls_it_no_trial() {
    let machine = Machine::new(&on_trial(Slot::A, Slot::B), &Slot::ALL);
    remove(&machine.state().join("slots/b/initrd"));
    machine.assemble();
    assert_eq!(machine.boot(WRITABLE), "a");
}

#[test]
fn without_a_block_the_first_slot_boots() {
    let machine = Machine::new(b"no block", &Slot::ALL);
    machine.assemble();
    assert_eq!(machine.boot(WRITABLE), "a");
}

#[test]
fn an_initrd_that_cannot_be_read_leads_to_the_good_slot_or_to_recovery() {
    let mut machine = Machine::new(&on_trial(Slot::A, Slot::B), &Slot::ALL);
    machine.broken = Some("/slots/b/initrd");
    machine.assemble();
    assert_eq!(machine.boot(WRITABLE), "reboot");
    assert_eq!(machine.boot(WRITABLE), "a");
    machine.broken = Some("/slots/a/initrd");
    fs_err::write(
        machine.state().join(isoforge_contract::disk::GRUBENV),
        Environment::new(Slot::A).to_bytes(),
    )
    .unwrap();
    machine.assemble();
    assert_eq!(machine.boot(WRITABLE), "reboot");
    assert_eq!(machine.boot(WRITABLE), "recovery");
}
