use std::path::Path;

use insta::assert_snapshot;
use serde_json::json;

use super::*;
use crate::testing::{packed, write};
use isoforge_base::error::Diagnose as _;

const PACK_JSON: &str = r#"{
  "name": "web", "displayName": "Web", "version": "1.2.3", "layer": "addon",
  "charts": ["charts/web-1.2.3.tgz"], "kubeManifests": ["manifests/extra.yaml"]
}
"#;
const VALUES: &str = "# spectrocloud.com/enabled-presets: Ingress:no-ingress, Size:small\n\
pack:\n  namespace: web-system\n  releaseNameOverride: {web: shop}\n  content:\n    images:\n    \
- image: quay.io/x/web:v1\ncharts:\n  web:\n    replicas: 1\n    label: k{{ .spectro.system.kubernetes.version | substr 0 4 }}\n    \
old: {a: 1}\nmanifests:\n  extra: {on: true}\n";
const PRESETS: &str = "presets:\n- name: no-ingress\n  displayName: Off\n  group: Ingress\n  \
remove: []\n  add: |\n    charts: {web: {ingress: false}}\n- name: ingress\n  displayName: On\n  \
group: Ingress\n  remove: [charts.web.old]\n  add: |\n    charts: {web: {ingress: true}}\n    \
pack: {content: {images: [{image: 'quay.io/x/web:v1'}, {image: 'quay.io/x/proxy:v2'}]}}\n\
- name: small\n  displayName: Small\n  group: Size\n  add: ''\n";

fn chart_archive() -> Vec<u8> {
    packed(&[
        (
            "web/Chart.yaml",
            "apiVersion: v2\nname: web\nversion: 1.2.3\n",
        ),
        ("web/values.yaml", "replicas: 2\n"),
    ])
}

/// Writes the pack, with some files in place of its own.
fn pack_in(folder: &Path, others: &[(&str, &str)]) {
    write(folder, &[("charts/web-1.2.3.tgz", chart_archive())]);
    let files = [
        ("pack.json", PACK_JSON),
        ("values.yaml", VALUES),
        ("presets.yaml", PRESETS),
        ("logo.png", "png"),
        ("manifests/extra.yaml", "kind: ConfigMap\n"),
    ];
    write(folder, &files);
    write(folder, others);
}

fn pack() -> Pack {
    let dir = tempfile::tempdir().unwrap();
    pack_in(dir.path(), &[]);
    Pack::open(dir.path()).unwrap()
}

#[test]
fn values_are_composed_of_presets_and_the_users() {
    let pack = pack();
    let answers = Answers::for_kubernetes("1.32.3");
    let given = json!({"charts": {"web": {"replicas": 5, "gone": null}}});
    let composed = pack.compose(&[], &given, &answers).unwrap();
    assert_eq!(
        composed.chart_values("web"),
        json!({"replicas": 5, "label": "k1.32", "old": {"a": 1}, "ingress": false, "gone": null})
    );
    assert_eq!(composed.presets(), ["Ingress:no-ingress", "Size:small"]);
    assert_eq!(composed.namespace(), Some("web-system"));
    assert_eq!(composed.release_name("web"), "shop");
    assert_eq!(composed.manifest_values("extra"), json!({"on": true}));

    let asked = ["Ingress:ingress".to_owned(), "-small".to_owned()];
    let composed = pack.compose(&asked, &json!({}), &answers).unwrap();
    assert_eq!(composed.presets(), ["Ingress:ingress"]);
    assert_eq!(
        composed.chart_values("web"),
        json!({"replicas": 1, "label": "k1.32", "ingress": true})
    );
    assert_eq!(
        composed.declared(),
        ["quay.io/x/web:v1", "quay.io/x/proxy:v2"]
    );
    let composed = pack.compose(&[], &json!({}), &Answers::default()).unwrap();
    let label = composed.chart_values("web")["label"].clone();
    assert_eq!(
        label,
        "k{{ .spectro.system.kubernetes.version | substr 0 4 }}"
    );
}

#[test]
fn presets_that_are_not_there_or_exclude_each_other_are_errors() {
    let pack = pack();
    let compose = |asked: &[&str]| {
        let asked: Vec<String> = asked.iter().map(|name| (*name).to_owned()).collect();
        let composed = pack.compose(&asked, &json!({}), &Answers::default());
        composed.unwrap_err().to_string()
    };
    let errors = [
        compose(&["Ingress:other"]),
        compose(&["ingress", "Ingress:no-ingress"]),
    ];
    assert_snapshot!(errors.join("\n"), @r"
    the pack 'web' has no preset 'Ingress:other'; it has Ingress:no-ingress, Ingress:ingress, Size:small
    the presets 'Ingress:ingress' and 'Ingress:no-ingress' are of the same group: one can be on
    ");
}

#[test]
fn a_packs_archive_is_the_same_pack_and_deterministic() {
    let dir = tempfile::tempdir().unwrap();
    pack_in(dir.path(), &[]);
    let built = build(dir.path()).unwrap();
    assert_eq!(built.file_name(), "web-1.2.3.tar.gz");
    assert_eq!(built.warnings, []);
    assert_eq!(built.archive, build(dir.path()).unwrap().archive);
    let archive = Files::archive("web.tgz", &built.archive).unwrap();
    let again = Pack::read(archive).unwrap();
    assert_eq!(again.meta, built.pack.meta);
    assert_eq!(again.charts()[0].0, "web");
    let path = dir.path().join("again.tar.gz");
    fs_err::write(&path, &built.archive).unwrap();
    assert_eq!(lint(&path), []);
    assert_eq!(build(&path).unwrap().archive, built.archive);
}

fn linted(others: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    pack_in(dir.path(), others);
    let name = format!("{}/", dir.path().display());
    lint(dir.path())
        .iter()
        .map(|problem| problem.to_string().replace(&name, "") + "\n")
        .collect()
}

#[test]
fn a_pack_without_problems_has_none() {
    assert_eq!(linted(&[]), "");
}

#[test]
fn every_problem_of_metadata_is_told_with_its_place() {
    let text = "{\n  \"name\": \"Web_1\",\n\t\"version\": 1,\n  \"layer\": \"addons\",\n  \
                \"charts\": [\"charts/web-1.2.3.tgz\", \"charts/gone.tgz\"],\n  \
                \"kubeManifest\": [],\n  \"cloudTypes\": [\"awz\"],\n  \"annotations\": {\"a\": 1},\n  \
                \"constraints\": {\"dependencies\": [{\"packName\": \"x\", \"type\": \"require\"}]}\n}\n";
    assert_snapshot!(linted(&[("pack.json", text)]), @r"
    pack.json:1:1: error: a pack must have 'displayName'
    pack.json:2:11: warning: 'Web_1' is no name of a pack: lower case, digits, '-' and '.'
    pack.json:3:13: error: 'version' is a text, not a number
    pack.json:4:12: error: 'addons' is no layer; there are kernel, os, k8s, cni, csi, addon
    pack.json:6:19: warning: 'kubeManifest' is no key of a pack; did you mean 'kubeManifests'?
    pack.json:7:18: warning: 'awz' is no known cloud type; did you mean 'aws'?
    pack.json:8:24: error: the annotation 'a' is a text, not a number
    pack.json:9:36: error: a dependency must have 'layer'
    pack.json:9:62: error: 'require' is no type of a dependency; did you mean 'required'?
    ");
}

#[test]
fn every_problem_of_values_is_told_with_its_place() {
    let text = "pack:\n  content:\n    image: x\n    images:\n      - iamge: quay.io/x/a:1\n      \
                - image: quay.io/X:1\n      - image: quay.io/x/web\n      - image: quay.io/x/b:1\n      \
                - image: quay.io/x/b:1\n      - image: 'quay.io/x/c:{{ .spectro.var.x }}'\n      - image:\n  \
                namespaces: x\n  releaseNameOverride: {wbe: x}\ncharts:\n  wep: {}\n  web: {a: 1, a: 2}\n\
                manifests: {other: {}}\n";
    assert_snapshot!(linted(&[("values.yaml", text)]), @r"
    values.yaml:3:12: warning: 'image' is no key of 'pack.content'; did you mean 'images'?
    values.yaml:5:9: error: an entry must have 'image'; did you mean 'image'?
    values.yaml:6:16: error: 'quay.io/X:1' is not an image reference: repository names are lower-case, 'X' is not
    values.yaml:7:16: warning: 'quay.io/x/web' has no tag: 'latest' moves
    values.yaml:9:16: warning: 'quay.io/x/b:1' is listed twice
    values.yaml:10:16: warning: only a profile can answer the macro in 'quay.io/x/c:{{ .spectro.var.x }}'
    values.yaml:11:14: error: an image is a text, not nothing
    values.yaml:12:15: warning: 'namespaces' is no key of 'pack'; did you mean 'namespace'?
    values.yaml:13:30: warning: the pack has no chart 'wbe' to rename
    values.yaml:15:8: warning: values of 'wep', a chart that the pack does not have; did you mean 'web'?
    values.yaml:16:15: warning: duplicate mapping key: a not allowed here
    values.yaml:17:20: warning: values of 'other', a manifest that the pack does not have
    ");
    assert_snapshot!(linted(&[("values.yaml", "a: [1\n")]), @"values.yaml:1:4: error: unclosed bracket '['");
}

#[test]
fn every_problem_of_presets_and_parts_is_told_with_its_place() {
    let presets = "presets:\n- name: a\n  group: G\n  ad: x\n- group: G\n- name: a\n  group: G\n  \
                   remove: x\n  add: 'a: b: c'\n- name: c\n  add: {x: 1}\n";
    let files = [
        ("presets.yaml", presets),
        ("manifests/extra.yaml", "kind: [Pod\n"),
        ("manifests/other.yaml", "kind: Pod\n"),
        ("charts/web-1.2.3.tgz", "damaged"),
        ("charts/more.tgz", ""),
        ("isoforge.toml", "[requirement]\n"),
    ];
    assert_snapshot!(linted(&files), @r"
    charts/more.tgz: warning: pack.json does not list the chart
    charts/web-1.2.3.tgz: error: 'charts/web-1.2.3.tgz' is no archive that can be read: failed to read entire block
    isoforge.toml:1:2: error: unknown field `requirement`, expected `requirements` or `images`
    manifests/extra.yaml:1:7: error: unclosed bracket '['
    manifests/other.yaml: warning: pack.json does not list the manifest
    presets.yaml:4:7: warning: 'ad' is no key of a preset; did you mean 'add'?
    presets.yaml:5:3: error: a preset must have a 'name'
    presets.yaml:6:3: error: 'G:a' is there twice
    presets.yaml:8:11: error: 'remove' is a list of paths, not a text
    presets.yaml:9:8: error: 'add' is no YAML: line 1, column 5: mapping values are not allowed in this context
    presets.yaml:10:3: error: the preset 'c' must have a 'group'
    presets.yaml:11:8: error: 'add' is a text with YAML in it, not a map
    values.yaml: warning: the preset 'Ingress:no-ingress' is to be on, and there is no such
    values.yaml: warning: the preset 'Size:small' is to be on, and there is no such
    ");
    let manifest = "kind: Pod\nspec: {containers: [{image: quay.io/x/other:1}]}\n";
    assert_snapshot!(linted(&[("manifests/extra.yaml", manifest)]), @"manifests/extra.yaml:2: warning: quay.io/x/other:1 is needed and not in pack.content.images");
}

#[test]
fn nothing_that_is_given_makes_lint_fail() {
    let dir = tempfile::tempdir().unwrap();
    let shown = |path: &Path| {
        let name = dir.path().display().to_string();
        let lines = lint(path).into_iter().map(|problem| problem.to_string());
        lines.collect::<Vec<_>>().join("\n").replace(&name, "DIR")
    };
    let file = dir.path().join("x.tgz");
    fs_err::write(&file, "no archive").unwrap();
    let odd = linted(&[
        ("pack.json", "[]"),
        ("values.yaml", "- 1\n"),
        ("presets.yaml", "x"),
    ]);
    let all = [
        shown(&dir.path().join("gone")),
        shown(&file),
        shown(dir.path()),
        odd,
        linted(&[("pack.json", "{\"name\": ")]),
    ];
    assert_snapshot!(all.join("\n"), @r"
    DIR/gone: error: 'DIR/gone' does not exist
    DIR/x.tgz: error: 'DIR/x.tgz' is no archive that can be read: failed to read entire block
    DIR: error: there is no pack.json
    DIR: error: there is no values.yaml
    DIR: warning: there is no logo.png
    pack.json:1:1: error: a pack is a JSON object, not a list
    presets.yaml:1:1: error: 'presets' is missing
    values.yaml:1:1: error: values are a map, not a list

    pack.json:1:9: error: EOF while parsing a value
    ");
}

#[test]
fn a_new_pack_works_and_overwrites_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("my-shop");
    init(&path).unwrap();
    let problems: Vec<String> = lint(&path)
        .iter()
        .map(|p| {
            p.to_string()
                .replace(&dir.path().display().to_string(), "DIR")
        })
        .collect();
    assert_eq!(problems, ["DIR/my-shop: warning: there is no logo.png"]);
    let built = build(&path).unwrap();
    assert_eq!(built.file_name(), "my-shop-0.1.0.tar.gz");
    let error = init(&path).unwrap_err();
    assert_eq!(
        error.class(),
        isoforge_base::error::Class::Profile,
        "{error}"
    );
    let large = ["Size:large".to_owned()];
    let composed = built.pack.compose(&large, &json!({}), &Answers::default());
    let values = composed.unwrap().manifest_values("hello");
    assert_eq!(values, json!({"replicas": 3}));
}

#[test]
fn an_artifact_names_the_pack_and_its_archive() {
    let dir = tempfile::tempdir().unwrap();
    pack_in(dir.path(), &[]);
    let built = build(dir.path()).unwrap();
    let layout = layout(&built, "1.2.3");
    let store = tempfile::tempdir().unwrap();
    let store = isoforge_oci::store::Store::open(store.path()).unwrap();
    let folder = dir.path().join("layout");
    fs_err::create_dir(&folder).unwrap();
    layout.write_dir(&store, &folder).unwrap();
    let source: isoforge_oci::reference::ImageSource =
        format!("oci:{}:1.2.3", folder.display()).parse().unwrap();
    let client =
        isoforge_oci::registry::Client::new(isoforge_oci::registry::RegistryConfig::default());
    let image = isoforge_oci::pull::mirror_image(
        &client,
        &source,
        &isoforge_oci::pull::Platforms::All,
        &store,
        &isoforge_oci::pull::Limits::DEFAULT,
        std::num::NonZeroUsize::MIN,
        &isoforge_base::progress::Progress::silent(),
    )
    .unwrap();
    let digest = isoforge_base::digest::Digest::of(&built.archive);
    assert!(image.blobs.iter().any(|blob| blob.digest == digest));
    let manifest = store.read_blob(&image.root.digest, 10_000).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["artifactType"], artifact::ARTIFACT_TYPE);
    assert_eq!(
        manifest["layers"][0]["annotations"]["org.opencontainers.image.title"],
        "web-1.2.3.tar.gz"
    );
}
