use insta::assert_snapshot;
use serde_json::json;

use super::*;
use crate::files::Files;
use crate::find::{Options, target};
use crate::testing::packed;

/// A pack whose preset switches a proxy on: another object, another image.
fn pack() -> Pack {
    let chart = packed(&[
        (
            "web/Chart.yaml",
            "apiVersion: v2\nname: web\nversion: 1.2.3\n",
        ),
        ("web/values.yaml", "replicas: 2\n"),
    ]);
    let files = [
        (
            "pack.json",
            br#"{"name": "web", "displayName": "Web", "version": "1.0", "layer": "csi",
                "charts": ["charts/web.tgz"], "kubeManifests": ["manifests/m.yaml"]}"#
                .as_slice(),
        ),
        (
            "values.yaml",
            b"pack: {namespace: web}\ncharts:\n  web: {version: '{{ .spectro.system.kubernetes.version }}'}\n\
              manifests: {m: {image: 'quay.io/x/web:v1', replicas: 1}}\n",
        ),
        (
            "presets.yaml",
            b"presets:\n- name: proxy\n  group: Mode\n  displayName: P\n  remove: [manifests.m.replicas]\n  \
              add: |\n    manifests: {m: {image: 'quay.io/x/proxy:v2'}}\n",
        ),
        (
            "manifests/m.yaml",
            b"kind: Deployment\nmetadata: {name: m}\nspec:\n  template:\n    spec:\n      containers:\n      \
              - image: {{ .Values.image }}\n",
        ),
        (
            "isoforge.toml",
            b"[requirements]\nkernel_modules = [\"drbd >= 9\"]\nnodes = 3\nmemory_mib = 4096\n",
        ),
        ("charts/web.tgz", &chart),
    ];
    Pack::read(Files::archive("web.tgz", &packed(&files)).unwrap()).unwrap()
}

fn definition(presets: &[String]) -> (Definition, Vec<String>) {
    let (pack, answers) = (pack(), Answers::for_kubernetes("1.32.3"));
    let composed = pack.compose(presets, &json!({}), &answers).unwrap();
    let kubernetes = Kubernetes {
        distribution: "kubeadm".to_owned(),
        version: "1.32.3".to_owned(),
    };
    let mut definition = Definition::new("demo", "1.0.0", kubernetes);
    let addon = Layer {
        requirements: Requirements {
            memory_mib: Some(2048),
            cpus: Some(2),
            ..Requirements::default()
        },
        ..Layer::empty("addon", "last", "1")
    };
    definition.add(addon);
    let layer = Layer::of_pack(&pack, &composed, &answers).unwrap();
    definition.add(layer);
    definition.add(Layer::empty("cni", "first", "2"));
    let found = target::in_pack(&pack, &composed, &Options::default()).unwrap();
    (definition, found.images.into_keys().collect())
}

#[test]
fn a_preset_changes_an_object_and_the_list_of_images() {
    let (plain, images) = definition(&[]);
    assert_snapshot!(plain.to_yaml().unwrap(), @r#"
    schema: 1
    name: demo
    version: "1.0.0"
    kubernetes:
      distribution: kubeadm
      version: "1.32.3"
    nodes:
      count: 3
      cpus: 2
      memory_mib: 4096
    layers:
    - layer: cni
      name: first
      version: "2"
    - layer: csi
      name: web
      version: "1.0"
      namespace: web
      requirements:
        kernel_modules:
        - drbd >= 9
        memory_mib: 4096
        nodes: 3
      charts:
      - name: web
        version: "1.2.3"
        digest: sha256:db6aa0ce55bbf6327334a65d39ffd5f1740d3c1637ab8201f42081d7cef235e2
        release: web
        values:
          version: "1.32.3"
      manifests:
      - name: m
        content: |
          kind: Deployment
          metadata: {name: m}
          spec:
            template:
              spec:
                containers:
                - image: {{ .Values.image }}
        values:
          image: quay.io/x/web:v1
          replicas: 1
    - layer: addon
      name: last
      version: "1"
      requirements:
        cpus: 2
        memory_mib: 2048
    "#);
    assert_eq!(images, ["quay.io/x/web:v1"]);
    let (proxied, images) = definition(&["Mode:proxy".to_owned()]);
    assert_eq!(images, ["quay.io/x/proxy:v2"]);
    let layer = &proxied.layers[1];
    assert_eq!(layer.presets, ["Mode:proxy"]);
    assert_eq!(
        layer.manifests[0].values,
        json!({"image": "quay.io/x/proxy:v2"})
    );
    assert_ne!(plain, proxied);
}

#[test]
fn what_is_written_reads_the_same_and_anything_else_is_refused() {
    let (definition, _) = definition(&[]);
    let text = definition.to_yaml().unwrap();
    assert_eq!(text, self::definition(&[]).0.to_yaml().unwrap());
    assert_eq!(Definition::parse("d.yaml", &text).unwrap(), definition);
    let error = |text: &str| Definition::parse("d.yaml", text).unwrap_err().to_string();
    let errors = [
        error("schema: [\n"),
        error("a: 1\n"),
        error(&text.replace("schema: 1", "schema: 2")),
        error(&text.replace("nodes:", "machines:")),
    ];
    assert_snapshot!(errors.join("\n"), @r"
    d.yaml:1:9: unclosed bracket '['
    d.yaml:1:1: no cluster definition: unknown field `a`, expected one of `schema`, `name`, `version`, `kubernetes`, `nodes`, `macros`, `unanswered`, `layers`
    d.yaml:1:1: it is of schema 2, not 1
    d.yaml:1:1: no cluster definition: unknown field `machines`, expected one of `schema`, `name`, `version`, `kubernetes`, `nodes`, `macros`, `unanswered`, `layers`
    ");
}

/// With a real Helm the rendered object itself, with the preset and without.
#[test]
fn a_preset_changes_what_helm_renders() {
    let Some(helm) = crate::find::helm::tests::helm() else {
        return;
    };
    let pack = pack();
    let images = |presets: &[String]| {
        let composed = pack.compose(presets, &json!({}), &Answers::default());
        let options = Options {
            helm: Some(helm.clone()),
            ..Options::default()
        };
        let found = target::in_pack(&pack, &composed.unwrap(), &options).unwrap();
        assert!(found.is_proven(), "{found}");
        found.to_string()
    };
    assert_snapshot!(images(&[]) + &images(&["proxy".to_owned()]), @r"
    quay.io/x/web:v1
      helm       web.tgz/manifests/m.yaml: manifest/templates/manifest.yaml  Deployment m  spec.template.spec.containers[0].image
    quay.io/x/proxy:v2
      helm       web.tgz/manifests/m.yaml: manifest/templates/manifest.yaml  Deployment m  spec.template.spec.containers[0].image
    ");
}
