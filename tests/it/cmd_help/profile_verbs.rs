//! The help of the verbs that bring a profile's inputs together.

use insta::assert_snapshot;

use crate::support::program::Project;

#[test]
fn the_help_of_verbs_that_work_on_a_profile() {
    let project = Project::empty();
    assert_snapshot!(project.run(&["lock", "--help"]).stdout, @r"
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

          --accept-scan
              Take the images that charts' values look like, where neither Helm nor
              a pack says which they need

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

          --appliance <[ARCH=]FILE>
              The program for the machine, for one architecture or for all; several
              with commas [default: appliance-ARCH beside isoforge]
              
              [env: ISOFORGE_APPLIANCE]

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
    assert_snapshot!(project.run(&["plan", "--help"]).stdout, @r"
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

          --appliance <[ARCH=]FILE>
              The program for the machine, for one architecture or for all; several
              with commas [default: appliance-ARCH beside isoforge]
              
              [env: ISOFORGE_APPLIANCE]

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
    assert_snapshot!(project.run(&["pull", "--help"]).stdout, @r"
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

          --appliance <[ARCH=]FILE>
              The program for the machine, for one architecture or for all; several
              with commas [default: appliance-ARCH beside isoforge]
              
              [env: ISOFORGE_APPLIANCE]

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
    assert_snapshot!(project.run(&["build", "--help"]).stdout, @r"
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

          --appliance <[ARCH=]FILE>
              The program for the machine, for one architecture or for all; several
              with commas [default: appliance-ARCH beside isoforge]
              
              [env: ISOFORGE_APPLIANCE]

          --with-referrers
              Take along signatures, attestations and SBOMs of content images

          --lock <FILE>
              Lock file [default: isoforge.lock beside the profile]
              
              [env: ISOFORGE_LOCK]

          --locked
              Refuse to go on where the lock would change

          --offline
              Open no connection: take all that the lock names from the store

          --accept-scan
              Take the images that charts' values look like, where neither Helm nor
              a pack says which they need

          --force
              Go on where an image can't boot or lacks what the profile asks

          --no-push
              Leave the provider image here, though the profile has provider.push

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
      isoforge build profiles/demo.toml
      isoforge build profiles/byo-os.toml --only provider --output out
      isoforge build profiles/minimal.toml --mirror quay.io=127.0.0.1:[PORT]
    ");
}
