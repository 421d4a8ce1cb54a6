//! The help of each verb, as people read it.

use insta::assert_snapshot;

use crate::support::program::Project;

#[test]
fn the_help_of_the_verbs() {
    let project = Project::empty();
    let help = |verb: &str| project.run(&["bundle", verb, "--help"]).stdout;
    assert_snapshot!(help("build"), @r"
    Put the content of a profile, or images by reference, into a bundle

    Usage: isoforge bundle build [OPTIONS] [PROFILE]

    Arguments:
      [PROFILE]
              The infrastructure profile (TOML) whose content goes in

    Options:
          --set <KEY=VALUE>
              Set a key of the profile, e.g. appliance.version=1.2.0; may be
              repeated

          --image <REF>
              An image that goes in; may be repeated

          --platform <OS/ARCH>
              A platform of the images; may be repeated [default: the profile's,
              without a profile all]

          --provider <FILE>
              A provider image's archive, from build; may be repeated

          --name <NAME>
              The bundle's name [default: the appliance's]

          --version <VERSION>
              The bundle's version [default: the appliance's]

          --since <OLD>
              Write a delta: only what this bundle lacks

      -o, --output <DIR>
              Folder that the bundle is written to [default: dist]
              
              [env: ISOFORGE_OUTPUT]

          --as <FORM>
              What the bundle is written as

              Possible values:
              - archive: One file, NAME-VERSION.tar.zst, and its checksum
              - dir:     A folder, NAME-VERSION
              
              [default: archive]

          --split[=<SIZE>]
              Split the archive in files of at most SIZE; 4000MiB where no SIZE is
              given, and on a FAT file system

          --force
              Replace an archive of the same name

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
              Take along signatures, attestations and SBOMs of the images

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

    Examples:
      isoforge bundle build profiles/demo.toml --locked
      isoforge bundle build --name tools --version 3 --image quay.io/a/b:1 \
        --platform linux/amd64
      isoforge bundle build profiles/demo.toml --since demo-1.0.0.tar.zst
      isoforge bundle build profiles/demo.toml \
        --provider dist/demo-1.1.0/demo-1.1.0-provider.oci.tar
    ");
    assert_snapshot!(help("apply"), @r"
    Make a whole bundle of a delta and its base

    Usage: isoforge bundle apply [OPTIONS] <BASE> <DELTA>

    Arguments:
      <BASE>
              The bundle that the delta was made for

      <DELTA>
              The delta

    Options:
      -o, --output <DIR>
              Folder that the bundle is written to [default: dist]
              
              [env: ISOFORGE_OUTPUT]

          --as <FORM>
              What the bundle is written as

              Possible values:
              - archive: One file, NAME-VERSION.tar.zst, and its checksum
              - dir:     A folder, NAME-VERSION
              
              [default: archive]

          --split[=<SIZE>]
              Split the archive in files of at most SIZE; 4000MiB where no SIZE is
              given, and on a FAT file system

          --force
              Replace an archive of the same name

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
      isoforge bundle apply demo-1.0.0.tar.zst demo-1.1.0.tar.zst -o whole
    ");
    assert_snapshot!(help("inspect"), @r"
    Say what is in a bundle

    Usage: isoforge bundle inspect [OPTIONS] <BUNDLE>

    Arguments:
      <BUNDLE>
              A bundle: a folder, an archive, a part of a split one or the folder
              with its parts, or an installer ISO

    Options:
          --base <BUNDLE>
              The base, where the bundle is a delta

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
      isoforge bundle inspect demo-1.0.0.tar.zst --format json
    ");
    assert_snapshot!(help("verify"), @r"
    Hash every blob of a bundle, and look for all that its manifests name

    Usage: isoforge bundle verify [OPTIONS] <BUNDLE>

    Arguments:
      <BUNDLE>
              A bundle: a folder, an archive, a part of a split one or the folder
              with its parts, or an installer ISO

    Options:
          --base <BUNDLE>
              The base, where the bundle is a delta

      -j, --jobs <N>
              Threads that read and hash [default: the machine's cores]
              
              [env: ISOFORGE_JOBS]

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
      isoforge bundle verify /media/usb/demo-1.0.0.tar.zst.001
    ");
    assert_snapshot!(help("diff"), @r"
    Say what one bundle has that another has not

    Usage: isoforge bundle diff [OPTIONS] <FROM> <TO>

    Arguments:
      <FROM>
              The first bundle

      <TO>
              The second bundle

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
      isoforge bundle diff demo-1.0.0.tar.zst demo-1.1.0.tar.zst
    ");
    assert_snapshot!(help("serve"), @r"
    Answer as a registry that can be read, on this machine alone

    Usage: isoforge bundle serve [OPTIONS] <BUNDLE>

    Arguments:
      <BUNDLE>
              A bundle: a folder, an archive, a part of a split one or the folder
              with its parts, or an installer ISO

    Options:
          --base <BUNDLE>
              The base, where the bundle is a delta

          --listen <ADDRESS>
              Address of this machine alone, and port; with port 0 the system
              chooses
              
              [default: 127.0.0.1:[PORT]]

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

    The address is written to standard output. Images are under HOST/REPOSITORY, as
    in
      skopeo copy --src-tls-verify=false \
        docker://127.0.0.1:[PORT]/docker.io/calico/node:v3.29.2 dir:node

    Example:
      isoforge bundle serve dist/demo-1.0.0/demo-1.0.0.iso --listen 127.0.0.1:[PORT]
    ");
}
