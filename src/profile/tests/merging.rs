//! `extends` and `--set`.

use super::*;

fn merged(base: &str, over: &str, sets: &[&str]) -> Profile {
    let base = format!("{MINIMAL}\n{base}");
    let over = format!("extends = \"base.toml\"\n{over}");
    let files = [
        ("p/main.toml", over.as_str()),
        ("p/base.toml", base.as_str()),
    ];
    match load_files(&files, sets) {
        Ok(loaded) => loaded.profile,
        Err(problems) => panic!("{problems}"),
    }
}

#[test]
fn later_keys_win_and_tables_merge() {
    let profile = merged(
        "[boot]\ntimeout = 1\ntitle = \"base\"\n[vars.a]\nx = 1\ny = 2",
        "[boot]\ntitle = \"over\"\n[vars.a]\ny = 3",
        &["boot.timeout=9", "boot.timeout=10"],
    );
    assert_eq!(
        (profile.boot.timeout_seconds, profile.title().as_str()),
        (10, "over")
    );
    assert_eq!(
        profile.context(&Secrets::default())["vars"]["a"],
        serde_json::json!({ "x": 1, "y": 3 })
    );
}

#[test]
fn lists_replace_unless_written_with_plus() {
    let base = "[boot]\ncmdline = [\"a\"]\n[[layers]]\nfolder = \"one\"";
    let replaced = merged(base, "[boot]\ncmdline = [\"b\"]", &[]);
    assert_eq!(replaced.boot.cmdline, ["b"]);
    let appended = merged(
        base,
        "[boot]\n\"+cmdline\" = [\"b\"]\n[[\"+layers\"]]\nfolder = \"two\"\n[content]\n\"+images\" = [\"a/b:1\"]",
        &["boot.+cmdline=[\"c\"]"],
    );
    assert_eq!(appended.boot.cmdline, ["a", "b", "c"]);
    assert_eq!(appended.layers.len(), 2);
    assert_eq!(appended.content.images, ["a/b:1"]);
}

#[test]
fn appending_wants_lists() {
    let files = [
        (
            "p/main.toml",
            "extends = \"base.toml\"\n\"+appliance\" = []\n[boot]\n\"+timeout\" = 3\n",
        ),
        ("p/base.toml", MINIMAL),
    ];
    assert_snapshot!(load_files(&files, &[]).unwrap_err().to_string(), @r#"
    error: 'appliance' of the base is a table
     --> p/main.toml:2:1
      |
    2 | "+appliance" = []
      | ^^^^^^^^^^^^
      = expected an array, to append to

    error: '+timeout' is an integer
     --> p/main.toml:4:14
      |
    4 | "+timeout" = 3
      |              ^
      = expected an array, which is appended

    2 problems in the profile
    "#);
}

#[test]
fn an_alternative_replaces_that_of_the_base() {
    let profile = merged(
        "",
        "[os]\nrootfs = \"{arch}.tar\"",
        &["kubernetes.versions=[\"1.33.0\"]"],
    );
    let OsSource::Rootfs(rootfs) = &profile.os.source else {
        panic!("{:?}", profile.os.source);
    };
    let target = profile.iso_target(Arch::Arm64);
    assert_eq!(rootfs.expand(target), Path::new("p/arm64.tar"));
    assert_eq!(profile.kubernetes.versions, ["1.33.0"]);
}

#[test]
fn a_secret_is_replaced_as_a_whole() {
    let profile = merged(
        "[vars]\np = { env = \"A\" }",
        "[vars]\np = { file = \"s/p\" }",
        &[],
    );
    let found = profile.vars.get("p");
    assert_eq!(found, Some(&Var::Secret(SecretRef::File("p/s/p".into()))));
}

#[test]
fn paths_start_from_the_file_that_writes_them() {
    let base = format!("{MINIMAL}\n[overlays]\nrootfs = [\"o\"]\n");
    let files = [
        (
            "p/main.toml",
            "extends = \"../lib/base.toml\"\n[overlays]\n\"+rootfs\" = [\"mine\", \"/abs\"]\n",
        ),
        ("p/../lib/base.toml", base.as_str()),
    ];
    let sets = ["os.image=oci:out/os:1", "cloud_config.file=user-data"];
    let loaded = load_files(&files, &sets).unwrap();
    let want: Vec<PathBuf> = ["p/../lib/o", "p/mine", "/abs"]
        .iter()
        .map(Into::into)
        .collect();
    assert_eq!(loaded.profile.overlays.rootfs, want);
    assert_eq!(
        loaded.profile.cloud_config,
        CloudConfig::File("user-data".into())
    );
    let OsSource::Image(image) = &loaded.profile.os.source else {
        panic!("{:?}", loaded.profile.os.source);
    };
    let image = image
        .expand(loaded.profile.iso_target(Arch::Amd64))
        .unwrap();
    assert_eq!(image.to_string(), "oci:out/os:1");
    let files: Vec<_> = loaded
        .files
        .iter()
        .map(|f| f.path.display().to_string())
        .collect();
    assert_eq!(files, ["p/main.toml", "p/../lib/base.toml"]);
    assert_eq!(loaded.files[1].digest, Digest::of(base.as_bytes()));
}

#[test]
fn set_takes_toml_or_else_text() {
    let profile = minimal_with(&[
        "appliance.arch=[\"arm64\"]",
        "appliance.name=edge",
        "appliance.version='2.0'",
        "registries.\"quay.io:443\".mirror=m.example/q",
        "vars.a=b=c",
        "vars.empty=",
        "layers=[{ image = \"a/b:1\" }]",
    ])
    .profile;
    assert_eq!(profile.output_name(Arch::Arm64), "edge-2.0");
    assert_eq!(profile.appliance.arch, [Arch::Arm64]);
    let mirrors = &profile.registries["quay.io:443"].mirrors;
    assert_eq!(mirrors.as_deref().unwrap(), ["m.example/q"]);
    assert_eq!(profile.vars.get("a"), Some(&Var::Text("b=c".into())));
    assert_eq!(profile.vars.get("empty"), Some(&Var::Text(String::new())));
    assert_eq!(profile.layers.len(), 1);
}

#[test]
fn the_digest_is_of_the_values_wherever_they_are_written() {
    let one_file = |text: &str| load_text(&format!("{MINIMAL}\n{text}")).unwrap().digest();
    let written = one_file("[output]\nblock_size = \"128K\"\n[boot]\ntimeout = 7\n");
    let ordered = one_file("[boot]\n# later\ntimeout = 0x7\n[output]\nblock_size = '128K'\n");
    assert_eq!(written, ordered);
    let files = [
        (
            "p/main.toml",
            "extends = \"base.toml\"\n[output]\nblock_size = \"128K\"\n",
        ),
        ("p/base.toml", MINIMAL),
    ];
    let extended = load_files(&files, &["boot.timeout=7"]).unwrap();
    assert_eq!(written, extended.digest());
    assert_ne!(written, one_file("[boot]\ntimeout = 7\n"));
    assert_ne!(one_file(""), minimal_with(&["os.image=oci:other"]).digest());
}
