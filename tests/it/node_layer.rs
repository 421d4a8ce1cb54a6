//! The program for the machine: where it is found, what is refused, and what of
//! it is in ISO, provider image, manifest and lock.

use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use isoforge_base::digest::Digest;
use isoforge_contract::machine::Config;
use serde_json::Value;

use crate::support::layers::Image;
use crate::support::program::{Outcome, Project};
use crate::support::registry::FakeRegistry;
use crate::support::{bootable, elf, judge};

const ISO: &str = "dist/tiny-1.0.0/tiny-1.0.0.iso";
const PROVIDER: &str = "dist/tiny-1.0.0/tiny-1.0.0-provider.oci.tar";

/// Builds with this argument of `--appliance`.
fn build_with(project: &Project, appliance: &str) -> Outcome {
    project.run(&["build", "profile.toml", "--appliance", appliance])
}

/// A copy of isoforge in a folder of the project, where nothing lies beside it,
/// started without the variable.
fn build_elsewhere(project: &Project) -> Outcome {
    let folder = project.path("opt/bin");
    std::fs::create_dir_all(&folder).unwrap();
    let copy = folder.join("isoforge");
    if !copy.exists() {
        std::fs::copy(env!("CARGO_BIN_EXE_isoforge"), &copy).unwrap();
    }
    let mut command = std::process::Command::new(copy);
    project.prepare(&mut command);
    command.env_remove("ISOFORGE_APPLIANCE");
    Outcome::of(command.args(["build", "profile.toml"]).output().unwrap())
}

/// The root file system on the ISO, as a file.
fn root_file_system(project: &Project) -> PathBuf {
    let squashfs = project.path("root.squashfs");
    let _ = std::fs::remove_file(&squashfs);
    let iso = project.path(ISO);
    let arguments = [
        "-osirrox",
        "on",
        "-indev",
        iso.to_str().unwrap(),
        "-extract",
        "/rootfs.squashfs",
        squashfs.to_str().unwrap(),
    ];
    judge("xorriso", "xorriso", &arguments);
    squashfs
}

fn content(squashfs: &Path, path: &str) -> String {
    let arguments = ["-cat", squashfs.to_str().unwrap(), path];
    judge("squashfs-tools", "unsquashfs", &arguments)
}

fn listing(squashfs: &Path) -> Vec<String> {
    let arguments = ["-lln", "-d", "", squashfs.to_str().unwrap()];
    let text = judge("squashfs-tools", "unsquashfs", &arguments);
    text.lines().map(str::to_owned).collect()
}

fn manifest(project: &Project) -> Value {
    let path = project.path("dist/tiny-1.0.0/manifest.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_missing_program_is_an_error_that_names_all_places() {
    let project = Project::bootable();
    assert_snapshot!(build_elsewhere(&project).error(), @r"
    exit 3
    error: there is no program 'appliance' for amd64; looked for:
        [DIR]/project/opt/bin/appliance-amd64
        [DIR]/project/opt/bin/appliance
        [DIR]/project/opt/libexec/isoforge/appliance-amd64
    hint: in isoforge's sources `cargo xtask build` makes it and puts it beside isoforge; --appliance names one that is elsewhere
    ");
    assert!(project.outputs().is_empty());
    assert_snapshot!(build_with(&project, "nowhere").error(), @r"
    exit 3
    error: there is no program 'appliance' for amd64; looked for:
        nowhere
    hint: in isoforge's sources `cargo xtask build` makes it and puts it beside isoforge; --appliance names one that is elsewhere
    ");
}

#[test]
fn it_is_found_beside_isoforge_and_where_packages_put_it() {
    let project = Project::bootable();
    build_elsewhere(&project).assert_exit(3);
    let program = elf::appliance("amd64");
    for place in [
        "opt/libexec/isoforge/appliance-amd64",
        "opt/bin/appliance-amd64",
    ] {
        let place = project.path(place);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(&place, &program).unwrap();
        build_elsewhere(&project).assert_exit(0);
        std::fs::remove_file(place).unwrap();
    }
}

#[test]
fn what_does_not_run_on_the_machine_is_refused() {
    let project = Project::bootable();
    std::fs::write(project.path("arm"), elf::appliance("arm64")).unwrap();
    std::fs::write(project.path("dynamic"), elf::dynamic("amd64")).unwrap();
    project.write("script", "#!/bin/sh\n");
    let errors = ["arm", "amd64=dynamic", "script"].map(|file| build_with(&project, file).error());
    assert_snapshot!(errors.join("\n"), @r"
    exit 5
    error: 'arm' can't be the program 'appliance' for amd64: it is for arm64
    hint: it is the statically linked program of isoforge's own version: `cargo xtask build` makes it

    exit 5
    error: 'dynamic' can't be the program 'appliance' for amd64: it is linked dynamically
    hint: it is the statically linked program of isoforge's own version: `cargo xtask build` makes it

    exit 5
    error: 'script' can't be the program 'appliance' for amd64: it is no ELF file
    hint: it is the statically linked program of isoforge's own version: `cargo xtask build` makes it
    ");
    // What is named for another architecture is not asked for.
    build_with(&project, "arm64=arm,amd64=../home/appliance-amd64").assert_exit(0);
}

#[test]
fn program_configuration_and_mount_points_are_in_iso_and_provider_image() {
    let project = Project::bootable();
    project.add_to_profile("\n[state]\ndirectories = [\"/usr/local/kept\", \"/var/lib/kept\"]\n");
    project.build();
    let squashfs = root_file_system(&project);
    let config = content(&squashfs, "usr/lib/appliance/config.json");
    let config = Config::parse(config.as_bytes()).unwrap();
    assert_eq!(
        (config.name.as_str(), config.title.as_str()),
        ("tiny", "tiny 1.0.0")
    );
    assert_eq!(config.firmware.len(), 2);
    assert!(
        config
            .state
            .directories
            .contains(&"/var/lib/kept".to_owned())
    );
    let lines = listing(&squashfs);
    let mode_of = |path: &str| {
        let end = format!(" {path}");
        let line = lines.iter().find(|line| line.ends_with(&end));
        line.unwrap_or_else(|| panic!("no {path}"))
            .split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(mode_of("/usr/bin/appliance"), "-rwxr-xr-x 0/0");
    assert_eq!(mode_of("/usr/lib/appliance/config.json"), "-rw-r--r-- 0/0");
    for directory in ["/oem", "/opt/cni", "/usr/local/kept"] {
        assert_eq!(mode_of(directory), "drwxr-xr-x 0/0");
    }
    assert!(!lines.iter().any(|line| line.ends_with("/var/lib/kept")));
    // One system in both, by the digest that the provider image records.
    let report = project.run(&["inspect", PROVIDER, "--format", "json"]);
    report.assert_exit(0);
    let recorded =
        &report.json()["images"][0]["platforms"][0]["labels"]["io.isoforge.squashfs.digest"];
    let manifest = manifest(&project);
    let of_iso = &manifest["architectures"]["amd64"]["squashfs"]["digest"];
    assert_eq!(recorded, of_iso);
    let program = &manifest["architectures"]["amd64"]["program"]["digest"];
    assert_eq!(*program, Digest::of(&elf::appliance("amd64")).to_string());
}

#[test]
fn overlays_of_the_user_go_over_it() {
    let project = Project::bootable();
    project.write("mine/usr/lib/appliance/config.json", "{}\n");
    project.add_to_profile("\n[overlays]\nrootfs = [\"mine\"]\n");
    project.build();
    let squashfs = root_file_system(&project);
    assert_eq!(content(&squashfs, "usr/lib/appliance/config.json"), "{}\n");
}

#[test]
fn in_flavor_kairos_it_is_program_and_configuration_alone() {
    let project = Project::bootable();
    project.change_profile("flavor = \"appliance\"", "flavor = \"kairos\"");
    project.add_to_profile("\n[vars]\nusers = [{ name = \"admin\" }]\n");
    project.build();
    let squashfs = root_file_system(&project);
    let lines = listing(&squashfs);
    let has = |path: &str| lines.iter().any(|line| line.ends_with(path));
    assert!(has(" /usr/bin/appliance") && has(" /usr/lib/appliance/config.json"));
    assert!(!has(" /oem") && !has(" /opt/cni"));
    let boot = manifest(&project)["architectures"]["amd64"]["boot"].clone();
    assert!(boot.get("isoforge/boot/bios-core.img").is_none(), "{boot}");
}

/// A profile's registry, whose image a registry serves.
fn with_registry(project: &Project, layer: &str) -> FakeRegistry {
    let registry = FakeRegistry::start();
    registry.put_image("registry", "2.8.3", &Image::simple(&[layer]));
    project.add_to_profile(&format!(
        "\n[registry]\nname = \"distribution\"\nversion = \"2.8.3\"\nport = 5443\nimages = [\"{}/registry:2.8.3\"]\n",
        registry.host()
    ));
    registry
}

#[test]
fn the_registrys_program_comes_out_of_its_image() {
    let project = Project::bootable();
    let _registry = with_registry(&project, "file bin/registry 0755 'the program'");
    project.build();
    let squashfs = root_file_system(&project);
    let program = "usr/lib/appliance/registry/program";
    assert_eq!(content(&squashfs, program), "the program");
    let config = content(&squashfs, "usr/lib/appliance/config.json");
    let config = Config::parse(config.as_bytes()).unwrap();
    let registry = config.registry.unwrap();
    assert_eq!(registry.port, 5443);
    assert_eq!(
        registry.name,
        isoforge_contract::machine::RegistryKind::Distribution
    );
    assert!(config.state.directories.contains(&registry.folder));
    let listing = listing(&squashfs).join("\n");
    for path in [
        "usr/lib/systemd/system/appliance-registry.service",
        "usr/lib/sysusers.d/appliance-registry.conf",
        "etc/systemd/system/multi-user.target.wants/appliance-registry.service",
    ] {
        assert!(listing.contains(path), "{path}");
    }
    assert!(!listing.contains("var-lib-registry.mount"));
    // The same lock gives the same bytes.
    let before = std::fs::read(project.path(ISO)).unwrap();
    project
        .run(&["build", "profile.toml", "--locked"])
        .assert_exit(0);
    assert!(before == std::fs::read(project.path(ISO)).unwrap());
}

#[test]
fn in_flavor_kairos_its_folder_is_bound_and_filled_after_the_installation() {
    let project = Project::bootable();
    project.change_profile("flavor = \"appliance\"", "flavor = \"kairos\"");
    project.add_to_profile("\n[vars]\nusers = [{ name = \"admin\" }]\n");
    let _registry = with_registry(&project, "file bin/registry 0755 'the program'");
    project.build();
    let squashfs = root_file_system(&project);
    let mount = content(&squashfs, "usr/lib/systemd/system/var-lib-registry.mount");
    assert!(mount.contains("What=/usr/local/lib/registry\nWhere=/var/lib/registry\n"));
    let stages = content(&squashfs, "system/oem/70_appliance-registry.yaml");
    let command = "appliance registry fill --label COS_PERSISTENT --folder lib/registry";
    assert!(stages.contains(command), "{stages}");
}

#[test]
fn a_registry_of_the_system_needs_no_image() {
    let project = Project::bootable();
    let layer = format!(
        "{}\nfile usr/bin/docker-registry 0755 'debian'",
        bootable::os_layer("amd64")
    );
    let image = bootable::image("amd64", &layer);
    std::fs::remove_dir_all(project.path("os")).unwrap();
    bootable::write_image(&project.path("os"), &[&image]);
    project.add_to_profile(
        "\n[registry]\nname = \"distribution\"\nversion = \"2.8.2\"\nimages = []\n",
    );
    project.build();
    let squashfs = root_file_system(&project);
    let listing = listing(&squashfs).join("\n");
    let link = "usr/lib/appliance/registry/program -> /usr/bin/docker-registry";
    assert!(listing.contains(link), "{listing}");
}

#[test]
fn a_registry_without_its_program_is_an_error() {
    let project = Project::bootable();
    let _registry = with_registry(&project, "file bin/other 0755 'x'");
    let outcome = project.run(&["build", "profile.toml"]);
    assert_snapshot!(outcome.error(), @r#"
    exit 2
    error: 'bin/registry' or 'usr/bin/registry' matches no path in 127.0.0.1:[PORT]/registry:2.8.3
    hint: patterns are over real paths without a leading slash, as in 'usr/bin/kubelet' or 'opt/cni/**'
    "#);
    let project = Project::bootable();
    project.add_to_profile("\n[registry]\nname = \"zot\"\nversion = \"2.1.2\"\nimages = []\n");
    assert_snapshot!(project.run(&["build", "profile.toml"]).error(), @r#"
    exit 2
    error: nothing has the program of the registry 'zot' 2.1.2 for amd64: the system has none, and the component has no image
    hint: name an image with it in [registry] images, or a package in [os.bootstrap] packages
    "#);
}

#[test]
fn kairos_without_an_administrator_is_an_error_and_of_a_users_file_a_warning() {
    let project = Project::bootable();
    project.change_profile("flavor = \"appliance\"", "flavor = \"kairos\"");
    let outcome = project.run(&["build", "profile.toml"]);
    assert_snapshot!(outcome.error(), @r#"
    exit 2
    error: the cloud-config has no user in the group 'admin', without whom Kairos's installer refuses to install
    hint: give the template one: in [vars] users = [{ name = "admin", ssh_keys = ["…"] }], or write `nousers: true` under `install` of a template of your own
    "#);
    project.write("user-data", "#cloud-config\nhostname: x\n");
    project.add_to_profile("\n[cloud_config]\nfile = \"user-data\"\n");
    let outcome = project.run(&["validate", "profile.toml"]);
    assert_snapshot!(outcome.all(), @r"
    exit 0
    --- stdout
    profile.toml is valid: tiny 1.0.0, amd64 on debian 13, Kubernetes pxk-e 1.32.3
    --- stderr
    warning: the cloud-config has no user in the group 'admin', without whom Kairos's installer refuses to install
    ");
}

#[test]
fn the_manifest_has_every_file_that_an_installer_copies() {
    let project = Project::bootable();
    project.build();
    let boot = manifest(&project)["architectures"]["amd64"]["boot"].clone();
    let boot = boot.as_object().unwrap();
    let iso = project.path(ISO);
    for (path, record) in boot {
        let output = std::process::Command::new("isoinfo")
            .args(["-i", iso.to_str().unwrap(), "-R", "-x", &format!("/{path}")])
            .output()
            .expect("isoinfo is needed (Debian package genisoimage)");
        let (digest, size) = (Digest::of(&output.stdout).to_string(), output.stdout.len());
        assert_eq!(record["digest"], digest, "{path}");
        assert_eq!(record["size"], size, "{path}");
    }
    let paths: Vec<_> = boot.keys().map(String::as_str).collect();
    assert_snapshot!(paths.join("\n"), @r"
    EFI/BOOT/bootx64.efi
    EFI/BOOT/grubx64.efi
    boot/initrd
    boot/kernel
    isoforge/boot/bios-core.img
    isoforge/boot/bios-mbr.img
    ");
}

#[test]
fn without_grubs_modules_a_disk_boots_under_uefi_alone() {
    let project = Project::bootable();
    let layer: String = bootable::os_layer("amd64")
        .lines()
        .filter(|line| !line.contains("disk.img"))
        .map(|line| format!("{line}\n"))
        .collect();
    let image = bootable::image("amd64", &layer);
    std::fs::remove_dir_all(project.path("os")).unwrap();
    bootable::write_image(&project.path("os"), &[&image]);
    let outcome = project.build();
    let warnings: Vec<_> = outcome
        .stderr
        .lines()
        .filter(|l| l.contains("warning"))
        .collect();
    assert_snapshot!(warnings.join("\n"), @"warning: the OS image has GRUB's core image for BIOS but not the modules to make one for a disk: an installed system boots under UEFI alone; add grub-pc-bin (Debian, Ubuntu), grub2-pc-modules (Fedora, RHEL) or grub2-i386-pc (SUSE) to the image");
    let squashfs = root_file_system(&project);
    let config = content(&squashfs, "usr/lib/appliance/config.json");
    let config = Config::parse(config.as_bytes()).unwrap();
    assert_eq!(
        config.firmware,
        [isoforge_contract::machine::Firmware::Uefi]
    );
}

#[test]
fn another_program_is_drift_that_is_named() {
    let project = Project::bootable();
    project.build();
    let mut other = elf::appliance("amd64");
    other.push(0);
    std::fs::write(project.path("other"), other).unwrap();
    let arguments = ["build", "profile.toml", "--locked", "--appliance", "other"];
    assert_snapshot!(project.run(&arguments).error(), @r"
    exit 7
    error: the lock file 'isoforge.lock' is out of date:
      appliance for amd64: sha256:[DIGEST] → sha256:[DIGEST]
    hint: where these changes are meant, run `isoforge lock` and commit the file
    ");
    // The same bytes elsewhere are no other input.
    std::fs::write(project.path("same"), elf::appliance("amd64")).unwrap();
    let arguments = ["build", "profile.toml", "--locked", "--appliance", "same"];
    project.run(&arguments).assert_exit(0);
}

#[test]
fn rules_of_a_guide_are_files_links_and_arguments_that_the_manifest_names() {
    let project = Project::bootable();
    project.add_to_profile("\n[hardening]\nprofile = \"stig\"\nexcept = [\"UBTU-22-291010\"]\n");
    project.build();
    let squashfs = root_file_system(&project);
    let sysctl = content(&squashfs, "etc/sysctl.d/60-stig-dmesg.conf");
    assert!(sysctl.ends_with("kernel.dmesg_restrict = 1\n"), "{sysctl}");
    let listing = listing(&squashfs);
    let masked = "etc/systemd/system/ctrl-alt-del.target -> /dev/null";
    assert!(listing.iter().any(|line| line.ends_with(masked)));
    assert!(!listing.iter().any(|line| line.contains("stig-usb-storage")));
    let config = content(&squashfs, "usr/lib/appliance/config.json");
    let config = Config::parse(config.as_bytes()).unwrap();
    assert!(config.boot.cmdline.contains(&"audit=1".to_owned()));
    let hardening = &manifest(&project)["hardening"];
    assert_eq!(hardening["except"], serde_json::json!(["UBTU-22-291010"]));
    let inspected = project.run(&["inspect", ISO]).stdout;
    let told: Vec<_> = inspected
        .lines()
        .skip_while(|line| !line.starts_with("hardening"))
        .take(8)
        .collect();
    assert_snapshot!(told.join("\n"), @r"
    hardening    stig, 24 rules of Canonical Ubuntu 22.04 LTS STIG, V2R8
                 UBTU-22-211015 UBTU-22-212015 UBTU-22-213010 UBTU-22-213015
                 UBTU-22-213020 UBTU-22-253010 UBTU-22-255025 UBTU-22-255030
                 UBTU-22-255035 UBTU-22-255040 UBTU-22-255045 UBTU-22-255050
                 UBTU-22-255055 UBTU-22-255060 UBTU-22-255065 UBTU-22-412020
                 UBTU-22-412030 UBTU-22-611010 UBTU-22-611015 UBTU-22-611020
                 UBTU-22-611025 UBTU-22-611030 UBTU-22-611035 UBTU-22-611040
                 without UBTU-22-291010
    ");
    // The menu of the ISO itself.
    let menu = judge(
        "xorriso",
        "xorriso",
        &[
            "-osirrox",
            "on",
            "-indev",
            project.path(ISO).to_str().unwrap(),
            "-concat",
            "append",
            project.path("menu").to_str().unwrap(),
            "/boot/grub2/grub.cfg",
            "--",
        ],
    );
    drop(menu);
    let menu = std::fs::read_to_string(project.path("menu")).unwrap();
    assert!(menu.contains(" audit=1"), "{menu}");
}

#[test]
fn an_exception_must_be_a_rule() {
    let project = Project::bootable();
    project.add_to_profile("\n[hardening]\nprofile = \"stig\"\nexcept = [\"UBTU-22-291011\"]\n");
    assert_snapshot!(project.run(&["build", "profile.toml"]).error(), @r#"
    exit 2
    error: 'UBTU-22-291011' is not a rule of 'stig'
      --> profile.toml:27:11
       |
    27 | except = ["UBTU-22-291011"]
       |           ^^^^^^^^^^^^^^^^
       = expected 'UBTU-22-291010', or another number of docs/hardening.md

    1 problem in the profile
    "#);
}
