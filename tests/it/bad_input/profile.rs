//! Profile, command line, environment, templates, overlays.

use insta::assert_snapshot;

use super::{builds_again, failed};
use crate::support::program::Project;

#[test]
fn an_unknown_key() {
    let project = Project::bootable();
    project.change_profile("flavor =", "flavour =");
    assert_snapshot!(failed(&project, &[]), @r#"
    exit 2
    error: unknown key 'flavour' in [os]
     --> profile.toml:9:1
      |
    9 | flavour = "appliance"
      | ^^^^^^^
      = expected 'flavor', 'distribution', 'version', 'image', 'rootfs', 'bootstrap' or 'fips'
      = help: did you mean 'flavor'?

    1 problem in the profile
    "#);
    builds_again(&project);
}

#[test]
fn a_wrong_type() {
    let project = Project::bootable();
    project.change_profile("version = \"13\"", "version = 13");
    assert_snapshot!(failed(&project, &[]), @r"
    exit 2
    error: 'os.version' is an integer
      --> profile.toml:11:11
       |
    11 | version = 13
       |           ^^
       = expected a string

    1 problem in the profile
    ");
    builds_again(&project);
}

#[test]
fn two_problems_at_once() {
    let project = Project::bootable();
    project.change_profile("version = \"13\"", "version = 13");
    project.change_profile("[provider]", "[providers]");
    assert_snapshot!(failed(&project, &[]), @r"
    exit 2
    error: 'os.version' is an integer
      --> profile.toml:11:11
       |
    11 | version = 13
       |           ^^
       = expected a string

    error: unknown key 'providers'
      --> profile.toml:22:2
       |
    22 | [providers]
       |  ^^^^^^^^^
       = expected 'schema', 'extends', 'catalog', 'appliance', 'registration', 'os', 'kubernetes', 'layers', 'cni', 'csi', 'registry', 'addons', 'cluster', 'vars', 'cloud_config', 'overlays', 'boot', 'install', 'state', 'health', 'hardening', 'provider', 'content', 'registries', 'output' or 'limits'
       = help: did you mean 'provider'?

    2 problems in the profile
    ");
    builds_again(&project);
}

#[test]
fn no_toml() {
    let project = Project::bootable();
    project.change_profile("[provider]", "[provider");
    assert_snapshot!(failed(&project, &[]), @r"
    exit 2
    error: not TOML: unclosed table, expected `]`
      --> profile.toml:22:10
       |
    22 | [provider
       |          ^

    1 problem in the profile
    ");
    builds_again(&project);
}

#[test]
fn overrides_that_are_none() {
    let project = Project::bootable();
    assert_snapshot!(failed(&project, &["--set", "appliance.verson=2"]), @r"
    exit 2
    error: unknown key 'verson' in [appliance]
     --> --set argument 1, column 11
      |
      | appliance.verson=2
      |           ^^^^^^
      = expected 'name', 'version', 'arch' or 'mode'
      = help: did you mean 'version'?

    1 problem in the profile
    ");
    assert_snapshot!(failed(&project, &["--set", "appliance.version"]), @r"
    exit 2
    error: 'appliance.version' sets nothing
     --> --set argument 1, column 1
      |
      | appliance.version
      | ^^^^^^^^^^^^^^^^^
      = expected key.path=value, such as appliance.version=2.0.0

    1 problem in the profile
    ");
    builds_again(&project);
}

#[test]
fn a_malformed_mirror() {
    let project = Project::bootable();
    assert_snapshot!(failed(&project, &["--mirror", "quay.io"]), @r"
    exit 2
    error: --mirror quay.io: expected HOST=MIRROR
    hint: for example --mirror quay.io=127.0.0.1:[PORT]
    ");
    assert_snapshot!(failed(&project, &["--mirror", "quay.io="]), @r"
    exit 2
    error: --mirror quay.io=: expected HOST=MIRROR
    hint: for example --mirror quay.io=127.0.0.1:[PORT]
    ");
    assert_snapshot!(failed(&project, &["--mirror", "quay.io=http://[::"]), @r"
    exit 2
    error: 'http://[::' is not a mirror of the form host[:port][/prefix], without http:// and without credentials
    ");
    builds_again(&project);
}

#[test]
fn a_time_stamp_that_is_none() {
    let project = Project::bootable();
    for value in ["yesterday", "-1", "99999999999"] {
        let outcome = project
            .command(&["build", "profile.toml"])
            .env("SOURCE_DATE_EPOCH", value)
            .output()
            .unwrap();
        assert_eq!(outcome.status.code(), Some(2));
        let said = String::from_utf8(outcome.stderr).unwrap();
        assert!(
            said.contains(&format!("SOURCE_DATE_EPOCH is '{value}'")),
            "{said}"
        );
        assert!(project.outputs().is_empty());
    }
    builds_again(&project);
}

#[test]
fn a_settings_file_with_an_unknown_key() {
    let project = Project::bootable();
    project.write("settings.toml", "job = 2\n");
    assert_snapshot!(failed(&project, &["--config", "settings.toml"]), @"
    exit 2
    error: unknown key 'job'
     --> settings.toml:1:1
      |
    1 | job = 2
      | ^^^
      = expected 'progress', 'jobs', 'cache_dir', 'output' or 'registries'
      = help: did you mean 'jobs'?

    1 problem in the settings file
    ");
    assert_snapshot!(failed(&project, &["--config", "none.toml"]), @r"
    exit 6
    error: can't read the settings file
      caused by: failed to open file `none.toml`: No such file or directory (os error 2)
    ");
    builds_again(&project);
}

#[test]
fn a_template_with_an_undefined_variable() {
    let project = Project::bootable();
    project.add_to_profile("\n[overlays]\nrootfs = [\"more\"]\n");
    project.write("more/etc/motd.tera", "Welcome\nto {{ vars.town }}\n");
    assert_snapshot!(failed(&project, &[]), @r"
    exit 2
    error: Field `town` is not defined.
     --> more/etc/motd.tera:2:12
      |
    2 | to {{ vars.town }}
      |            ^^^^
    hint: set it in the profile ([vars] for values of your own), or let the template ask with `is defined` or `default(value=...)`
    ");
    builds_again(&project);
}

#[test]
fn a_cloud_config_with_an_undefined_variable() {
    let project = Project::bootable();
    project.add_to_profile("\n[cloud_config]\ntemplate = \"mine.yaml.tera\"\n");
    project.write(
        "mine.yaml.tera",
        "#cloud-config\nhostname: {{ vars.host }}\n",
    );
    assert_snapshot!(failed(&project, &[]), @r"
    exit 2
    error: Field `host` is not defined.
     --> mine.yaml.tera:2:19
      |
    2 | hostname: {{ vars.host }}
      |                   ^^^^
    hint: set it in the profile ([vars] for values of your own), or let the template ask with `is defined` or `default(value=...)`
    ");
    builds_again(&project);
}

#[test]
fn an_overlay_with_a_missing_directory() {
    let project = Project::bootable();
    project.add_to_profile("\n[overlays]\nrootfs = [\"nowhere\"]\n");
    assert_snapshot!(failed(&project, &[]), @r"
    exit 2
    error: 'nowhere' does not exist in the current directory
    hint: paths are relative to the profile; `isoforge init` writes the default templates and overlays
    ");
    builds_again(&project);
}

#[test]
fn an_unset_secret() {
    let project = Project::bootable();
    project.add_to_profile("\n[vars]\ntoken = { env = \"NO_SUCH_TOKEN\" }\n");
    assert_snapshot!(failed(&project, &[]), @r#"
    exit 2
    error: 'vars.token': the environment variable NO_SUCH_TOKEN is not set
      --> profile.toml:26:9
       |
    26 | token = { env = "NO_SUCH_TOKEN" }
       |         ^^^^^^^^^^^^^^^^^^^^^^^^^
       = help: set NO_SUCH_TOKEN to the secret's value

    1 problem in the profile
    "#);
    builds_again(&project);
}
