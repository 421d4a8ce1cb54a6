//! The help of each verb, as people read it.

use insta::assert_snapshot;

use crate::support::program::Project;

#[test]
fn the_help_of_verbs_around_a_build() {
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
