//! Lists of images that are published beside manifests: carried, and compared with what
//! was found.

use super::chart;
use super::setup::{add_web, has_helm, lock, pod, start};
use crate::support::program::Project;

/// The lock's text.
fn locked(project: &Project) -> String {
    std::fs::read_to_string(project.path("isoforge.lock")).unwrap()
}

#[test]
fn what_a_list_names_is_carried_and_either_side_is_told() {
    let (_registry, host, project) = start(&["both", "compiled", "other"]);
    project.write(
        "all.yaml",
        &format!("{}---\n{}", pod(&host, "both"), pod(&host, "other")),
    );
    let list =
        format!("# release 1\r\n\r\n{host}/both:1\r\n{host}/compiled:1  # by the operator\r\n");
    project.write("images.txt", &list);
    project.add_to_profile(
        "[csi]\nname = \"mine\"\nversion = \"1\"\nmanifests = [\"all.yaml\"]\nimage_lists = \
         [\"images.txt\"]\n",
    );
    let written = lock(&project, &[]);
    written.assert_exit(0);
    let said = &written.stderr;
    let after = |head: &str| said.split(head).nth(1).unwrap_or_default().to_owned();
    assert!(
        after("stand in its lists alone").contains("/compiled:1"),
        "{said}"
    );
    assert!(
        after("stand in none of its lists").contains("/other:1"),
        "{said}"
    );
    let text = locked(&project);
    for name in ["both", "compiled", "other"] {
        assert!(text.contains(&format!("{host}/{name}:1")), "{text}");
    }
    assert!(text.contains("\"image-list\""), "{text}");
    // Another list is another input.
    project.write("images.txt", &list.replace("compiled", "other"));
    lock(&project, &["--check"]).assert_exit(7);

    // The bundle knows what the list named.
    project.write("images.txt", &list);
    let build = ["bundle", "build", "profile.toml", "--as", "dir"];
    project.run(&build).assert_exit(0);
    let check = ["content", "check", "dist/tiny-1.0.0", "--strict"];
    project.run(&check).assert_exit(0);
    let listed = [check.as_slice(), &["--image-list", "images.txt"]].concat();
    let checked = project.run(&listed);
    checked.assert_exit(0);
    assert!(
        checked.stdout.contains("not in the list: "),
        "{}",
        checked.stdout
    );
    project.write("images.txt", &format!("{host}/absent:1\n"));
    let checked = project.run(&listed);
    checked.assert_exit(5);
    assert!(
        checked.stdout.contains(&format!(
            "missing: {host}/absent:1\n  list       images.txt:1\n"
        )),
        "{}",
        checked.stdout
    );
}

#[test]
fn a_list_vouches_for_a_chart_that_nobody_rendered() {
    if has_helm() {
        return;
    }
    let (_registry, host, project) = start(&["web"]);
    let values = "image: {repository: registry.invalid/a/guess, tag: 1}\n";
    project.write("images.txt", &format!("{host}/web:1\n"));
    add_web(
        &project,
        &chart("web", "1.2.3", values),
        "image_lists = [\"images.txt\"]\n",
    );
    let written = lock(&project, &[]);
    written.assert_exit(0);
    assert!(
        written.stderr.contains("registry.invalid/a/guess:1"),
        "{}",
        written.stderr
    );
    let text = locked(&project);
    assert!(
        text.contains("method = \"list\"") && !text.contains("registry.invalid"),
        "{text}"
    );
}

#[test]
fn lists_of_the_content_section_speak_of_all_in_it() {
    let (_registry, host, project) = start(&["both", "compiled"]);
    project.write("pod.yaml", &pod(&host, "both"));
    project.write("images.txt", &format!("{host}/both:1\n{host}/compiled:1\n"));
    project
        .add_to_profile("[content]\nmanifests = [\"pod.yaml\"]\nimage_lists = [\"images.txt\"]\n");
    let written = lock(&project, &[]);
    written.assert_exit(0);
    let said = &written.stderr;
    let only = said
        .split("images of content stand in its lists alone")
        .nth(1);
    let only = only.unwrap_or_default();
    assert!(
        only.contains("/compiled:1") && !only.contains("/both:1"),
        "{said}"
    );
    assert!(locked(&project).contains(&format!("{host}/compiled:1")));
}

#[test]
fn find_compares_with_a_list_and_a_bad_one_is_an_error() {
    let project = Project::empty();
    project.write("a.yaml", &pod("quay.io/x", "a"));
    project.write("images.txt", "quay.io/x/b:1\n");
    let find = ["content", "find", "a.yaml", "--image-list", "images.txt"];
    let found = project.run(&find);
    found.assert_exit(0);
    assert_eq!(
        found.stdout,
        "quay.io/x/a:1\n  manifests  a.yaml:3  Pod a  spec.containers[0].image\nquay.io/x/b:1\n  \
         list       images.txt:1\nonly in the list: quay.io/x/b:1\nnot in the list: quay.io/x/a:1\n"
    );
    let json = project
        .run(&[find.as_slice(), &["--format", "json"]].concat())
        .json();
    assert_eq!(json["only_listed"][0], "quay.io/x/b:1");
    assert_eq!(json["unlisted"][0], "quay.io/x/a:1");
    project.write("images.txt", "- quay.io/x/b:1\n");
    let refused = project.run(&find);
    refused.assert_exit(2);
    assert!(
        refused.stderr.contains("images.txt:1:1"),
        "{}",
        refused.stderr
    );
}
