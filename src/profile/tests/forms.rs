//! Values of the right type and the wrong form.

use insta::assert_snapshot;

use super::*;

#[test]
fn each_wrong_value_is_one_problem_at_its_place() {
    let cases: &[(&str, &str)] = &[
        ("appliance.version=1/2", "'1/2' can't be a version"),
        ("appliance.arch=[]", "the list of architectures is empty"),
        (
            "appliance.arch=[\"amd64\",\"amd64\"]",
            "architecture 'amd64' is listed twice in 'appliance.arch'",
        ),
        (
            "appliance.arch=[\"x86_64\"]",
            "'appliance.arch' can't be 'x86_64'",
        ),
        (
            "kubernetes.version=v1.32.3",
            "'v1.32.3' is not a version of Kubernetes",
        ),
        (
            "kubernetes.version=1.32",
            "'1.32' is not a version of Kubernetes",
        ),
        ("appliance.version=2.0", ""),
        ("extends=x.toml", "'extends' can't be set"),
        (
            "vars.x=0x8000000000000000",
            "the integer does not fit 64 bits",
        ),
        (
            "kubernetes.packages=[\"runc\"]",
            "Debian packages need a system made from packages",
        ),
        ("kubernetes.distribution=debian", ""),
        (
            "os.image=oci:",
            "'oci:' is not an image reference: a path belongs after 'oci:'",
        ),
        (
            "os.image=https://quay.io/x",
            "'https://quay.io/x' is not an image reference: a reference has no 'https://' in front",
        ),
        (
            "os.image=quay.io/x@sha256:12",
            "'quay.io/x@sha256:12' is not an image reference: 'sha256:12' is not a digest of the form sha256:<64 lower-case hex digits>",
        ),
        ("os.image=quay.io/{arc}", "unknown placeholder '{arc}'"),
        (
            "output.compression=zstd:23",
            "'zstd:23' is not a compression",
        ),
        ("output.compression=xz:9", "'xz:9' is not a compression"),
        (
            "output.block_size=3000",
            "a SquashFS block can't have 3000 bytes",
        ),
        ("output.block_size=1T", "'1T' is not a number of bytes"),
        (
            "provider.repository=e.x/a:1",
            "'e.x/a:1' is not a repository",
        ),
        (
            "provider={ repository = \"edge/a\", push = true }",
            "a provider image that is pushed needs a registry",
        ),
        (
            "provider.push=true",
            "a provider image that is pushed needs a registry",
        ),
        (
            "registries.\"a/b\".mirror=x.y",
            "'a/b' is not the host of a registry",
        ),
        (
            "registries.\"quay.io\".mirror=https://x.y",
            "'https://x.y' is not a mirror",
        ),
        (
            "registries.\"quay.io\".proxy=ftp://p",
            "'ftp://p' is not a proxy",
        ),
        (
            "registries.\"quay.io\".proxy=http://",
            "'http://' is not a proxy",
        ),
        (
            "registries.\"quay.io\".proxy=http://u:p@proxy:3128",
            "the proxy has a user name or password in it",
        ),
        (
            "os={ flavor = \"kairos\", distribution = \"debian\", version = \"13\", bootstrap = { suite = \"trixie\", mirror = \"https://u:p@mirror.example/debian\" } }",
            "the URL has a user name or password in it",
        ),
        (
            "os={ flavor = \"kairos\", distribution = \"debian\", version = \"13\", bootstrap = { suite = \"trixie\", mirror = [\"deb [trusted=yes] http://u@m.example trixie main\"] } }",
            "the URL has a user name or password in it",
        ),
        (
            "content={ charts = [\"oci://u:p@registry.example/chart:1.0.0\"] }",
            "the URL has a user name or password in it",
        ),
        (
            "registries.\"quay.io\".max_connections=0",
            "'registries.\"quay.io\".max_connections' can't be 0",
        ),
        (
            "registries.\"quay.io\".client_key=me.key",
            "'client_key' without 'client_cert'",
        ),
        ("install.device=sda", "'sda' is not a disk"),
        ("install.device=/dev/../x", "'/dev/../x' is not a disk"),
        ("boot.firmware=[]", "the list of firmware is empty"),
        (
            "layers=[{ folder = \"x\", for = [] }]",
            "the layer is for nothing",
        ),
        (
            "layers=[{ folder = \"x\", include = [\"a[\"] }]",
            "'a[' is not a glob",
        ),
        (
            "layers=[{ }]",
            "missing key 'image', 'archive' or 'folder' in [[layers]]",
        ),
        (
            "addons=[{ name = \"a\", version = \"1\", images = [\"a/b:1\"] }, { name = \"a\", version = \"2\", images = [] }]",
            "addon 'a' is listed twice",
        ),
        ("vars.x=nan", "not a finite number"),
        (
            "vars.x={ env = \"A-B\" }",
            "'A-B' is not the name of an environment variable",
        ),
        ("limits.layer_bytes=10X", "'10X' is not a number of bytes"),
        ("schema=2", "'schema' can't be 2"),
        (
            "boot.cmdline=[\"a\\nb\"]",
            "'a\\nb' is not one argument of the kernel",
        ),
        (
            "os.bootstrap={ suite = \"trixie\", packages = [\"Foo\"] }",
            "'Foo' is not the name of a Debian package",
        ),
    ];
    for (set, message) in cases {
        match load_files(&[("p/main.toml", MINIMAL)], &[set]) {
            Ok(_) => assert!(message.is_empty(), "{set} is accepted"),
            Err(problems) => {
                let first = &problems.list()[0];
                assert!(
                    first.message.starts_with(message) && !message.is_empty(),
                    "{set}: {problems}"
                );
                assert_eq!(problems.list().len(), 1, "{set}: {problems}");
                let location = first.location.as_ref().unwrap();
                assert_eq!(location.origin, "--set argument 1", "{set}");
            }
        }
    }
}

#[test]
fn hosts_have_mirrors_certificates_and_a_proxy() {
    let text = format!(
        "{MINIMAL}\n[registries.\"quay.io\"]\nmirrors = [\"a.io\", \"b.io/q\"]\nfallback = true\n\
         plain_http = false\nca = \"ca.pem\"\nclient_cert = \"me.pem\"\nclient_key = \"/k.pem\"\n\
         proxy = \"socks5h://p:1080\"\nmax_connections = 3\n"
    );
    let loaded = load_files(&[("p/main.toml", &text)], &[]).unwrap();
    let host = &loaded.profile.registries["quay.io"];
    assert_eq!(host.mirrors.as_deref().unwrap(), ["a.io", "b.io/q"]);
    assert_eq!((host.fallback, host.plain_http), (Some(true), Some(false)));
    assert_eq!(host.ca, Some("p/ca.pem".into()));
    assert_eq!(host.client_cert, Some("p/me.pem".into()));
    assert_eq!(host.client_key, Some("/k.pem".into()));
    assert_eq!(
        host.proxy.as_ref().unwrap().plain_address(),
        Some("socks5h://p:1080")
    );
    assert_eq!(host.max_connections.map(|n| n.get()), Some(3));
    let both = format!("{text}mirror = \"c.io\"\n");
    let problems = load_files(&[("p/main.toml", &both)], &[])
        .unwrap_err()
        .to_string();
    assert_snapshot!(problems, @r#"
    error: only one of 'mirror' or 'mirrors' can be used in [registries."quay.io"]
      --> p/main.toml:21:1
       |
    21 | mirrors = ["a.io", "b.io/q"]
       | ^^^^^^^

    1 problem in the profile
    "#);
}

#[test]
fn what_a_finished_cloud_config_does_not_get_is_told() {
    let sets = [
        "cloud_config.file=user-data",
        "install.device=/dev/sda",
        "boot.cmdline=[\"quiet\"]",
        "hardening.profile=stig",
        "os.fips=true",
    ];
    let loaded = minimal_with(&sets);
    assert_snapshot!(loaded.notes.join("\n"), @r"
    kernel arguments reach the ISO alone, not the system that Kairos installs: the file that [cloud_config] names is taken unchanged, and they belong in its install.grub_options.extra_cmdline
    'install.device' does not reach the cloud-config: the file that [cloud_config] names is taken unchanged
    ");
    assert_eq!(
        loaded.profile.installed_cmdline(),
        ["quiet", "audit=1", "fips=1"]
    );
    let appliance = [&sets[..3], &["os.flavor=appliance"]].concat();
    assert_snapshot!(minimal_with(&appliance).notes.join("\n"), @"'install.device' does not reach the cloud-config: the file that [cloud_config] names is taken unchanged");
}
