//! The profiles in `profiles/`.

use super::*;

fn example(name: &str) -> Loaded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("profiles")
        .join(name);
    match load(&path, &Options::default(), &|p| fs_err::read_to_string(p)) {
        Ok(loaded) => loaded,
        Err(problems) => panic!("{problems}"),
    }
}

#[test]
fn every_example_is_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    let mut names: Vec<_> = fs_err::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        // Building one of them leaves its lock there.
        .filter(|n| n.ends_with(".toml") && n != "catalog.toml")
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "appliance-framework.toml",
            "byo-os.toml",
            "demo.toml",
            "management-appliance.toml",
            "minimal.toml"
        ]
    );
    for name in names {
        let loaded = example(&name);
        assert_eq!(format!("{}.toml", loaded.profile.appliance.name), name);
        assert!(loaded.notes.is_empty(), "{name}: {:?}", loaded.notes);
        for &arch in &loaded.profile.appliance.arch {
            loaded.content_plan(arch, &[]).unwrap();
            loaded
                .kubernetes_plan(loaded.profile.iso_target(arch))
                .unwrap();
        }
    }
}

#[test]
fn the_demo_needs_no_container_registry() {
    let demo = example("demo.toml");
    let plan = demo.content_plan(Arch::Amd64, &[]).unwrap();
    assert!(plan.images.is_empty() && plan.left_out.is_empty());
    let OsSource::Bootstrap(bootstrap) = &demo.profile.os.source else {
        panic!("{:?}", demo.profile.os.source);
    };
    assert_eq!(bootstrap.suite, "trixie");
    assert!(bootstrap.packages.contains(&"linux-image-amd64".to_owned()));
    let plan = demo
        .kubernetes_plan(demo.profile.iso_target(Arch::Amd64))
        .unwrap();
    assert_eq!(
        plan.packages,
        [
            "containerd",
            "runc",
            "containernetworking-plugins",
            "kubernetes-client"
        ]
    );
    assert!(plan.layers.is_empty() && plan.files.is_empty());
    assert_eq!(
        demo.profile.firmware(Arch::Amd64),
        [Firmware::Bios, Firmware::Uefi]
    );
}

#[test]
fn the_management_appliance_carries_the_images_of_its_components() {
    let loaded = example("management-appliance.toml");
    let plan = loaded.content_plan(Arch::Amd64, &[]).unwrap();
    let by = |name: &str| {
        plan.images
            .iter()
            .filter(|i| i.needed_by.starts_with(name))
            .count()
    };
    assert_eq!(
        (by("cni"), by("csi"), by("registry"), by("kubernetes")),
        (3, 17, 1, 0)
    );
    assert_eq!(plan.left_out.len(), 9);
    let drbd: Vec<_> = plan
        .images
        .iter()
        .map(|i| i.reference.to_string())
        .filter(|i| i.contains("drbd9"))
        .collect();
    assert_eq!(drbd, ["quay.io/piraeusdatastore/drbd9-jammy:v9.2.13"]);
    assert_eq!(
        loaded.profile.provider_reference("1.32.3"),
        "registry.example/edge/ubuntu:pxk-e-1.32.3-1.0.0"
    );
}

#[test]
fn the_appliance_framework_is_fips_all_through() {
    let loaded = example("appliance-framework.toml");
    let profile = &loaded.profile;
    assert_eq!(
        profile.kernel_cmdline_extra(),
        ["console=ttyS0,115200n8", "fips=1"]
    );
    let plan = loaded.content_plan(Arch::Amd64, &[]).unwrap();
    assert_eq!(plan.images.len(), 7 + 3 + 9);
    for image in plan.images {
        assert_eq!(image.reference.registry(), "registry.example");
    }
}
