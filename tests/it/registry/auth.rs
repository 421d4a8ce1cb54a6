//! Authentication, and where credentials never go.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use isoforge_base::error::{Class, Diagnose};
use isoforge_oci::registry::RegistryConfig;
use serde_json::json;

use super::{Puller, chain, without_port};
use crate::support::layers::Image;
use crate::support::registry::{Access, FakeRegistry, Fault};

const LOGIN: &str = "user:hunter2";

fn registry(access: Access) -> (FakeRegistry, String, Image) {
    let registry = FakeRegistry::start();
    let image = Image::simple(&["file a 0644 'a'", "file b 0644 'b'"]);
    registry.put_image("org/app", "1", &image);
    registry.require(access);
    let source = format!("{}/org/app:1", registry.host());
    (registry, source, image)
}

fn token(uses: usize) -> Access {
    Access::Token {
        service: None,
        login: None,
        uses,
    }
}

/// A puller whose docker configuration is `config`.
fn puller_with(config: &serde_json::Value) -> Puller {
    puller_with_settings(config, |_| {})
}

fn puller_with_settings(
    config: &serde_json::Value,
    change: impl FnOnce(&mut RegistryConfig),
) -> Puller {
    Puller::in_folder(|folder, settings| {
        let file = folder.join("config.json");
        std::fs::write(&file, config.to_string()).unwrap();
        settings.credential_files = vec![folder.join("missing.json"), file];
        change(settings);
    })
}

fn login(host: &str, login: &str) -> serde_json::Value {
    let auth = base64::engine::general_purpose::STANDARD.encode(login);
    json!({ "auths": { host: { "auth": auth } } })
}

#[test]
fn an_anonymous_token_is_fetched_once_for_all_requests() {
    let (registry, source, _) = registry(token(usize::MAX));
    Puller::new().pull(&source).unwrap();
    let requests = registry.requests();
    let tokens: Vec<_> = requests
        .iter()
        .filter(|r| r.target.starts_with("/token"))
        .collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(
        tokens[0].target,
        "/token?service=fake.example&scope=repository%3Aorg%2Fapp%3Apull"
    );
    assert_eq!(tokens[0].authorization(), None);
    let with_token = requests.iter().filter(|r| r.authorization().is_some());
    assert_eq!(with_token.count(), 4, "manifest, configuration, two layers");
}

#[test]
fn a_token_that_ran_out_is_renewed() {
    let (registry, _, _) = registry(token(1));
    // One layer, so that no two requests are under way with the same token.
    registry.put_image("org/one", "1", &Image::simple(&["file a 0644 'a'"]));
    let source = format!("{}/org/one:1", registry.host());
    Puller::new().pull(&source).unwrap();
    assert_eq!(registry.count("/token"), 3);
}

#[test]
fn tokens_are_fetched_with_the_credentials_for_the_registry() {
    let access = Access::Token {
        service: None,
        login: Some(LOGIN.into()),
        uses: usize::MAX,
    };
    let (registry, source, _) = registry(access);
    puller_with(&login(&registry.host(), LOGIN))
        .pull(&source)
        .unwrap();
    for request in registry.requests() {
        let basic = request
            .authorization()
            .is_some_and(|sent| sent.starts_with("Basic"));
        assert_eq!(
            basic,
            request.target.starts_with("/token"),
            "{}",
            request.target
        );
    }
}

#[test]
fn an_identity_token_is_sent_in_the_body() {
    let access = Access::Token {
        service: None,
        login: Some(LOGIN.into()),
        uses: usize::MAX,
    };
    let (registry, source, _) = registry(access);
    registry.accept_identity("refresh-me");
    let config = json!({ "auths": { registry.host(): { "identitytoken": "refresh-me" } } });
    puller_with(&config).pull(&source).unwrap();
    let requests = registry.requests();
    let token = requests.iter().find(|r| r.target == "/token").unwrap();
    assert_eq!(token.method, "POST");
    assert!(
        token
            .body
            .starts_with("grant_type=refresh_token&client_id=isoforge&"),
        "{}",
        token.body
    );
    assert!(requests.iter().all(|r| !r.target.contains("refresh-me")));
}

#[test]
fn a_credential_helper_is_asked() {
    // Helpers are looked up in PATH, which can be set for a new process only.
    const MARK: &str = "ISOFORGE_TEST_WITH_HELPER";
    if std::env::var_os(MARK).is_some() {
        return pull_with_helpers();
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, script) in [
        (
            "good",
            r#"echo '{"ServerURL":"x","Username":"user","Secret":"hunter2"}'"#,
        ),
        (
            "empty",
            "echo 'credentials not found in native keychain'; exit 1",
        ),
        ("broken", "echo 'hunter2 is what I would say'; exit 1"),
        ("hanging", r#"echo asked >> "$0.asked"; sleep 1000"#),
    ] {
        let path = folder.path().join(format!("docker-credential-{name}"));
        std::fs::write(&path, format!("#!/bin/sh\ncat >/dev/null\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = std::env::var("PATH").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "registry::auth::a_credential_helper_is_asked",
            "--nocapture",
        ])
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .env(MARK, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{output:?}"
    );
}

fn pull_with_helpers() {
    let (registry, source, _) = registry(Access::Basic(LOGIN.into()));
    let helper = |name: &str| json!({ "credHelpers": { registry.host(): name } });
    puller_with(&helper("good")).pull(&source).unwrap();
    puller_with(&json!({ "auths": {}, "credsStore": "good" }))
        .pull(&source)
        .unwrap();
    let said = puller_with(&helper("empty")).fails(&source, Class::Network);
    assert!(said.contains("there are no credentials for it)"), "{said}");
    // What is broken is named where the registry wants credentials.
    for (name, problem) in BROKEN {
        let puller = puller_with_settings(&helper(name), |config| {
            config.helper_timeout = Duration::from_millis(250);
        });
        let error = puller.pull(&source).unwrap_err();
        let (said, hint) = (chain(&error), error.hint().unwrap());
        let file = puller.root().join("config.json");
        let expected = format!(
            "access denied (there are no credentials for it; {}: the credential helper docker-credential-{name} {problem})",
            file.display()
        );
        assert!(said.contains(&expected), "{said}");
        assert!(hint.contains("its credential helper works"), "{hint}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    pull_what_is_public();
}

const BROKEN: [(&str, &str); 3] = [
    ("broken", "failed"),
    ("hanging", "did not answer within 0.25 s"),
    ("missing", "is not installed"),
];

/// What is public needs no helper that works; and one that hangs is asked once.
fn pull_what_is_public() {
    for (name, _) in BROKEN {
        let (registry, source, _) = registry(token(usize::MAX));
        let other = Image::simple(&["file c 0644 'c'"]);
        registry.put_image("org/other", "1", &other);
        for key in ["credHelpers", "credsStore"] {
            let config = match key {
                "credsStore" => json!({ key: name }),
                _ => json!({ key: { registry.host(): name } }),
            };
            let puller = puller_with_settings(&config, |config| {
                config.helper_timeout = Duration::from_millis(250);
            });
            puller.pull(&source).unwrap();
            let before = asked_hanging();
            puller
                .pull(&format!("{}/org/other:1", registry.host()))
                .unwrap();
            assert_eq!(asked_hanging(), before, "{name}");
        }
    }
}

/// How often the helper that hangs was asked.
fn asked_hanging() -> usize {
    let path = std::env::var("PATH").unwrap();
    let folder = path.split(':').next().unwrap();
    let log = std::path::Path::new(folder).join("docker-credential-hanging.asked");
    std::fs::read_to_string(log)
        .unwrap_or_default()
        .lines()
        .count()
}

#[test]
fn a_broken_file_does_not_keep_from_what_is_public() {
    let broken = |folder: &std::path::Path, settings: &mut RegistryConfig| {
        let file = folder.join("config.json");
        std::fs::write(&file, "no json").unwrap();
        settings.credential_files = vec![file];
    };
    let (_public, source, _) = registry(token(usize::MAX));
    Puller::in_folder(broken).pull(&source).unwrap();
    let (_private, source, _) = registry(Access::Basic(LOGIN.into()));
    let said = Puller::in_folder(broken).fails(&source, Class::Network);
    assert!(
        said.contains("config.json: not a docker configuration)"),
        "{said}"
    );
}

#[test]
fn what_is_public_stays_so_for_whoever_has_wrong_credentials() {
    // The token service refuses the credentials, but has a token for everybody.
    let (registry, source, _) = registry(token(usize::MAX));
    registry.fault("/token", 1, Fault::Status(401, ""));
    puller_with(&login(&registry.host(), "user:old"))
        .pull(&source)
        .unwrap();
    let requests = registry.requests();
    let tokens: Vec<bool> = requests
        .iter()
        .filter(|request| request.target.starts_with("/token"))
        .map(|request| request.authorization().is_some())
        .collect();
    assert_eq!(tokens, [true, false]);
}

#[test]
fn basic_credentials_are_sent_where_they_are_asked_for() {
    let (registry, source, _) = registry(Access::Basic(LOGIN.into()));
    puller_with(&login(&registry.host(), LOGIN))
        .pull(&source)
        .unwrap();
    let requests = registry.requests();
    assert_eq!(requests[0].authorization(), None);
    assert!(
        requests[1..]
            .iter()
            .all(|request| request.authorization().is_some())
    );
}

#[test]
fn access_denied_says_so_and_never_the_secret() {
    let with_login = Access::Token {
        service: None,
        login: Some(LOGIN.into()),
        uses: 9,
    };
    let mut messages = Vec::new();
    for access in [Access::Basic(LOGIN.into()), with_login] {
        let (registry, source, _) = registry(access);
        for config in [json!({}), login(&registry.host(), "user:hunter3")] {
            let puller = puller_with(&config);
            let error = puller.pull(&source).unwrap_err();
            assert_eq!(error.class(), Class::Network);
            let said = format!("{}; hint: {}", chain(&error), error.hint().unwrap());
            messages.push(without_port(&said, &registry.host()));
            let all = format!("{error:?}{said}{:?}", puller.client);
            let encoded = base64::engine::general_purpose::STANDARD.encode("user:hunter3");
            assert!(!all.contains("hunter3") && !all.contains(&encoded), "{all}");
            assert!(puller.waits.lock().unwrap().is_empty(), "not tried again");
        }
    }
    insta::assert_snapshot!(messages.join("\n"), @r"
    127.0.0.1:PORT/org/app:1 can't be pulled: http://127.0.0.1:PORT/v2/org/app/manifests/1: access denied (there are no credentials for it), the registry says UNAUTHORIZED: as told; hint: log in with 'isoforge login 127.0.0.1:PORT', or check the image's name: some registries answer so for images that do not exist
    127.0.0.1:PORT/org/app:1 can't be pulled: http://127.0.0.1:PORT/v2/org/app/manifests/1: access denied (credentials were sent), the registry says UNAUTHORIZED: as told; hint: check that the account for 127.0.0.1:PORT may read the image
    127.0.0.1:PORT/org/app:1 can't be pulled: http://127.0.0.1:PORT/token: access denied (there are no credentials for it), the registry says UNAUTHORIZED: as told; hint: log in with 'isoforge login 127.0.0.1:PORT', or check the image's name: some registries answer so for images that do not exist
    127.0.0.1:PORT/org/app:1 can't be pulled: http://127.0.0.1:PORT/token: access denied (credentials were sent), the registry says UNAUTHORIZED: as told; hint: check that the account for 127.0.0.1:PORT may read the image
    ");
}

#[test]
fn credentials_do_not_follow_a_redirect() {
    for access in [Access::Basic(LOGIN.into()), token(usize::MAX)] {
        let (registry, source, image) = registry(access);
        let storage = FakeRegistry::start();
        storage.put_image("org/app", "1", &image);
        registry.fault("/blobs/", usize::MAX, Fault::Redirect(storage.url()));
        puller_with(&login(&registry.host(), LOGIN))
            .pull(&source)
            .unwrap();
        let requests = storage.requests();
        assert_eq!(requests.len(), 3);
        assert!(
            requests
                .iter()
                .all(|request| request.authorization().is_none())
        );
        let asked = registry.requests();
        assert!(
            asked
                .iter()
                .any(|r| r.target.contains("/blobs/") && r.authorization().is_some())
        );
    }
}

#[test]
fn whoever_a_redirect_leads_to_gets_no_credentials_by_a_challenge() {
    let (registry, source, _) = registry(Access::Basic(LOGIN.into()));
    let thief = FakeRegistry::start();
    thief.require(Access::Token {
        service: None,
        login: None,
        uses: 9,
    });
    registry.fault("/blobs/", usize::MAX, Fault::Redirect(thief.url()));
    let said = puller_with(&login(&registry.host(), LOGIN)).fails(&source, Class::Network);
    assert!(said.contains("access denied"), "{said}");
    assert!(
        thief
            .requests()
            .iter()
            .all(|request| request.authorization().is_none())
    );
    assert_eq!(thief.count("/token"), 0);
}

#[test]
fn signatures_in_redirects_are_not_shown() {
    let (registry, source, _) = registry(token(usize::MAX));
    let storage = FakeRegistry::start();
    registry.fault(
        "/blobs/",
        usize::MAX,
        Fault::Redirect(format!("{}/x?X-Amz-Signature=hunter2", storage.url())),
    );
    let error = Puller::new().pull(&source).unwrap_err();
    let said = format!("{} {error:?}", chain(&error));
    assert!(said.contains("/x") && !said.contains("hunter2"), "{said}");
}

#[test]
fn a_failing_token_service_is_tried_again() {
    let (registry, source, _) = registry(token(usize::MAX));
    registry.fault("/token", 2, Fault::Status(503, ""));
    let puller = Puller::new();
    puller.pull(&source).unwrap();
    assert_eq!(puller.waits.lock().unwrap().len(), 2);
}

#[test]
fn an_unusable_challenge_is_explained() {
    let service = Some("ftp://tokens.example/".to_owned());
    let (_registry, source, _) = registry(Access::Token {
        service,
        login: None,
        uses: 1,
    });
    let said = Puller::new().fails(&source, Class::Network);
    assert!(said.contains("its realm is no URL"), "{said}");
}

#[test]
fn a_mirror_is_asked_alone_and_with_its_own_credentials() {
    let (registry, _, image) = registry(Access::Basic(LOGIN.into()));
    registry.put_image("quay/kairos/ubuntu", "22.04", &image);
    let puller = puller_with_settings(&login(&registry.host(), LOGIN), |config| {
        let host = config.hosts.entry("quay.io".to_owned()).or_default();
        host.mirrors = Some(vec![format!("{}/quay", registry.host())]);
    });
    let pulled = puller.pull("quay.io/kairos/ubuntu:22.04").unwrap();
    assert_eq!(pulled.reference, "quay.io/kairos/ubuntu:22.04");
    assert_eq!(pulled.manifest.raw, image.manifest.bytes);
    let said = puller.fails("quay.io/kairos/ubuntu:24.04", Class::Network);
    assert!(
        said.contains(&format!(
            "http://{}/v2/quay/kairos/ubuntu/manifests/24.04",
            registry.host()
        )),
        "{said}"
    );
}
