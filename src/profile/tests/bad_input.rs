//! Every kind of mistake, and what is printed for it.

use super::*;

#[test]
fn unknown_key_with_the_nearest_known_one() {
    let text = MINIMAL.replace("version = \"1.0.0\"", "versoin = \"1.0.0\"");
    assert_snapshot!(problems_of(&text), @r#"
    error: unknown key 'versoin' in [appliance]
     --> p/main.toml:7:1
      |
    7 | versoin = "1.0.0"
      | ^^^^^^^
      = expected 'name', 'version', 'arch' or 'mode'
      = help: did you mean 'version'?

    1 problem in the profile
    "#);
}

#[test]
fn key_of_another_table() {
    let text = MINIMAL.replace("schema = 1", "schema = 1\nfips = true");
    assert_snapshot!(problems_of(&text), @r"
    error: unknown key 'fips'
     --> p/main.toml:4:1
      |
    4 | fips = true
      | ^^^^
      = expected 'schema', 'extends', 'catalog', 'appliance', 'registration', 'os', 'kubernetes', 'layers', 'cni', 'csi', 'registry', 'addons', 'cluster', 'vars', 'cloud_config', 'overlays', 'boot', 'install', 'state', 'health', 'hardening', 'provider', 'content', 'registries', 'output' or 'limits'
      = help: 'fips' is a key of [os]

    1 problem in the profile
    ");
}

#[test]
fn wrong_type() {
    let text = MINIMAL.replace("version = \"22.04\"", "version = 22.04");
    assert_snapshot!(problems_of(&text), @r#"
    error: 'os.version' is a float
      --> p/main.toml:12:11
       |
    12 | version = 22.04
       |           ^^^^^
       = expected a string

    1 problem in the profile
    "#);
}

#[test]
fn two_problems_at_once() {
    let text = MINIMAL
        .replace("\"kairos\" ", "\"kairo\" ")
        .replace("name = \"minimal\"", "name = \"My Appliance\"");
    assert_snapshot!(problems_of(&text), @r#"
    error: 'My Appliance' can't be a name in files and repositories
     --> p/main.toml:6:8
      |
    6 | name = "My Appliance"
      |        ^^^^^^^^^^^^^^
      = expected lower-case letters and digits with single '.', '_' or '-' between them, at most 100
      = help: write 'my-appliance'

    error: 'os.flavor' can't be 'kairo'
      --> p/main.toml:10:10
       |
    10 | flavor = "kairo"           # the image brings its installer
       |          ^^^^^^^
       = expected 'kairos' or 'appliance'
       = help: did you mean 'kairos'?

    2 problems in the profile
    "#);
}

#[test]
fn three_problems_in_three_files() {
    let main = "extends = \"base/middle.toml\"\n[boot]\ntimeout = -1\n";
    let middle = "extends = \"../root.toml\"\n[install]\nmod = \"unattended\"\n";
    let root = MINIMAL.replace("22.04-core", "22.04 core");
    let files = [
        ("p/main.toml", main),
        ("p/base/middle.toml", middle),
        ("p/base/../root.toml", root.as_str()),
    ];
    let problems = load_files(&files, &[]).unwrap_err();
    assert_eq!(problems.list().len(), 3);
    assert_snapshot!(problems.to_string(), @r#"
    error: 'boot.timeout' can't be -1
     --> p/main.toml:3:11
      |
    3 | timeout = -1
      |           ^^
      = expected an integer from 0 to 3600

    error: unknown key 'mod' in [install]
     --> p/base/middle.toml:3:1
      |
    3 | mod = "unattended"
      | ^^^
      = expected 'device', 'mode', 'after', 'force', 'pages', 'account', 'password', 'partitions' or 'require'
      = help: did you mean 'mode'?

    error: 'quay.io/kairos/ubuntu:22.04 core-amd64-generic-v3.4.2' is not an image reference: '22.04 core-amd64-generic-v3.4.2' is not a valid tag
      --> p/base/../root.toml:13:9
       |
    13 | image = "quay.io/kairos/ubuntu:22.04 core-amd64-generic-v3.4.2"
       |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       = expected a registry reference, oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:TAG]
       = help: a reference is [host[:port]/]repository[:tag][@digest]

    3 problems in the profile
    "#);
}

#[test]
fn extending_in_a_circle() {
    let files = [
        ("p/main.toml", "extends = \"other.toml\"\n"),
        ("p/other.toml", "extends = \"./x/../main.toml\"\n"),
    ];
    assert_snapshot!(load_files(&files, &[]).unwrap_err().to_string(), @r#"
    error: profiles extend each other in a circle: p/main.toml -> p/other.toml -> p/./x/../main.toml
     --> p/other.toml:1:11
      |
    1 | extends = "./x/../main.toml"
      |           ^^^^^^^^^^^^^^^^^^

    1 problem in the profile
    "#);
}

#[test]
fn extending_for_ever() {
    let names: Vec<_> = (0..20).map(|i| format!("p/{i}.toml")).collect();
    let texts: Vec<_> = (1..21)
        .map(|i| format!("extends = \"{i}.toml\"\n"))
        .collect();
    let mut files = vec![("p/main.toml", "extends = \"0.toml\"\n")];
    files.extend(
        names
            .iter()
            .zip(&texts)
            .map(|(n, t)| (n.as_str(), t.as_str())),
    );
    let problems = load_files(&files, &[]).unwrap_err();
    assert_eq!(problems.list().len(), 1);
    assert_eq!(
        problems.list()[0].message,
        "more than 16 profiles extend each other"
    );
}

#[test]
fn missing_files() {
    assert_snapshot!(load_files(&[], &[]).unwrap_err().to_string(), @r#"
    error: p/main.toml can't be read: there is no such file
     --> p/main.toml

    1 problem in the profile
    "#);
    let text = format!("extends = \"no.toml\"\n{MINIMAL}");
    assert_snapshot!(problems_of(&text), @r#"
    error: p/no.toml can't be read: there is no such file
     --> p/main.toml:1:11
      |
    1 | extends = "no.toml"
      |           ^^^^^^^^^

    1 problem in the profile
    "#);
}

#[test]
fn not_toml() {
    assert_snapshot!(problems_of("schema = 1\n[appliance\nname = \n"), @r#"
    error: not TOML: unclosed table, expected `]`
     --> p/main.toml:2:11
      |
    2 | [appliance
      |           ^

    1 problem in the profile
    "#);
}

#[test]
fn set_arguments_are_pointed_at() {
    let sets = ["appliance.nmae=x", "boot.timeout=soon", "nothing", "a..b=1"];
    assert_snapshot!(problems_with(&sets[..2]), @r#"
    error: unknown key 'nmae' in [appliance]
     --> --set argument 1, column 11
      |
      | appliance.nmae=x
      |           ^^^^
      = expected 'name', 'version', 'arch' or 'mode'
      = help: did you mean 'name'?

    error: 'boot.timeout' is a string
     --> --set argument 2, column 14
      |
      | boot.timeout=soon
      |              ^^^^
      = expected an integer from 0 to 3600

    2 problems in the profile
    "#);
    assert_snapshot!(problems_with(&sets[2..]), @r#"
    error: 'nothing' sets nothing
     --> --set argument 1, column 1
      |
      | nothing
      | ^^^^^^^
      = expected key.path=value, such as appliance.version=2.0.0

    error: 'a..b' is not the path of a key
     --> --set argument 2, column 1
      |
      | a..b=1
      | ^^^^^^
      = expected key.path=value, such as appliance.version=2.0.0

    2 problems in the profile
    "#);
}

#[test]
fn keys_of_later_versions() {
    let text = format!("{MINIMAL}\n[lock]\nfile = \"x\"\n");
    assert_snapshot!(problems_of(&text), @r"
    error: 'lock' is known but not supported by this version
      --> p/main.toml:20:2
       |
    20 | [lock]
       |  ^^^^
       = help: it comes with the lock file; leave it out until then

    1 problem in the profile
    ");
}

#[test]
fn values_and_presets_of_nothing_and_two_sources_of_a_component() {
    let text = format!(
        "{MINIMAL}\n[cni]\nname = \"mine\"\nversion = \"1\"\nmanifests = [\"net.yaml\"]\n\
         presets = [\"Size:small\"]\nvalues = {{ a = 1 }}\n\
         [csi]\nname = \"mine\"\nversion = \"1\"\npack = \"p\"\nchart = \"c\"\n"
    );
    assert_snapshot!(problems_of(&text), @r#"
    error: presets of no pack
      --> p/main.toml:24:11
       |
    24 | presets = ["Size:small"]
       |           ^^^^^^^^^^^^^^
       = expected 'pack' beside them

    error: values of nothing
      --> p/main.toml:25:10
       |
    25 | values = { a = 1 }
       |          ^^^^^^^^^
       = expected 'pack' or 'chart' beside them

    error: only one of 'pack', 'chart' or 'charts' can be used in [csi]
      --> p/main.toml:30:1
       |
    30 | chart = "c"
       | ^^^^^

    3 problems in the profile
    "#);
}

#[test]
fn kubernetes_without_a_source() {
    let text = MINIMAL.replace("image = \"registry.example/edge/pxk-e:1.32.3\"", "");
    assert_snapshot!(problems_of(&text), @r#"
    error: nothing says where 'pxk-e' 1.32.3 comes from
      --> p/main.toml:16:16
       |
    16 | distribution = "pxk-e"
       |                ^^^^^^^
       = expected 'image', 'archive', 'layers', 'packages' or 'files' in [kubernetes]
       = help: Palette eXtended Kubernetes Edge has no public layer image: name the one that you were given, [kubernetes] image = "registry.example/edge/pxk-e:1.32.3"

    1 problem in the profile
    "#);
    let unknown = text.replace("\"pxk-e\"", "\"rke\"");
    assert_snapshot!(problems_of(&unknown), @r#"
    error: nothing says where 'rke' comes from
      --> p/main.toml:16:16
       |
    16 | distribution = "rke"
       |                ^^^^^
       = expected a name in the catalog (debian, k3s, kubeadm, pxk-e, rke2), or a source
       = help: did you mean 'rke2'?

    1 problem in the profile
    "#);
}

#[test]
fn unknown_component_and_version() {
    let text = format!(
        "{MINIMAL}\n[cni]\nname = \"calico\"\nversion = \"3.29.1\"\n\
         [csi]\nname = \"piraeuz\"\nversion = \"2.8.1\"\n"
    );
    assert_snapshot!(problems_of(&text), @r#"
    error: the catalog has no version 3.29.1 of 'calico'
      --> p/main.toml:22:11
       |
    22 | version = "3.29.1"
       |           ^^^^^^^^
       = help: known: 3.29.2; name its images yourself, or add an entry to a catalog of your own

    error: the catalog has no csi named 'piraeuz'
      --> p/main.toml:24:8
       |
    24 | name = "piraeuz"
       |        ^^^^^^^^^
       = expected one of piraeus, rook-ceph
       = help: did you mean 'piraeus'?

    2 problems in the profile
    "#);
}

#[test]
fn fips_variant_that_nobody_knows() {
    let sets = ["os.fips=true", "cni.name=calico", "cni.version=3.29.2"];
    assert_snapshot!(problems_with(&sets), @r#"
    error: the catalog has no FIPS variant of 'calico' 3.29.2
     --> --set argument 1, column 9
      |
      | os.fips=true
      |         ^^^^
      = help: name its FIPS images: [cni] images = [...]

    1 problem in the profile
    "#);
}

#[test]
fn glob_that_excludes_nothing() {
    let sets =
        ["cni={ name = \"calico\", version = \"3.29.2\", exclude_images = [\"*/nodes:*\"] }"];
    assert_snapshot!(problems_with(&sets), @r#"
    error: '*/nodes:*' matches none of the images
     --> --set argument 1, column 62
      |
      | cni={ name = "calico", version = "3.29.2", exclude_images = ["*/nodes:*"] }
      |                                                              ^^^^^^^^^^^
      = expected a glob over whole references, such as "*/drbd9-*"

    1 problem in the profile
    "#);
}

#[test]
fn alternatives_together_or_none() {
    let both = MINIMAL.replace("[kubernetes]", "rootfs = \"r.tar\"\n[kubernetes]");
    assert_snapshot!(problems_of(&both), @r#"
    error: only one of 'image', 'rootfs' or 'bootstrap' can be used in [os]
      --> p/main.toml:15:1
       |
    15 | rootfs = "r.tar"
       | ^^^^^^

    1 problem in the profile
    "#);
    let none = MINIMAL.replace(
        "image = \"quay.io/kairos/ubuntu:22.04-core-amd64-generic-v3.4.2\"",
        "",
    );
    assert_snapshot!(problems_of(&none), @r#"
    error: missing key 'image', 'rootfs' or 'bootstrap' in [os]
     --> p/main.toml:9:1
      |
    9 | [os]
      | ^^^^
      = expected exactly one of 'image', 'rootfs' or 'bootstrap'

    1 problem in the profile
    "#);
}

#[test]
fn central_mode_needs_registration() {
    assert_snapshot!(problems_with(&["appliance.mode=central"]), @r#"
    error: mode 'central' needs [registration]
     --> --set argument 1, column 16
      |
      | appliance.mode=central
      |                ^^^^^^^
      = expected [registration] with 'endpoint' and 'token'

    1 problem in the profile
    "#);
}

#[test]
fn a_secret_in_plain_text_is_not_shown() {
    let text = MINIMAL.replace(
        "[os]",
        "mode = \"central\"\n[registration]\nendpoint = \"api.example\"\ntoken = \"hunter2\"\n[os]",
    );
    let shown = problems_of(&text);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_snapshot!(shown, @r#"
    error: 'registration.token' is a secret and can't be written in the profile
      --> p/main.toml:12:1
       |
    12 | token = [redacted]
       | ^^^^^
       = expected { env = "NAME" } or { file = "PATH" }
       = help: put the value into an environment variable or a file of its own

    1 problem in the profile
    "#);
}

#[test]
fn a_password_in_a_url_is_not_shown() {
    let text = MINIMAL.replace(
        "[os]",
        "[[addons]]\nname = \"web\"\nversion = \"1.0.0\"\nimages = [\"registry.example/web:1\"]\nchart = \"https://u:hunter2@charts.example/web-1.0.0.tgz\"\n[os]",
    );
    let shown = problems_of(&text);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_snapshot!(shown, @r"
    error: the URL has a user name or password in it
      --> p/main.toml:13:9
       |
    13 | chart = [redacted]
       |         ^^^^^^^^^^
       = expected a URL without them; registries are logged in to with `isoforge login`

    1 problem in the profile
    ");
    let image = problems_with(&["os.image=https://u:hunter2@registry.example/x"]);
    assert!(
        image.contains("[redacted]") && !image.contains("hunter2"),
        "{image}"
    );
}

#[test]
fn credentials_are_refused() {
    assert_snapshot!(problems_with(&["registries.\"quay.io\".password=x"]), @r#"
    error: 'password' in [registries."quay.io"] is not accepted
     --> --set argument 1, column 22
      |
      | registries."quay.io".password=[redacted]
      |                      ^^^^^^^^
      = help: credentials come from the Docker configuration or a credential helper, never from a profile

    1 problem in the profile
    "#);
}

#[test]
fn one_source_for_several_versions_and_architectures() {
    let sets = [
        "kubernetes.versions=[\"1.32.3\", \"1.31.7\"]",
        "appliance.arch=[\"amd64\", \"arm64\"]",
        "kubernetes.files=[{ url = \"https://e.x/{arch}/kubelet\", sha256 = \"00\", path = \"usr/bin/kubelet\", mode = \"999\" }]",
    ];
    assert_snapshot!(problems_with(&sets), @r#"
    error: one image for several versions of Kubernetes
      --> p/main.toml:18:9
       |
    18 | image = "registry.example/edge/pxk-e:1.32.3"    # the layer that you were given
       |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       = expected the placeholder {version} in it

    error: one digest for the 2 files that this URL names
     --> --set argument 3, column 27
      |
      | kubernetes.files=[{ url = "https://e.x/{arch}/kubelet", sha256 = "00", path = "usr/bin/kubelet", mode = "999" }]
      |                           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = expected a file of its own for each architecture and version
      = help: write one [[kubernetes.files]] with 'arch' for each

    error: '00' is not a SHA-256 digest of 64 hex digits
     --> --set argument 3, column 66
      |
      | kubernetes.files=[{ url = "https://e.x/{arch}/kubelet", sha256 = "00", path = "usr/bin/kubelet", mode = "999" }]
      |                                                                  ^^^^
      = expected 64 hex digits, as sha256sum prints them

    error: 'usr/bin/kubelet' is not a path of a file in the root
     --> --set argument 3, column 79
      |
      | kubernetes.files=[{ url = "https://e.x/{arch}/kubelet", sha256 = "00", path = "usr/bin/kubelet", mode = "999" }]
      |                                                                               ^^^^^^^^^^^^^^^^^
      = expected an absolute path without '.' and '..', such as /usr/bin/kubelet

    error: '999' is not a file mode
     --> --set argument 3, column 105
      |
      | kubernetes.files=[{ url = "https://e.x/{arch}/kubelet", sha256 = "00", path = "usr/bin/kubelet", mode = "999" }]
      |                                                                                                         ^^^^^
      = expected octal permissions such as "0755" or 0o755

    5 problems in the profile
    "#);
}

#[test]
fn secrets_of_a_set_argument_are_hidden_and_marks_stay_aligned() {
    let set = "registration={ token = \"hunter2\", endpoint = \"a b\" }";
    let shown = problems_with(&[set, "appliance.mode=central"]);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_snapshot!(shown, @r#"
    error: 'registration.token' is a secret and can't be written in the profile
     --> --set argument 1, column 16
      |
      | registration={ token = [redacted], endpoint = "a b" }
      |                ^^^^^
      = expected { env = "NAME" } or { file = "PATH" }
      = help: put the value into an environment variable or a file of its own

    error: 'a b' is not an endpoint
     --> --set argument 1, column 46
      |
      | registration={ token = [redacted], endpoint = "a b" }
      |                                               ^^^^^
      = expected a host name such as api.example.com, or an https URL

    2 problems in the profile
    "#);
}

#[test]
fn long_lines_and_control_characters_are_tamed() {
    let set = format!(
        "content={{ images = [{}\"a\\u0007B/c\"] }}",
        "\"a/b:1\", ".repeat(40)
    );
    assert_snapshot!(problems_with(&[&set]), @r#"
    error: 'a\u{7}B/c' is not an image reference: 'a\u{7}B' is not a registry's host name with an optional port
     --> --set argument 1, column 381
      |
      | …", "a/b:1", "a/b:1", "a/b:1", "a/b:1", "a/b:1", "a/b:1", "a/b:1", "a/b:1", "a/b:1", "a/b:1", "a/b:1", "a/b:1", "a/b:1", "a\u0007B/c"] }
      |                                                                                                                          ^^^^^^^^^^^^
      = expected an image reference such as registry.example/folder/name:tag
      = help: a reference is [host[:port]/]repository[:tag][@digest]

    1 problem in the profile
    "#);
}
