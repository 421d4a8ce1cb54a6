//! `login` and `logout`: with a real registry, and with skopeo reading what we
//! store and the other way round.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::docker_registry::{DockerRegistry, PASSWORD, USER};
use crate::support::layers::{Image, write_layout};
use crate::support::program::{Outcome, Project};
use crate::support::registry::{Access, FakeRegistry};

/// Where a login goes where nothing is set and nothing exists.
const AUTH_FILE: &str = ".config/containers/auth.json";

fn login(project: &Project, host: &str, password: &str) -> Outcome {
    login_with(project, host, password, |_| {})
}

fn login_with(
    project: &Project,
    host: &str,
    password: &str,
    change: impl FnOnce(&mut Command),
) -> Outcome {
    std::fs::write(project.path("password"), format!("{password}\n")).unwrap();
    let mut command = project.command(&["login", host, "-u", USER, "--password-stdin"]);
    command.stdin(std::fs::File::open(project.path("password")).unwrap());
    change(&mut command);
    Outcome::of(command.output().unwrap())
}

fn file(project: &Project) -> PathBuf {
    project.home().join(AUTH_FILE)
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn skopeo(project: &Project, arguments: &[&str]) -> Outcome {
    let mut command = Command::new("skopeo");
    project.prepare(command.args(arguments));
    command.env("REGISTRY_AUTH_FILE", file(project));
    Outcome::of(command.output().expect(
        "skopeo can't be run; the Debian package skopeo has it ('cargo xtask setup' installs it)",
    ))
}

/// A registry with a password and the image `os:v1`.
fn registry(project: &Project) -> DockerRegistry {
    let folder = project.path("registry");
    std::fs::create_dir(&folder).unwrap();
    let registry = DockerRegistry::start(&folder, true);
    let image = Image::simple(&["file a 0644 'a'"]);
    write_layout(
        &folder.join("layout"),
        &[("v1", &image.manifest)],
        &[&image],
    );
    let from = format!("oci:{}:v1", folder.join("layout").display());
    let to = format!("docker://{}/os:v1", registry.host);
    let credentials = format!("{USER}:{PASSWORD}");
    let flags = ["copy", "-q", "--dest-tls-verify=false", "--dest-creds"];
    let arguments: Vec<&str> = flags
        .into_iter()
        .chain([&*credentials, &from, &to])
        .collect();
    skopeo(project, &arguments).assert_exit(0);
    registry
}

#[test]
fn skopeo_reads_what_login_stored_and_the_other_way_round() {
    let project = Project::empty();
    let registry = registry(&project);
    let image = format!("docker://{}/os:v1", registry.host);
    let inspect = ["inspect", "--tls-verify=false", &*image];
    assert_ne!(skopeo(&project, &inspect).code, Some(0));

    let wrong = login(&project, &registry.host, "hunter3");
    assert_snapshot!(wrong.error(), @r"
    exit 4
    error: 127.0.0.1:[PORT] does not accept this user name and password, the registry says UNAUTHORIZED: authentication required
    hint: some registries want an access token in place of the password
    ");
    assert!(!file(&project).exists(), "nothing is stored");

    let right = login(&project, &registry.host, PASSWORD);
    assert_snapshot!(right.all(), @r"
    exit 0
    --- stdout
    logged in to 127.0.0.1:[PORT]; the credentials are in [DIR]/home/.config/containers/auth.json
    --- stderr
    ");
    let mode = file(&project).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    skopeo(&project, &inspect).assert_exit(0);

    skopeo(&project, &["logout", &registry.host]).assert_exit(0);
    assert_snapshot!(project.run(&["logout", &registry.host]).all(), @r"
    exit 0
    --- stdout
    there are no credentials for 127.0.0.1:[PORT]
    --- stderr
    ");
    let arguments = [
        "login",
        "--tls-verify=false",
        "-u",
        USER,
        "-p",
        PASSWORD,
        &registry.host,
    ];
    skopeo(&project, &arguments).assert_exit(0);
    let puller = super::Puller::with(|config| config.credential_files = vec![file(&project)]);
    puller.pull(&format!("{}/os:v1", registry.host)).unwrap();

    assert_snapshot!(project.run(&["logout", &registry.host]).all(), @r"
    exit 0
    --- stdout
    the credentials for 127.0.0.1:[PORT] are out of [DIR]/home/.config/containers/auth.json
    --- stderr
    ");
    assert_ne!(skopeo(&project, &inspect).code, Some(0));
    assert_eq!(json_of(&file(&project)), json!({ "auths": {} }));
}

#[test]
fn what_else_a_file_holds_stays_and_the_first_file_that_is_there_is_used() {
    let project = Project::empty();
    let fake = FakeRegistry::start();
    fake.require(Access::Basic(format!("{USER}:{PASSWORD}")));
    let docker = project.home().join(".docker/config.json");
    std::fs::create_dir(docker.parent().unwrap()).unwrap();
    let before = json!({
        "auths": { "other.example": { "auth": "eDp5" } },
        "HttpHeaders": { "X": "y" },
        "credHelpers": { "gcr.io": "gcloud" },
    });
    std::fs::write(&docker, before.to_string()).unwrap();
    login(&project, &fake.host(), PASSWORD).assert_exit(0);
    let mut after = json_of(&docker);
    let entry = after["auths"].as_object_mut().unwrap().remove(&fake.host());
    assert!(entry.unwrap()["auth"].is_string());
    assert_eq!(after, before);
    assert!(!file(&project).exists());

    let named = project.path("named/auth.json");
    login_with(&project, &fake.host(), PASSWORD, |command| {
        command.env("REGISTRY_AUTH_FILE", &named);
    })
    .assert_exit(0);
    assert_eq!(json_of(&named)["auths"].as_object().unwrap().len(), 1);
    let mut logout = project.command(&["logout", &fake.host()]);
    let outcome = Outcome::of(logout.env("REGISTRY_AUTH_FILE", &named).output().unwrap());
    assert_snapshot!(outcome.all(), @r"
    exit 0
    --- stdout
    the credentials for 127.0.0.1:[PORT] are out of [DIR]/project/named/auth.json
    --- stderr
    warning: [DIR]/home/.docker/config.json has others for 127.0.0.1:[PORT]
    ");
    assert_eq!(json_of(&named), json!({ "auths": {} }));

    // A file that is none is not touched.
    std::fs::write(&docker, "hunter2").unwrap();
    assert_snapshot!(login(&project, &fake.host(), PASSWORD).error(), @r"
    exit 4
    error: the credentials for 127.0.0.1:[PORT] can't be had: [DIR]/home/.docker/config.json: not a docker configuration
    hint: check that file, and by hand that its credential helper works
    ");
    assert_eq!(std::fs::read(&docker).unwrap(), b"hunter2");
}

#[test]
fn a_token_service_decides_too() {
    let project = Project::empty();
    let fake = FakeRegistry::start();
    fake.require(Access::Token {
        service: None,
        login: Some(format!("{USER}:{PASSWORD}")),
        uses: 1,
    });
    assert_snapshot!(login(&project, &fake.host(), "wrong").error(), @r"
    exit 4
    error: 127.0.0.1:[PORT] does not accept this user name and password, the registry says UNAUTHORIZED: as told
    hint: some registries want an access token in place of the password
    ");
    assert!(!file(&project).exists());
    login(&project, &fake.host(), PASSWORD).assert_exit(0);
    let requests = fake.requests();
    let targets: Vec<&str> = requests.iter().map(|r| r.target.as_str()).collect();
    let token = "/token?account=reader&service=fake.example";
    assert_eq!(targets, ["/v2/", token, "/v2/", token, "/v2/"]);
    let open = FakeRegistry::start();
    assert_snapshot!(login(&project, &open.host(), PASSWORD).all(), @r"
    exit 0
    --- stdout
    logged in to 127.0.0.1:[PORT]; the credentials are in [DIR]/home/.config/containers/auth.json
    --- stderr
    warning: 127.0.0.1:[PORT] asks for no credentials, so nobody knows whether these are right
    ");
}

#[test]
fn a_credential_helper_keeps_them_where_one_is_set() {
    let project = Project::empty();
    let fake = FakeRegistry::start();
    fake.require(Access::Basic(format!("{USER}:{PASSWORD}")));
    let bin = project.path("bin");
    std::fs::create_dir(&bin).unwrap();
    // Keeps what it is given in files named by the server.
    let script = format!(
        "#!/bin/sh\ncd {}\ncase $1 in\n\
         store) cat >new; server=$(sed 's/.*\"ServerURL\":\"\\([^\"]*\\)\".*/\\1/' new); mv new \"$server\";;\n\
         get) read -r server; if [ -f \"$server\" ]; then cat \"$server\"; \
         else echo 'credentials not found in native keychain'; exit 1; fi;;\n\
         erase) read -r server; rm \"$server\";;\nesac\n",
        bin.display()
    );
    let helper = bin.join("docker-credential-test");
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let docker = project.home().join(".docker/config.json");
    std::fs::create_dir(docker.parent().unwrap()).unwrap();
    let logout = || {
        let mut command = project.command(&["logout", &fake.host()]);
        Outcome::of(command.env("PATH", &path).output().unwrap())
    };
    for config in [
        json!({ "credsStore": "test" }),
        json!({ "credHelpers": { fake.host(): "test" } }),
    ] {
        std::fs::write(&docker, config.to_string()).unwrap();
        let outcome = login_with(&project, &fake.host(), PASSWORD, |command| {
            command.env("PATH", &path);
        });
        outcome.assert_exit(0);
        assert!(
            outcome
                .stdout
                .contains("docker-credential-test has the credentials")
        );
        let kept = json_of(&bin.join(fake.host()));
        assert_eq!(kept["Secret"], PASSWORD);
        let stored = std::fs::read_to_string(&docker).unwrap();
        assert!(!stored.contains("\"auth\""), "{stored}");
        logout().assert_exit(0);
        assert!(!bin.join(fake.host()).exists());
        assert!(logout().stdout.contains("there are no credentials"));
    }
}

#[test]
fn a_password_is_never_on_the_command_line_and_needs_a_terminal_or_standard_input() {
    let project = Project::empty();
    let run = |arguments: &[&str]| project.run(arguments).error();
    assert_snapshot!(run(&["login", "quay.io"]), @r"
    exit 2
    error: there is no terminal to ask for the user name on
    hint: pass the user with --username and the password on standard input with --password-stdin
    ");
    assert_snapshot!(run(&["login", "quay.io", "-u", "me"]), @r"
    exit 2
    error: there is no terminal to ask for the password on
    hint: pass the user with --username and the password on standard input with --password-stdin
    ");
    assert_snapshot!(run(&["login", "quay.io", "--password-stdin"]), @r"
    exit 2
    error: --password-stdin needs the user name
    hint: add --username USER
    ");
    assert_snapshot!(run(&["login", "quay.io", "-u", "me", "--password-stdin"]), @r"
    exit 2
    error: the password is empty
    ");
    assert_snapshot!(run(&["login", "https://quay.io/org"]), @r"
    exit 2
    error: 'https://quay.io/org' is not a registry: a host name with an optional port, such as quay.io or localhost:5000
    ");
    assert_snapshot!(run(&["login", "quay.io", "-u", "me", "-p", "hunter2"]), @r"
    exit 2
    error: unexpected argument '-p' found

      tip: to pass '-p' as a value, use '-- -p'

    Usage: isoforge login [OPTIONS] <REGISTRY>

    For more information, try '--help'.
    ");
}

#[test]
fn a_terminal_is_asked_without_showing_the_password() {
    let project = Project::empty();
    let fake = FakeRegistry::start();
    fake.require(Access::Basic(format!("{USER}:{PASSWORD}")));
    // Gives the program a terminal of its own.
    let mut command = Command::new("script");
    let inner = format!("{} login {}", env!("CARGO_BIN_EXE_isoforge"), fake.host());
    project.prepare(command.args(["-qec", &inner, "/dev/null"]));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut said = String::new();
    let mut answer = |prompt: &str, text: &str| {
        use std::io::{Read as _, Write as _};
        // What is typed before the prompt would be shown by the terminal.
        while !said.contains(prompt) {
            let mut byte = [0];
            stdout.read_exact(&mut byte).unwrap();
            said.push(char::from(byte[0]));
        }
        stdin.write_all(text.as_bytes()).unwrap();
        said.clear();
    };
    answer("User name: ", &format!("{USER}\n"));
    answer("Password: ", &format!("{PASSWORD}\n"));
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stdout, &mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    assert!(!rest.contains(PASSWORD), "{rest}");
    assert!(rest.contains("logged in to"), "{rest}");
    assert!(file(&project).exists());
}
