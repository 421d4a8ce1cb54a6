//! Help, version and wrong usage.

mod profile_verbs;
mod verbs;

use insta::assert_snapshot;

use crate::support::program::Project;

const VERBS: [&str; 15] = [
    "init", "validate", "lock", "plan", "pull", "build", "bundle", "push", "login", "logout",
    "cache", "content", "pack", "inspect", "config",
];

#[test]
fn the_programs_help() {
    let project = Project::empty();
    assert_snapshot!(project.run(&["--help"]).all(), @r"
    exit 0
    --- stdout
    Turns one infrastructure profile into a bootable installer ISO and a provider
    image, without root, containers or host tools

    Usage: isoforge [OPTIONS] <COMMAND>

    Commands:
      init      Write a new project: profile, templates and overlays to start from
      validate  Check a profile, its templates and overlays, without any network
      lock      Write the lock: every input of a profile by digest
      plan      Say what a build would pull, reuse, compress and write
      pull      Bring every input of a profile into the store
      build     Build the installer ISO and the provider image
      bundle    Build, check, compare and serve bundles: images to carry to where no
                network is
      push      Push a provider image, or any OCI layout, to a registry
      login     Check credentials with a registry and store them
      logout    Forget the credentials for a registry
      cache     List, check, clear, export and import the store
      content   Find the images that packs, charts and manifests need, and check
                that bundles have them
      pack      Make, check and push packs
      inspect   Say what is in an ISO, a provider image or a build's output folder
      config    Say which settings hold, and where each comes from
      schema    Print the JSON Schema of profiles, for editors
      help      Print this message or the help of the given subcommand(s)

    Options:
          --progress <PROGRESS>
              How progress is shown on standard error [default: auto]

              Possible values:
              - auto:  Bars on a terminal, plain lines elsewhere
              - plain: A line now and then, for logs
              - json:  One JSON object a line
              - none:  Nothing
              
              [env: ISOFORGE_PROGRESS]

      -q, --quiet
              Only errors and warnings on standard error

      -v, --verbose
              Also say decisions, and each piece of work when it is done

          --config <FILE>
              Settings file [default: isoforge/isoforge.toml in the user's
              configuration folder]
              
              [env: ISOFORGE_CONFIG]

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Exit codes: 0 done, 1 bug, 2 profile or usage, 3 environment, 4 network,
    5 verification, 6 input/output, 7 lock out of date, 130 interrupted.
    --- stderr
    ");
}

#[test]
fn help_fits_a_terminal_and_has_an_example() {
    let project = Project::empty();
    for verb in VERBS {
        for flag in ["--help", "-h"] {
            let outcome = project.run(&[verb, flag]);
            outcome.assert_exit(0);
            assert!(outcome.stdout.contains("Example"), "{verb} {flag}");
            assert!(outcome.stdout.contains(&format!("\n  isoforge {verb} ")));
            for line in outcome.stdout.lines() {
                assert!(line.chars().count() <= 80, "{verb} {flag}: {line}");
            }
        }
    }
}

#[test]
fn the_version() {
    let project = Project::empty();
    let said = format!("isoforge {}\n", env!("CARGO_PKG_VERSION"));
    for arguments in [["--version"].as_slice(), &["-V"]] {
        let outcome = project.run(arguments);
        outcome.assert_exit(0);
        assert_eq!(outcome.stdout, said);
    }
}

#[test]
fn wrong_usage_is_exit_2_and_says_what_is_right() {
    let project = Project::empty();
    assert_snapshot!(project.run(&["bild"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: unrecognized subcommand 'bild'

      tip: a similar subcommand exists: 'build'

    Usage: isoforge [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
    assert_snapshot!(project.run(&["build"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: the following required arguments were not provided:
      <PROFILE>

    Usage: isoforge build --appliance <[ARCH=]FILE> <PROFILE>

    For more information, try '--help'.
    ");
    assert_snapshot!(project.run(&["build", "x.toml", "--jobs", "0"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: invalid value '0' for '--jobs <N>': 0 is not in 1..=256

    For more information, try '--help'.
    ");
    assert_snapshot!(project.run(&["build", "x.toml", "--only", "usb"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: invalid value 'usb' for '--only <ONLY>'
      [possible values: iso, provider]

    For more information, try '--help'.
    ");
    assert_snapshot!(project.run(&["build", "x.toml", "--quiet", "--verbose"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: the argument '--quiet' cannot be used with '--verbose'

    Usage: isoforge build --quiet --appliance <[ARCH=]FILE> <PROFILE>

    For more information, try '--help'.
    ");
    project.run(&[]).assert_exit(2);
}

#[test]
fn a_profile_that_is_not_there() {
    let project = Project::empty();
    assert_snapshot!(project.run(&["validate", "x.toml"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: x.toml can't be read: there is no such file
     --> x.toml

    1 problem in the profile
    ");
    assert_snapshot!(project.run(&["build", "x.toml"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: x.toml can't be read: there is no such file
     --> x.toml

    1 problem in the profile
    ");
    assert!(project.outputs().is_empty());
}
