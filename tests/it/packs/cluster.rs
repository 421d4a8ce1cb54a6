//! Packs and the cluster: what the profile and other packs answer to macros, and
//! what is left to whoever makes the cluster; what packs need of each other, and how
//! many machines.

use insta::assert_snapshot;

use super::setup::{installer_config, lock, pod, start};
use crate::support::program::Project;

/// A pack `name` whose values and manifest are these.
fn write_pack(project: &Project, name: &str, values: &str, manifest: &str) {
    project.write(
        &format!("packs/{name}/pack.json"),
        &format!(
            "{{\"name\": \"{name}\", \"displayName\": \"x\", \"version\": \"1.0.0\", \
             \"layer\": \"addon\", \"kubeManifests\": [\"manifests/{name}.yaml\"]}}"
        ),
    );
    project.write(&format!("packs/{name}/values.yaml"), values);
    project.write(&format!("packs/{name}/manifests/{name}.yaml"), manifest);
    project.add_to_profile(&format!(
        "[[addons]]\nname = \"{name}\"\nversion = \"1.0.0\"\npack = \"packs/{name}\"\n"
    ));
}

/// Two packs of which `shop` names an image by what `base` and the profile say.
fn write_packs(project: &Project) {
    write_pack(
        project,
        "base",
        "registry: {host: \"{{ .spectro.var.mirror }}\", tls: true}\n",
        "kind: ConfigMap\nmetadata: {name: base}\n\
         data: {cluster: \"{{ .spectro.system.cluster.name }}\"}\n",
    );
    write_pack(
        project,
        "shop",
        "image: {name: needed}\n\
         manifests: {shop: {tls: \"{{ .spectro.pack.base.registry.tls }}\"}}\n",
        &pod("{{ .spectro.pack.base.registry.host }}", "needed")
            .replace("needed:1", "{{.spectro.pack.shop.image.name}}:1"),
    );
}

fn definition(project: &Project) -> String {
    let bundle = "dist/tiny-1.0.0";
    let index = std::fs::read(project.path(&format!("{bundle}/index.json"))).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let blob = |digest: &serde_json::Value| {
        let hex = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
        std::fs::read(project.path(&format!("{bundle}/blobs/sha256/{hex}"))).unwrap()
    };
    let manifests = index["manifests"].as_array().unwrap();
    let definition = manifests
        .iter()
        .find(|one| one["annotations"]["io.isoforge.bundle.kind"] == "definition")
        .unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&blob(&definition["digest"])).unwrap();
    String::from_utf8(blob(&manifest["layers"][0]["digest"])).unwrap()
}

const BUNDLE: [&str; 5] = ["bundle", "build", "profile.toml", "--as", "dir"];

#[test]
fn the_profile_and_other_packs_answer_macros() {
    let (_registry, host, project) = start(&["needed"]);
    write_packs(&project);
    // Without an answer nobody can name the image.
    let refused = lock(&project, &[]);
    refused.assert_exit(2);
    assert_snapshot!(refused.error(), @r"
    exit 2
    error: the images of addon shop 1.0.0 are not certain:
        packs/shop/manifests/shop.yaml:3  Pod needed  spec.containers[0].image: '{{ .spectro.pack.base.registry.host }}/needed:1': a macro stands in it without an answer: spectro.pack.base.registry.host
    hint: answer the macro under [cluster.macros], list the images in the pack or with 'images' in the profile, or take what was found with --accept-scan
    ");
    project.add_to_profile(&format!(
        "[cluster.macros]\nspectro.var.mirror = \"{host}\"\n"
    ));
    let built = project.run(&BUNDLE);
    built.assert_exit(0);
    assert!(
        built.stderr.contains(
            "left to be answered where the cluster is made: spectro.system.cluster.name\n"
        ),
        "{}",
        built.stderr
    );
    assert_snapshot!(definition(&project), @r#"
    schema: 1
    name: tiny
    version: "1.0.0"
    kubernetes:
      distribution: pxk-e
      version: "1.32.3"
    macros:
      spectro.pack.base.registry.host: 127.0.0.1:[PORT]
      spectro.pack.base.registry.tls: "true"
      spectro.pack.shop.image.name: needed
      spectro.var.mirror: 127.0.0.1:[PORT]
    unanswered:
    - spectro.system.cluster.name
    layers:
    - layer: addon
      name: base
      version: "1.0.0"
      manifests:
      - name: base
        content: |
          kind: ConfigMap
          metadata: {name: base}
          data: {cluster: "{{ .spectro.system.cluster.name }}"}
    - layer: addon
      name: shop
      version: "1.0.0"
      manifests:
      - name: shop
        content: |
          kind: Pod
          metadata: {name: needed}
          spec: {containers: [{image: "127.0.0.1:[PORT]/needed:1"}]}
    "#);
    // What was filled in is filled in alike by whoever checks the bundle.
    let checked = project.run(&["content", "check", "dist/tiny-1.0.0", "--strict"]);
    assert_snapshot!(checked.all(), @r"
    exit 0
    --- stdout
    dist/tiny-1.0.0: complete, 1 image named
    --- stderr
    Checking dist/tiny-1.0.0
    ");
}

#[test]
fn another_answer_is_another_list_of_images() {
    let (_registry, host, project) = start(&["needed", "other"]);
    write_packs(&project);
    project.add_to_profile(&format!(
        "[cluster.macros]\n\"spectro.var.mirror\" = \"{host}\"\n"
    ));
    lock(&project, &[]).assert_exit(0);
    // One that no pack asks for changes no list.
    project.change_profile(
        "[cluster.macros]\n",
        "[cluster.macros]\nspectro.var.a = 1\n",
    );
    let unmoved = lock(&project, &[]);
    unmoved.assert_exit(0);
    assert!(
        !unmoved.stderr.contains("list of images"),
        "{}",
        unmoved.stderr
    );
    project.change_profile(
        "[cluster.macros]\n",
        "[cluster.macros]\nspectro.pack.shop.image.name = \"other\"\n",
    );
    let moved = lock(&project, &["--check"]);
    moved.assert_exit(7);
    assert_snapshot!(moved.error(), @r"
    exit 7
    error: the lock file 'isoforge.lock' is out of date:
      profile.toml: sha256:[DIGEST] → sha256:[DIGEST]
      addon shop 1.0.0: list of images moved from 127.0.0.1:[PORT]/needed:1 to 127.0.0.1:[PORT]/other:1
      127.0.0.1:[PORT]/needed:1: gone, only in the lock
      127.0.0.1:[PORT]/other:1: new, not in the lock
    hint: where these changes are meant, run `isoforge lock` and commit the file
    ");
}

#[test]
fn find_fills_macros_that_are_given_and_those_of_other_packs() {
    let (_registry, host, project) = start(&[]);
    write_packs(&project);
    let find = ["content", "find", "packs/shop", "packs/base"];
    let answer = format!("spectro.var.mirror={host}");
    let found = project.run(&[find.as_slice(), &["--macro", &answer]].concat());
    assert_snapshot!(found.all(), @r"
    exit 0
    --- stdout
    127.0.0.1:[PORT]/needed:1
      manifests  packs/shop/manifests/shop.yaml:3  Pod needed  spec.containers[0].image
    --- stderr
    Searching packs/shop
    Searching packs/base
    ");
    let refused = project.run(&[find.as_slice(), &["--macro", ".spectro.var.mirror=x"]].concat());
    refused.assert_exit(2);
    assert_snapshot!(refused.error(), @r"
    exit 2
    error: invalid value '.spectro.var.mirror=x' for '--macro <PATH=TEXT>': '.spectro.var.mirror' is not the path of a macro; expected letters, digits, '_' and '-' with dots between them, such as spectro.var.site

    For more information, try '--help'.
    ");
}

#[test]
fn a_cluster_with_too_few_machines_ends_the_build() {
    let (_registry, host, project) = start(&["needed"]);
    write_pack(&project, "shop", "", &pod(&host, "needed"));
    project.write("packs/shop/isoforge.toml", "[requirements]\nnodes = 3\n");
    let build = |more: &[&str]| {
        let build = ["build", "profile.toml"];
        project.run(&[&build, more].concat())
    };
    let unknown = build(&[]);
    unknown.assert_exit(0);
    assert!(
        unknown.stderr.contains(
            "shop 1.0.0 needs 3 machines: say how many the cluster has with 'nodes' under [cluster]"
        ),
        "{}",
        unknown.stderr
    );
    assert_eq!(
        installer_config(&project).install.requirements.nodes,
        Some(3)
    );
    project.add_to_profile("[cluster]\nnodes = 2\n");
    let refused = build(&["--force"]);
    refused.assert_exit(0);
    assert!(
        refused.stderr.contains("needs 3 machines, and it has 2"),
        "{}",
        refused.stderr
    );
    let refused = build(&[]);
    refused.assert_exit(2);
    assert_snapshot!(refused.error(), @r"
    exit 2
    error: the cluster lacks what packs need:
        shop 1.0.0 needs 3 machines, and it has 2
    hint: add what is missing or take other versions, and say with 'nodes' under [cluster] how many machines there are; --force builds nonetheless
    ");
    project.change_profile("nodes = 2", "nodes = 3");
    let enough = build(&[]);
    enough.assert_exit(0);
    assert!(!enough.stderr.contains("machines"), "{}", enough.stderr);
    assert_eq!(installer_config(&project).install.requirements.nodes, None);
}

/// Gives a pack of [`write_pack`] these dependencies.
fn add_dependencies(project: &Project, name: &str, dependencies: &str) {
    let path = project.path(&format!("packs/{name}/pack.json"));
    let text = std::fs::read_to_string(&path).unwrap();
    let constraints = format!("\"constraints\": {{\"dependencies\": [{dependencies}]}}, \"layer\"");
    std::fs::write(path, text.replace("\"layer\"", &constraints)).unwrap();
}

#[test]
fn packs_that_miss_each_other_end_the_build() {
    let (_registry, host, project) = start(&["needed"]);
    write_pack(&project, "shop", "", &pod(&host, "needed"));
    add_dependencies(
        &project,
        "shop",
        r#"{"packName": "base", "layer": "addon", "minVersion": "2.0", "maxVersion": "", "type": "required"},
           {"packName": "kubernetes", "layer": "k8s", "minVersion": "1.20", "maxVersion": "1.31", "type": "optional"},
           {"packName": "other", "layer": "addon", "maxVersion": "1", "type": "optional"}"#,
    );
    let build = |more: &[&str]| project.run(&[&["build", "profile.toml"], more].concat());
    let refused = build(&[]);
    refused.assert_exit(2);
    assert_snapshot!(refused.error(), @r"
    exit 2
    error: the cluster lacks what packs need:
        shop 1.0.0 needs Kubernetes >= 1.20, <= 1.31, and 1.32.3 is there
        shop 1.0.0 needs the pack base >= 2.0, which is not there
    hint: add what is missing or take other versions, and say with 'nodes' under [cluster] how many machines there are; --force builds nonetheless
    ");
    assert_eq!(project.outputs(), [""; 0]);
    let bundle = project.run(&BUNDLE);
    bundle.assert_exit(0);
    assert!(
        bundle.stderr.contains("which is not there"),
        "{}",
        bundle.stderr
    );
    write_pack(&project, "base", "", "kind: ConfigMap\n");
    let older = build(&["--force"]);
    older.assert_exit(0);
    let warned = "shop 1.0.0 needs the pack base >= 2.0, and 1.0.0 is there";
    assert!(older.stderr.contains(warned), "{}", older.stderr);
}
