use insta::assert_snapshot;

use super::*;
use crate::disks::fixture::Machine;
use crate::media::Opened;
use crate::testing::config;

/// Media as folders below `media` of the machine, by label.
struct Folders<'a>(&'a Machine);

impl Media for Folders<'_> {
    fn open(&self, label: &str) -> Result<Option<Opened>> {
        let folder = self.0.root().join("media").join(label);
        Ok(folder.is_dir().then_some(Opened {
            folder,
            mounted: None,
        }))
    }
}

fn gathered(machine: &Machine) -> Result<Site> {
    let medium = Medium::new(machine.root().join("iso"));
    gather_from(&medium, &machine.sys, &Folders(machine))
}

fn error(machine: &Machine) -> String {
    let error = gathered(machine).unwrap_err();
    let chain: Vec<String> = error.chain().take(2).map(ToString::to_string).collect();
    let text = chain.join(": ");
    text.replace(machine.root().to_str().unwrap(), "")
}

#[test]
fn nothing_is_no_configuration() {
    let machine = Machine::new("proc/cmdline = root=live quiet");
    let site = gathered(&machine).unwrap();
    assert!(site.texts.is_empty());
    assert!(!site.has_account());
    assert_eq!(site.device(), None);
    let mut config = config();
    assert!(!site.unattended(&config));
    assert_eq!(site.after(&config), After::Reboot);
    config.install.unattended = true;
    config.install.after = After::Poweroff;
    assert!(site.unattended(&config));
    assert_eq!(site.after(&config), After::Poweroff);
}

#[test]
fn later_ones_win() {
    let machine = Machine::new(
        r#"proc/cmdline = quiet appliance.config=NONE:/x appliance.config=SITE:/conf/a.yaml
        iso/config.yaml = #cloud-config\ninstall: {device: auto, auto: true, reboot: true}\n
        media/cidata/user-data = #cloud-config\ninstall: {device: /dev/sdb, reboot: false}\nusers:\n- {name: ops, passwd: $6$a$b}\n
        media/cidata/meta-data = instance-id: i-1\nlocal-hostname: "0644"\nmore: {a: 1}\n
        media/SITE/conf/a.yaml = #cloud-config\ninstall: {device: /dev/sdc, force: true}\n"#,
    );
    let site = gathered(&machine).unwrap();
    let told: Vec<String> = site
        .texts
        .iter()
        .map(|text| format!("{} from {}", text.file, text.origin))
        .collect();
    assert_snapshot!(told.join("\n"), @r"
    10_medium.yaml from /config.yaml of the install medium
    15_cidata_meta.yaml from 'meta-data' of the medium labelled 'cidata'
    20_cidata.yaml from 'user-data' of the medium labelled 'cidata'
    30_cmdline.yaml from '/conf/a.yaml' of the medium labelled 'SITE'
    ");
    assert_snapshot!(site.texts[1].text, @r#"
    #cloud-config
    hostname: "0644"
    "#);
    assert!(site.has_account());
    assert_eq!(site.device(), Some("/dev/sdc"));
    let config = config();
    assert!(site.unattended(&config));
    assert!(site.force(&config));
    assert_eq!(site.after(&config), After::None);
}

#[test]
fn what_cant_be_used_is_an_error_that_names_file_and_place() {
    let machine = Machine::new(
        r"proc/cmdline = quiet
        iso/config.yaml = #cloud-config\nusers: [\n",
    );
    assert_snapshot!(error(&machine), @"the configuration /config.yaml of the install medium can't be used: /config.yaml of the install medium:2:8: unclosed bracket '['");
    machine.add("iso/config.yaml");
    machine.add(r"media/CIDATA/meta-data = a: [\n");
    assert_snapshot!(error(&machine), @r"
    'meta-data' of the medium labelled 'CIDATA' can't be used: error: line 1 column 4: unclosed bracket '['
     --> <input>:1:4
      |
    1 | a: [
      |    ^ unclosed bracket '['
    ");
    machine.add(r"media/CIDATA/meta-data = \n");
    machine.add(r"media/CIDATA/user-data = #cloud-config\nusers: [\n");
    assert_snapshot!(error(&machine), @"the configuration 'user-data' of the medium labelled 'CIDATA' can't be used: 'user-data' of the medium labelled 'CIDATA':2:8: unclosed bracket '['");
    machine.add(r"media/CIDATA/user-data = \n");
    assert!(gathered(&machine).unwrap().texts.is_empty());
    for argument in ["SITE", "SITE:a", ":/a", "SITE:/../a", ""] {
        machine.add(&format!("proc/cmdline = appliance.config={argument}"));
        let error = error(&machine);
        assert!(error.ends_with("is not of the form LABEL:/PATH"), "{error}");
    }
    machine.add("proc/cmdline = appliance.config=SITE:/a.yaml");
    assert_snapshot!(error(&machine), @"no medium is labelled 'SITE', which appliance.config asks for");
    machine.add("media/SITE/");
    assert_snapshot!(error(&machine), @"'/a.yaml' of the medium labelled 'SITE' can't be read: failed to open file `/media/SITE/a.yaml`: No such file or directory (os error 2)");
    let large = "#".repeat(TEXT_MAX_BYTES as usize + 1);
    fs::write(machine.root().join("media/SITE/a.yaml"), large).unwrap();
    assert_snapshot!(error(&machine), @"'/a.yaml' of the medium labelled 'SITE' can't be read: it has more than 1048576 bytes");
}

#[test]
fn labelled_media_are_found_and_mounted_for_reading() {
    use crate::disks::fixture::shell;

    if !isoforge_judges::can_loop() {
        return;
    }
    let machine = Machine::new(
        r"files/conf/a.yaml = #cloud-config\nhostname: found\n
        medium",
    );
    // Other tests of this machine may have media of their own.
    let label = format!("T{}", std::process::id());
    let image = machine.root().join("medium");
    let files = machine.root().join("files");
    let script = "truncate -s 8M $1; mke2fs -q -t ext4 -L $3 -d $2 $1; losetup -f --show $1";
    let device = shell(script, &[&image, &files, Path::new(&label)]);
    machine.add(&format!(
        "proc/cmdline = appliance.config={label}:/conf/a.yaml"
    ));
    let sys = Sysfs {
        proc: machine.sys.proc.clone(),
        work: machine.sys.work.clone(),
        ..Sysfs::default()
    };
    let media = Attached { sys: &sys };
    let opened = media.open(&label).unwrap().unwrap();
    assert!(fs::write(opened.folder.join("x"), "").is_err());
    drop(opened);
    let site = gather_from(&Medium::new(&files), &sys, &media);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    shell("losetup -d $1", &[Path::new(device.trim())]);
    assert_eq!(
        site.unwrap().documents[0].hostname.as_deref(),
        Some("found")
    );
    assert!(
        !mounts.contains(machine.root().to_str().unwrap()),
        "{mounts}"
    );
    assert!(matches!(media.open("no-such-label"), Ok(None)));
}
