//! Charts rendered by a real Helm, where `ISOFORGE_TEST_HELM` names its program; one
//! that lies elsewhere than in the system's folders is given to the commands.

use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use isoforge_content::find::{Options, Target};
use isoforge_content::macros::Answers;
use isoforge_content::tarball;
use isoforge_judges::{named_by, skip};
use isoforge_oci::media::Family;
use isoforge_oci::reference::Reference;
use serde_json::{Value, json};

use super::setup::{add_web, has_helm, start};
use crate::support::bootable;
use crate::support::layers::index;
use crate::support::program::{Outcome, Project};
use crate::support::registry::FakeRegistry;

/// The Helm that tests may run; without one the test is skipped.
fn helm() -> Option<String> {
    let found = named_by("ISOFORGE_TEST_HELM", "program of Helm")?;
    Some(found.display().to_string())
}

/// A pack of the public collection.
fn public(name: &str) -> Option<PathBuf> {
    let folder = named_by("ISOFORGE_TEST_PACKS", "folder of packs")?;
    Some(folder.join(name))
}

const BUNDLE: &str = "dist/tiny-1.0.0";

fn bundle(project: &Project) {
    let build = ["bundle", "build", "profile.toml", "--as", "dir"];
    let built = project.run(&[build.as_slice(), &["--accept-scan"]].concat());
    built.assert_exit(0);
}

fn check(project: &Project, arguments: &[&str]) -> Outcome {
    let check = ["content", "check", BUNDLE];
    project.run(&[check.as_slice(), arguments].concat())
}

/// A chart of which one image stands in the values, another in the template alone,
/// and a third in a template that is switched off.
fn chart(host: &str) -> Vec<u8> {
    let values = format!("image: {{repository: {host}/web, tag: 1}}\ndebug: false\n");
    let template = format!(
        "kind: Deployment\nmetadata: {{name: {{{{ .Release.Name }}}}}}\nspec:\n  template:\n    spec:\n\
         \x20     initContainers: [{{image: \"{host}/hidden:1\"}}]\n\
         \x20     containers: [{{image: \"{{{{ .Values.image.repository }}}}:{{{{ .Values.image.tag }}}}\"}}]\n\
         {{{{ if .Values.debug }}}}---\nkind: Pod\nspec: {{containers: [{{image: \"{host}/other:1\"}}]}}\n\
         {{{{ end }}}}"
    );
    let files = [
        (
            "web/Chart.yaml",
            "apiVersion: v2\nname: web\nversion: 1.2.3\n",
        ),
        ("web/values.yaml", &values),
        ("web/templates/web.yaml", &template),
    ];
    tarball::gzip(files.map(|(path, text)| (path, text.as_bytes()))).unwrap()
}

#[test]
fn what_a_chart_names_in_its_templates_alone_is_found() {
    let Some(helm) = helm() else { return };
    let with_helm = ["--helm", helm.as_str()];
    let (_registry, host, project) = start(&["web", "hidden", "other"]);
    let listed = format!("images = [\"{host}/web:1\"]\n");
    add_web(&project, &chart(&host), &listed);
    let find = [["content", "find", "web.tgz"].as_slice(), &with_helm].concat();
    let found = project.run(&find);
    project.write("debug.yaml", "debug: true\n");
    let debug = project.run(&[find.as_slice(), &["--values", "debug.yaml"]].concat());
    assert!(debug.stdout.contains("/other:1"), "{}", debug.stdout);
    assert_snapshot!(found.all(), @r"
    exit 0
    --- stdout
    127.0.0.1:[PORT]/hidden:1
      helm       web.tgz: web/templates/web.yaml  Deployment web  spec.template.spec.initContainers[0].image
    127.0.0.1:[PORT]/web:1
      helm       web.tgz: web/templates/web.yaml  Deployment web  spec.template.spec.containers[0].image
    --- stderr
    Searching web.tgz
    ");

    if has_helm() {
        return;
    }
    bundle(&project);
    let guessed = check(&project, &["--no-helm"]);
    guessed.assert_exit(0);
    let missing = check(&project, &with_helm);
    missing.assert_exit(5);
    assert_snapshot!([guessed.stdout, missing.all()].join("\n"), @r"
    not proven: isoforge.internal/charts/web:1.2.3: it was not rendered by Helm, only its values were looked at
    dist/tiny-1.0.0: not proven to be complete, 0 images named

    exit 5
    --- stdout
    missing: 127.0.0.1:[PORT]/hidden:1
      helm       isoforge.internal/charts/web:1.2.3: web/templates/web.yaml  Deployment web  spec.template.spec.initContainers[0].image
    dist/tiny-1.0.0: not complete, 1 missing, 2 images named
    --- stderr
    Checking dist/tiny-1.0.0
    error: 'dist/tiny-1.0.0' is not complete: 127.0.0.1:[PORT]/hidden:1 is missing
    hint: build the bundle from a profile that has the pack, chart or manifest, or name the image with --image
    ");

    std::fs::remove_dir_all(project.path(BUNDLE)).unwrap();
    let both = format!("images = [\"{host}/web:1\", \"{host}/hidden:1\"]\n");
    project.change_profile(&listed, &both);
    bundle(&project);
    let complete = check(&project, &[with_helm.as_slice(), &["--strict"]].concat());
    complete.assert_exit(0);
    assert_snapshot!(complete.stdout, @"dist/tiny-1.0.0: complete, 2 images named");
}

#[test]
fn a_chart_that_helm_refuses_is_told_with_the_reason() {
    let Some(helm) = helm() else { return };
    let project = Project::empty();
    let files = [
        (
            "web/Chart.yaml",
            "apiVersion: v2\nname: web\nversion: 1.2.3\n",
        ),
        (
            "web/templates/web.yaml",
            "{{ fail \"\\nVALUES VALIDATION:\\n  web: a password is wanted\\n  see the manual\" }}\n",
        ),
    ];
    let archive = tarball::gzip(files.map(|(path, text)| (path, text.as_bytes())));
    std::fs::write(project.path("web.tgz"), archive.unwrap()).unwrap();
    let found = project.run(&["content", "find", "web.tgz", "--helm", &helm]);
    assert_snapshot!(found.all(), @r"
    exit 0
    --- stdout
    not proven: web.tgz: Helm can't render it: execution error at (web/templates/web.yaml:1:3): VALUES VALIDATION: web: a password is wanted
    --- stderr
    Searching web.tgz
    ");
}

/// Runs the program where this Helm is installed: in a mount namespace of its own, in
/// which the Helm's folder is `/usr/local/bin`. Skipped where nobody may do that.
fn run_with_installed(project: &Project, helm: &str, arguments: &[&str]) -> Option<Outcome> {
    let script = "mount --bind \"$0\" /usr/local/bin || exit 99; exec \"$@\"";
    let mut command = std::process::Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script])
        .arg(Path::new(helm).parent().unwrap())
        .arg(env!("CARGO_BIN_EXE_isoforge"))
        .args(arguments);
    project.prepare(&mut command);
    let outcome = Outcome::of(command.output().unwrap());
    if outcome.code == Some(99) || outcome.stderr.starts_with("unshare: ") {
        skip(format_args!(
            "Helm can't be installed here: {}",
            outcome.stderr
        ));
        return None;
    }
    Some(outcome)
}

#[test]
fn what_helm_found_for_the_lock_is_built_without_it() {
    let Some(helm) = helm() else { return };
    if has_helm() {
        return;
    }
    let (_registry, host, project) = start(&["web", "hidden", "other"]);
    add_web(&project, &chart(&host), "values = { debug = true }\n");
    let Some(locked) = run_with_installed(&project, &helm, &["lock", "profile.toml"]) else {
        return;
    };
    locked.assert_exit(0);
    let lock = std::fs::read_to_string(project.path("isoforge.lock")).unwrap();
    let component = lock.split("\n\n").find(|part| part.contains("\"addon\""));
    assert_snapshot!(component.unwrap(), @r#"
    [[component]]
    kind = "addon"
    name = "web"
    version = "1.2.3"
    method = "helm"
    searched = "sha256:[DIGEST]"
    images = [
        "127.0.0.1:[PORT]/hidden:1",
        "127.0.0.1:[PORT]/other:1",
        "127.0.0.1:[PORT]/web:1",
    ]
    "#);
    let index = |folder: &str| {
        let path = project.path(folder).join("tiny-1.0.0/index.json");
        std::fs::read(path).unwrap()
    };
    let build = |folder| {
        let build = ["bundle", "build", "profile.toml", "--locked", "--as", "dir"];
        [build.as_slice(), &["--output", folder]].concat()
    };
    project.run(&build("without")).assert_exit(0);
    let with = run_with_installed(&project, &helm, &build("with"));
    with.unwrap().assert_exit(0);
    assert_eq!(index("without"), index("with"));
}

/// The images that a pack declares, each one small image in a registry that stands
/// for the real ones.
fn declared(pack: &Path) -> (FakeRegistry, Vec<String>, Vec<Reference>) {
    let options = Options {
        answers: Answers::for_kubernetes("1.32.3"),
        ..Options::default()
    };
    let found = Target::open(pack).unwrap().images(&options).unwrap();
    let registry = FakeRegistry::start();
    let image = bootable::image("amd64", "file a 0644 'a'");
    let index = index(Family::Oci, &[&image]);
    let references: Vec<Reference> = found
        .images
        .keys()
        .map(|name| name.parse().unwrap())
        .collect();
    for reference in &references {
        let repository = reference.repository();
        registry.put_image(repository, "amd64", &image);
        registry.put_manifest(repository, reference.tag().unwrap(), &index);
    }
    let mut hosts: Vec<String> = references
        .iter()
        .map(|one| one.registry().to_owned())
        .collect();
    hosts.sort();
    hosts.dedup();
    (registry, hosts, references)
}

/// A profile with a pack of the public collection; its list of images is taken.
fn with_public_pack(name: &str, section: &str) -> Option<(FakeRegistry, Project, usize)> {
    let pack = public(name)?;
    let (registry, hosts, images) = declared(&pack);
    let project = Project::bootable();
    for host in hosts {
        project.add_to_profile(&format!(
            "[registries.\"{host}\"]\nmirror = \"{}\"\n",
            registry.host()
        ));
    }
    project.add_to_profile(&format!("{section}pack = \"{}\"\n", pack.display()));
    bundle(&project);
    Some((registry, project, images.len()))
}

#[test]
fn a_public_pack_is_proven_complete_by_what_helm_renders() {
    let Some(helm) = helm() else { return };
    let section = "[csi]\nname = \"piraeus\"\nversion = \"2.8.1\"\n";
    let Some((_registry, project, count)) = with_public_pack("piraeus-operator-2.8.1", section)
    else {
        return;
    };
    assert_eq!(count, 26);
    let checked = check(&project, &["--helm", &helm, "--strict", "--format", "json"]);
    let report = checked.json();
    assert_eq!(
        (&report["complete"], &report["proven"], &report["missing"]),
        (&json!(true), &json!(true), &json!([])),
        "{report:#}"
    );
    assert_eq!(report["images"], count);
    checked.assert_exit(0);
}

#[test]
fn a_public_pack_whose_list_lacks_images_is_found_out() {
    let Some(helm) = helm() else { return };
    if has_helm() {
        return;
    }
    let section = "[csi]\nname = \"kubevirt\"\nversion = \"1.0.2\"\n";
    let Some((_registry, project, _)) = with_public_pack("kubevirt-csi-driver-1.0.2", section)
    else {
        return;
    };
    let checked = check(&project, &["--helm", &helm, "--format", "json"]);
    checked.assert_exit(5);
    let missing = checked.json()["missing"].clone();
    let missing: Vec<&Value> = missing
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["image"])
        .collect();
    assert_eq!(
        missing,
        [
            "registry.k8s.io/pause:3.9",
            "registry.k8s.io/sig-storage/livenessprobe:v2.14.0"
        ]
    );
}
