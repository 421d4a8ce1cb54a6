use crate::find::kustomize::Kustomize;
use crate::find::{Images, Options, Target};

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn pod(image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {{containers: [{{name: c, image: \
         {image}}}]}}\n"
    )
}

fn found(folder: &tempfile::TempDir, kustomize: Option<Kustomize>) -> Images {
    let options = Options {
        kustomize,
        ..Options::default()
    };
    Target::open(folder.path())
        .unwrap()
        .images(&options)
        .unwrap()
}

/// The program that tests may run; without one the test is skipped.
fn kustomize() -> Option<Kustomize> {
    let found = Kustomize::installed();
    if found.is_none() {
        isoforge_judges::skip(
            "neither kustomize nor kubectl is installed (go install \
             sigs.k8s.io/kustomize/kustomize/v5@latest)",
        );
    }
    found
}

#[test]
fn what_kustomize_makes_is_searched_and_what_it_is_made_of_is_not() {
    let Some(program) = kustomize() else { return };
    let folder = folder(&[
        ("base/kustomization.yaml", "resources: [pod.yaml]\n"),
        ("base/pod.yaml", &pod("controller:latest")),
        (
            "prod/kustomization.yaml",
            "resources: [../base]\ncomponents: [../extra]\nimages: [{name: controller, newName: \
             quay.io/x/controller, newTag: v2}]\nconfigMapGenerator: [{name: m, files: \
             [engine.image=text.txt]}]\npatches: [{path: patch.yaml}]\n",
        ),
        (
            "prod/patch.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: d, image: \
             quay.io/x/beside:v1}]}\n",
        ),
        ("prod/text.txt", "quay.io/x/engine:v3"),
        (
            "extra/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [more.yaml]\n",
        ),
        (
            "extra/more.yaml",
            &pod("quay.io/x/more:v1").replace("name: a", "name: more"),
        ),
        ("alone.yaml", &pod("quay.io/x/alone:v1")),
    ]);
    let built = found(&folder, Some(program));
    let names: Vec<&String> = built.images.keys().collect();
    assert_eq!(
        names,
        [
            "quay.io/x/alone:v1",
            "quay.io/x/beside:v1",
            "quay.io/x/controller:v2",
            "quay.io/x/engine:v3",
            "quay.io/x/more:v1"
        ],
        "{built}"
    );
    assert!(built.is_proven(), "{built}");
    let unbuilt = found(&folder, None);
    assert!(
        unbuilt
            .images
            .contains_key("docker.io/library/controller:latest")
    );
    assert!(!unbuilt.is_proven());
}

#[test]
fn what_leads_elsewhere_or_runs_programs_is_not_built() {
    // It would say so where it was run.
    let program = || Some(Kustomize::at(std::path::Path::new("/bin/false")));
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("kustomization.yaml"), "namePrefix: x\n").unwrap();
    let absolute = format!("resources: [{}]", outside.path().display());
    for (text, why) in [
        (
            "resources: [../base]",
            "it names '../base', which is not in the folder that was searched",
        ),
        (
            &format!("resources: [{absolute}]"),
            "which is not in the folder",
        ),
        (
            "resources: ['https://x.example/a.yaml']",
            "which is not in the folder",
        ),
        (
            "resources: ['github.com/x/y?ref=v1']",
            "which is not in the folder",
        ),
        (
            "crds: ['https://127.0.0.1/a.yaml']",
            "which is not in the folder",
        ),
        (
            "patches: [{path: ../../etc/passwd}]",
            "which is not in the folder",
        ),
        ("openapi: {path: /etc/passwd}", "which is not in the folder"),
        (
            "secretGenerator: [{name: s, envs: [/etc/passwd]}]",
            "which is not in the folder",
        ),
        (
            "configMapGenerator: [{name: s, files: [a=../x]}]",
            "which is not in the folder",
        ),
        (
            "helmCharts: [{name: x}]",
            "'helmCharts' may run programs or fetch, and is not built",
        ),
        ("generators: [a.yaml]", "'generators' may run programs"),
        ("transformers: [a.yaml]", "'transformers' may run programs"),
        ("a: 1\n---\nb: 2", "it is not one document of YAML"),
        ("namePrefix: x", "'/bin/false' failed: exit status: 1"),
    ] {
        let folder = folder(&[
            ("kustomization.yaml", text),
            ("a.yaml", &pod("quay.io/x/a:v1")),
        ]);
        let found = found(&folder, program());
        let said: Vec<&str> = found.unproven.iter().map(|one| one.why.as_str()).collect();
        assert_eq!(said.len(), 1, "{text}: {found}");
        assert!(said[0].contains(why), "{text}: {said:?}");
        // Its files are still searched.
        assert_eq!(found.images.len(), 1, "{text}: {found}");
    }
}

#[test]
fn what_kustomize_refuses_is_told_in_its_words() {
    let Some(program) = kustomize() else { return };
    let folder = folder(&[
        (
            "kustomization.yaml",
            "resources: [a.yaml]\npatches: [{path: b.yaml}]\n",
        ),
        ("a.yaml", &pod("quay.io/x/a:v1")),
        (
            "b.yaml",
            &pod("quay.io/x/b:v1").replace("name: a", "name: other"),
        ),
    ]);
    let found = found(&folder, Some(program));
    assert!(!found.is_proven());
    let why = &found.unproven.first().unwrap().why;
    assert!(why.contains("no matches for Id Pod"), "{why}");
}

#[test]
fn a_program_that_prints_too_much_is_ended() {
    let folder = folder(&[("kustomization.yaml", "namePrefix: x\n")]);
    let script = folder.path().join("endless");
    std::fs::write(
        &script,
        "#!/bin/sh\nexec /usr/bin/head -c 400000000 /dev/zero\n",
    )
    .unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    let found = found(&folder, Some(Kustomize::at(&script)));
    let why = &found.unproven.first().unwrap().why;
    assert!(why.contains("reading what"), "{why}");
}
