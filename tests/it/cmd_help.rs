//! Help, version and wrong usage.

use insta::assert_snapshot;

use crate::support::program::Project;

const VERBS: [&str; 12] = [
    "init", "validate", "lock", "plan", "pull", "build", "push", "login", "logout", "cache",
    "inspect", "config",
];

#[test]
fn the_programs_help() {
    let project = Project::empty();
    assert_snapshot!(project.run(&["--help"]).all(), @"
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
      push      Push a provider image, or any OCI layout, to a registry
      login     Check credentials with a registry and store them
      logout    Forget the credentials for a registry
      cache     List, check, clear, export and import the store
      inspect   Say what is in an ISO, a provider image or a build's output folder
      config    Say which settings hold, and where each comes from
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
fn every_verbs_help() {
    let project = Project::empty();
    assert_snapshot!(project.run(&["init", "--help"]).stdout, @r"
    Write a new project: profile, templates and overlays to start from

    Usage: isoforge init [OPTIONS] [DIRECTORY]

    Arguments:
      [DIRECTORY]
              Folder to write to; it must be empty or not exist
              
              [default: .]

    Options:
          --template <NAME>
              The example profile to start from
              
              [default: minimal]

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

    Example:
      isoforge init my-appliance --template byo-os
    ");
    assert_snapshot!(project.run(&["validate", "--help"]).stdout, @r"
    Check a profile, its templates and overlays, without any network

    Usage: isoforge validate [OPTIONS] <PROFILE>

    Arguments:
      <PROFILE>
              The infrastructure profile (TOML)

    Options:
          --set <KEY=VALUE>
              Set a key of the profile, e.g. appliance.version=1.2.0; may be
              repeated

          --format <FORMAT>
              How the result is written to standard output

              Possible values:
              - text: For people
              - json: For programs
              
              [default: text]

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

    Example:
      isoforge validate profiles/demo.toml --set appliance.version=1.2.0
    ");
    assert_snapshot!(project.run(&["lock", "--help"]).stdout, @"
    Write the lock: every input of a profile by digest

    Usage: isoforge lock [OPTIONS] <PROFILE>

    Arguments:
      <PROFILE>
              The infrastructure profile (TOML)

    Options:
          --set <KEY=VALUE>
              Set a key of the profile, e.g. appliance.version=1.2.0; may be
              repeated

          --upgrade [<NAME>]
              Look anew for all inputs, or for one: an image's reference or
              repository, a component's name, or 'bootstrap'

          --check
              Write nothing; the exit code says whether the lock would change

          --lock <FILE>
              Lock file [default: isoforge.lock beside the profile]
              
              [env: ISOFORGE_LOCK]

          --cache-dir <DIR>
              Store of blobs and slabs [default: isoforge in the user's cache
              folder]
              
              [env: ISOFORGE_CACHE_DIR]

      -j, --jobs <N>
              Threads that compress and pull [default: the machine's cores]
              
              [env: ISOFORGE_JOBS]

          --mirror <HOST=MIRROR>
              Pull what comes from HOST from MIRROR instead; may be repeated

          --plain-http <HOST>
              Talk to HOST without TLS; may be repeated

          --format <FORMAT>
              How the result is written to standard output

              Possible values:
              - text: For people
              - json: For programs
              
              [default: text]

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

    Examples:
      isoforge lock profiles/demo.toml
      isoforge lock profiles/demo.toml --upgrade calico
      isoforge lock profiles/demo.toml --check
    ");
    assert_snapshot!(project.run(&["plan", "--help"]).stdout, @"
    Say what a build would pull, reuse, compress and write

    Usage: isoforge plan [OPTIONS] <PROFILE>

    Arguments:
      <PROFILE>
              The infrastructure profile (TOML)

    Options:
          --set <KEY=VALUE>
              Set a key of the profile, e.g. appliance.version=1.2.0; may be
              repeated

          --lock <FILE>
              Lock file [default: isoforge.lock beside the profile]
              
              [env: ISOFORGE_LOCK]

          --offline
              Open no connection

          --cache-dir <DIR>
              Store of blobs and slabs [default: isoforge in the user's cache
              folder]
              
              [env: ISOFORGE_CACHE_DIR]

      -j, --jobs <N>
              Threads that compress and pull [default: the machine's cores]
              
              [env: ISOFORGE_JOBS]

          --mirror <HOST=MIRROR>
              Pull what comes from HOST from MIRROR instead; may be repeated

          --plain-http <HOST>
              Talk to HOST without TLS; may be repeated

          --format <FORMAT>
              How the result is written to standard output

              Possible values:
              - text: For people
              - json: For programs
              
              [default: text]

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

    Example:
      isoforge plan profiles/demo.toml --format json
    ");
    assert_snapshot!(project.run(&["pull", "--help"]).stdout, @"
    Bring every input of a profile into the store

    Usage: isoforge pull [OPTIONS] <PROFILE>

    Arguments:
      <PROFILE>
              The infrastructure profile (TOML)

    Options:
          --set <KEY=VALUE>
              Set a key of the profile, e.g. appliance.version=1.2.0; may be
              repeated

          --lock <FILE>
              Lock file [default: isoforge.lock beside the profile]
              
              [env: ISOFORGE_LOCK]

          --locked
              Refuse to go on where the lock would change

          --cache-dir <DIR>
              Store of blobs and slabs [default: isoforge in the user's cache
              folder]
              
              [env: ISOFORGE_CACHE_DIR]

      -j, --jobs <N>
              Threads that compress and pull [default: the machine's cores]
              
              [env: ISOFORGE_JOBS]

          --mirror <HOST=MIRROR>
              Pull what comes from HOST from MIRROR instead; may be repeated

          --plain-http <HOST>
              Talk to HOST without TLS; may be repeated

          --format <FORMAT>
              How the result is written to standard output

              Possible values:
              - text: For people
              - json: For programs
              
              [default: text]

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

    Example:
      isoforge pull profiles/demo.toml --locked
    ");
    assert_snapshot!(project.run(&["build", "--help"]).stdout, @"
    Build the installer ISO and the provider image

    Usage: isoforge build [OPTIONS] <PROFILE>

    Arguments:
      <PROFILE>
              The infrastructure profile (TOML)

    Options:
          --set <KEY=VALUE>
              Set a key of the profile, e.g. appliance.version=1.2.0; may be
              repeated

          --only <ONLY>
              Build one of the two artifacts

              Possible values:
              - iso:      The installer ISO
              - provider: The provider image

      -o, --output <DIR>
              Folder for the outputs, in which each build gets NAME-VERSION
              [default: dist]
              
              [env: ISOFORGE_OUTPUT]

          --cache-dir <DIR>
              Store of blobs and slabs [default: isoforge in the user's cache
              folder]
              
              [env: ISOFORGE_CACHE_DIR]

      -j, --jobs <N>
              Threads that compress and pull [default: the machine's cores]
              
              [env: ISOFORGE_JOBS]

          --mirror <HOST=MIRROR>
              Pull what comes from HOST from MIRROR instead; may be repeated

          --plain-http <HOST>
              Talk to HOST without TLS; may be repeated

          --with-referrers
              Take along signatures, attestations and SBOMs of content images

          --lock <FILE>
              Lock file [default: isoforge.lock beside the profile]
              
              [env: ISOFORGE_LOCK]

          --locked
              Refuse to go on where the lock would change

          --offline
              Open no connection: take all that the lock names from the store

          --force
              Go on where an image can't boot or lacks what the profile asks

          --no-push
              Leave the provider image here, though the profile has provider.push

          --progress <PROGRESS>
              How progress is shown on standard error [default: auto]

              Possible values:
              - auto:  Bars on a terminal, plain lines elsewhere
              - plain: A line now and then, for logs
              - json:  One JSON object a line
              - none:  Nothing
              
              [env: ISOFORGE_PROGRESS]

          --format <FORMAT>
              How the result is written to standard output

              Possible values:
              - text: For people
              - json: For programs
              
              [default: text]

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

    Examples:
      isoforge build profiles/demo.toml
      isoforge build profiles/byo-os.toml --only provider --output out
      isoforge build profiles/minimal.toml --mirror quay.io=127.0.0.1:[PORT]
    ");
    assert_snapshot!(project.run(&["push", "--help"]).stdout, @"
    Push a provider image, or any OCI layout, to a registry

    Usage: isoforge push [OPTIONS] <SOURCE>

    Arguments:
      <SOURCE>
              A build's output folder, a provider image's archive, or an OCI layout
              as folder or archive

    Options:
          --to <REPOSITORY[:TAG]>
              Where to, with another tag where it is one image [default: the
              provider.repository of the build]

          --tag <TAG>
              Push the image of this name alone; may be repeated

          --dry-run
              Ask the registry what it lacks, and send nothing

          --cache-dir <DIR>
              Store, which a compressed archive is unpacked in [default: isoforge in
              the user's cache folder]
              
              [env: ISOFORGE_CACHE_DIR]

      -j, --jobs <N>
              Blobs sent at once [default: the machine's cores]
              
              [env: ISOFORGE_JOBS]

          --plain-http <HOST>
              Talk to HOST without TLS; may be repeated

          --format <FORMAT>
              How the result is written to standard output

              Possible values:
              - text: For people
              - json: For programs
              
              [default: text]

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

    Examples:
      isoforge push dist/demo-1.0.0
      isoforge push demo-1.0.0-provider.oci.tar --to registry.example/edge/demo
      isoforge push layout --tag v1 --to localhost:5000/test:latest --dry-run
    ");
    assert_snapshot!(project.run(&["inspect", "--help"]).stdout, @r"
    Say what is in an ISO, a provider image or a build's output folder

    Usage: isoforge inspect [OPTIONS] <PATH>

    Arguments:
      <PATH>
              An ISO, an OCI layout or archive, or a build's output folder

    Options:
          --format <FORMAT>
              How the result is written to standard output

              Possible values:
              - text: For people
              - json: For programs
              
              [default: text]

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

    Example:
      isoforge inspect dist/demo-1.0.0/demo-1.0.0.iso --format json
    ");
}

#[test]
fn the_help_of_login_and_logout() {
    let project = Project::empty();
    let help = |verb: &str| {
        let text = project.run(&[verb, "-h"]).stdout;
        // What every command takes is in the other snapshots.
        let (own, rest) = text.split_once("      --progress").unwrap();
        format!("{own}…{}", &rest[rest.find("\n\n").unwrap()..])
    };
    assert_snapshot!(help("login"), @r"
    Check credentials with a registry and store them

    Usage: isoforge login [OPTIONS] <REGISTRY>

    Arguments:
      <REGISTRY>  The registry's host, with its port where it has one

    Options:
      -u, --username <USER>      User name; asked for where it is missing
          --password-stdin       Read the password or access token from standard
                                 input
    …

    The credentials go where podman, skopeo and Docker find them too: into the file
    REGISTRY_AUTH_FILE, else the first of these that exists:
      $XDG_RUNTIME_DIR/containers/auth.json
      $XDG_CONFIG_HOME/containers/auth.json
      $DOCKER_CONFIG/config.json
    else a new one: the last where DOCKER_CONFIG is set, else the first whose
    variable is set. A credential helper that the file names takes them in its
    place.

    Examples:
      isoforge login quay.io
      isoforge login registry.example:5000 -u robot --password-stdin < token
    ");
    assert_snapshot!(help("logout"), @r"
    Forget the credentials for a registry

    Usage: isoforge logout [OPTIONS] <REGISTRY>

    Arguments:
      <REGISTRY>  The registry's host, with its port where it has one

    Options:
    …

    Example:
      isoforge logout quay.io
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

    Usage: isoforge build <PROFILE>

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

    Usage: isoforge build --quiet <PROFILE>

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
