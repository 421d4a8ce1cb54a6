use std::path::Path;

use super::*;
use isoforge_base::error::Diagnose;

const SHA: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn full(text: &str) -> String {
    text.parse::<Reference>().unwrap().to_string()
}

#[test]
fn short_names_get_the_defaults_of_docker_hub() {
    assert_eq!(full("debian"), "docker.io/library/debian:latest");
    assert_eq!(full("debian:12"), "docker.io/library/debian:12");
    assert_eq!(full("calico/node:v3.29.2"), "docker.io/calico/node:v3.29.2");
    assert_eq!(
        full("index.docker.io/debian"),
        "docker.io/library/debian:latest"
    );
    assert_eq!(
        full("docker.io/library/debian:12"),
        "docker.io/library/debian:12"
    );
}

#[test]
fn hosts_ports_and_digests_are_kept() {
    assert_eq!(full("localhost/a"), "localhost/a:latest");
    assert_eq!(full("localhost:5000/a/b:1"), "localhost:5000/a/b:1");
    assert_eq!(full("127.0.0.1:5000/a"), "127.0.0.1:5000/a:latest");
    assert_eq!(full("[::1]:5000/a:x"), "[::1]:5000/a:x");
    assert_eq!(
        full("Quay.IO/kairos/ubuntu:22.04"),
        "quay.io/kairos/ubuntu:22.04"
    );
    assert_eq!(
        full(&format!("quay.io/a@{SHA}")),
        format!("quay.io/a@{SHA}")
    );
    let both: Reference = format!("quay.io/a:1@{SHA}").parse().unwrap();
    assert_eq!(both.tag(), Some("1"));
    assert_eq!(both.digest().unwrap().to_string(), SHA);
    assert_eq!(both.name(), "quay.io/a");
}

#[test]
fn a_host_in_upper_case_never_becomes_a_folder_of_docker_hub() {
    assert_eq!(full("SOdo/do/x"), "SOdo/do/x:latest");
    assert_eq!(full("LOCALHOST/a"), "localhost/a:latest");
    assert_eq!(full("Docker.io/debian"), "docker.io/library/debian:latest");
    assert_eq!(full("Index.Docker.IO/a/b"), "docker.io/a/b:latest");
}

#[test]
fn a_full_form_parses_to_itself() {
    for text in [
        "debian",
        "SOdo/do/x",
        "Quay.IO/a",
        "a.b/c__d/e-f.g:T_1",
        "localhost:1/x",
        &format!("q.io/a:1@{SHA}"),
    ] {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(
            reference.to_string().parse::<Reference>().unwrap(),
            reference
        );
    }
}

#[test]
fn wrong_references_say_what_is_wrong() {
    let said = [
        "",
        ":tag",
        "https://quay.io/a",
        "quay.io/Kairos/ubuntu",
        "quay.io/a..b",
        "quay.io/a//b",
        "quay.io/-a",
        "quay.io/a:",
        "quay.io/a:-x",
        "quay.io:99999/a",
        "quay.io/a@sha512:00",
        "-x.io/a",
        "[::zz]/a",
        "../etc/passwd",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ]
    .map(|text| text.parse::<Reference>().unwrap_err().to_string())
    .join("\n");
    insta::assert_snapshot!(said, @r"
    '' is not an image reference: the name is empty
    ':tag' is not an image reference: the name is empty
    'https://quay.io/a' is not an image reference: a reference has no 'https://' in front
    'quay.io/Kairos/ubuntu' is not an image reference: repository names are lower-case, 'Kairos' is not
    'quay.io/a..b' is not an image reference: 'a..b' is not a valid part of a repository name
    'quay.io/a//b' is not an image reference: '' is not a valid part of a repository name
    'quay.io/-a' is not an image reference: '-a' is not a valid part of a repository name
    'quay.io/a:' is not an image reference: '' is not a valid tag
    'quay.io/a:-x' is not an image reference: '-x' is not a valid tag
    'quay.io:99999/a' is not an image reference: 'quay.io:99999' is not a registry's host name with an optional port
    'quay.io/a@sha512:00' is not an image reference: 'sha512:00' is not a digest of the form sha256:<64 lower-case hex digits>
    '-x.io/a' is not an image reference: '-x.io' is not a registry's host name with an optional port
    '[::zz]/a' is not an image reference: '[::zz]' is not a registry's host name with an optional port
    '../etc/passwd' is not an image reference: '..' is not a registry's host name with an optional port
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' is not an image reference: 64 hex digits alone name no repository
    ");
    let long = format!("quay.io/{}", "a".repeat(MAX_NAME_BYTES));
    let error = long.parse::<Reference>().unwrap_err().to_string();
    assert!(error.contains("is longer than"), "{error}");
}

#[test]
fn credentials_in_a_reference_are_refused_and_not_repeated() {
    for text in ["user:hunter2@quay.io/a", "https://user:hunter2@quay.io/a"] {
        let error = text.parse::<ImageSource>().unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn local_sources_part_path_and_name_at_the_first_colon() {
    let parse = |text: &str| text.parse::<ImageSource>().unwrap();
    assert_eq!(
        parse("oci:images/os:v1"),
        ImageSource::OciDir {
            dir: "images/os".into(),
            tag: Some("v1".into())
        }
    );
    assert_eq!(
        parse("oci:/a/b"),
        ImageSource::OciDir {
            dir: "/a/b".into(),
            tag: None
        }
    );
    assert_eq!(
        parse("oci-archive:os.tar:docker.io/library/os:1"),
        ImageSource::OciArchive {
            file: "os.tar".into(),
            tag: Some("docker.io/library/os:1".into())
        }
    );
    assert_eq!(
        parse("docker-archive:os.tar"),
        ImageSource::DockerArchive {
            file: "os.tar".into(),
            name: None
        }
    );
    for text in ["oci:a:b", "oci-archive:x.tar", "docker-archive:x.tar:os:1"] {
        assert_eq!(parse(text).to_string(), text);
    }
    assert_eq!(
        parse("oci:os").resolve_from(Path::new("/p")),
        ImageSource::OciDir {
            dir: "/p/os".into(),
            tag: None
        }
    );
}

#[test]
fn transports_of_other_tools_are_explained() {
    let said = [
        "docker:quay.io/kairos/ubuntu:22.04",
        "docker://quay.io/kairos/ubuntu:22.04",
        "oci://quay.io/kairos/ubuntu:22.04",
        "dir:/tmp/rootfs",
        "docker-daemon:debian:12",
        "oci:",
        "docker-archive:",
    ]
    .map(|text| {
        let error = text.parse::<ImageSource>().unwrap_err();
        format!("{error}; hint: {}", error.hint().unwrap())
    })
    .join("\n");
    insta::assert_snapshot!(said, @r"
    'docker:quay.io/kairos/ubuntu:22.04' is not an image reference: an image in a registry is written without 'docker:'; hint: write quay.io/kairos/ubuntu:22.04
    'docker://quay.io/kairos/ubuntu:22.04' is not an image reference: an image in a registry is written without 'docker:'; hint: write quay.io/kairos/ubuntu:22.04
    'oci://quay.io/kairos/ubuntu:22.04' is not an image reference: an image in a registry is written without 'oci:'; hint: write quay.io/kairos/ubuntu:22.04
    'dir:/tmp/rootfs' is not an image reference: there is no source of the kind 'dir:'; hint: an image is a registry reference, oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE
    'docker-daemon:debian:12' is not an image reference: there is no source of the kind 'docker-daemon:'; hint: an image is a registry reference, oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE
    'oci:' is not an image reference: a path belongs after 'oci:'; hint: write oci:DIR or oci:DIR:TAG
    'docker-archive:' is not an image reference: a path belongs after 'docker-archive:'; hint: write docker-archive:FILE
    ");
}

#[test]
fn an_image_called_docker_is_an_image() {
    let source: ImageSource = "docker:27-dind".parse().unwrap();
    assert_eq!(source.to_string(), "docker.io/library/docker:27-dind");
}

#[test]
fn a_repository_with_its_registry_is_told_from_one_without() {
    for repository in [
        "quay.io/a",
        "localhost/a/b",
        "r:5000/a",
        "docker.io/library/a",
    ] {
        assert!(names_registry(repository), "{repository}");
    }
    for repository in ["a", "a.b", "edge/a", ""] {
        assert!(!names_registry(repository), "{repository}");
    }
}
