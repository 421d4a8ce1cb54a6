use std::path::Path;

use insta::assert_snapshot;
use serde_json::json;

use super::*;
use crate::Error;
use crate::testing::{packed, write};
use isoforge_base::error::{Class, Diagnose as _};

/// Every kind of workload, in one way each.
const WORKLOADS: &str = include_str!("tests/workloads.yaml");

fn images(text: &str, rules: &[&str]) -> Images {
    let rules: Vec<Rule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    manifests::images("x.yaml", text, &rules).unwrap()
}

#[test]
fn every_container_of_every_workload_is_found_with_its_place() {
    assert_snapshot!(images(WORKLOADS, &[]), @r"
    docker.io/library/controller:1
      manifests  x.yaml:54  ReplicationController controller  spec.template.spec.containers[0].image
    docker.io/library/cronjob:1
      manifests  x.yaml:49  CronJob cronjob  spec.jobTemplate.spec.template.spec.containers[0].image
    docker.io/library/daemonset:1
      manifests  x.yaml:39  DaemonSet kube-system/daemonset  spec.template.spec.initContainers[0].image
    docker.io/library/deployment:1
      manifests  x.yaml:24  Deployment deployment  spec.template.spec.containers[0].image
    docker.io/library/job:1
      manifests  x.yaml:44  Job job-  spec.template.spec.containers[0].image
    docker.io/library/nested:1
      manifests  x.yaml:66  Widget widget  spec.workers.gpu.podTemplate.spec.containers[0].image
    docker.io/library/replicaset:1
      manifests  x.yaml:29  ReplicaSet replicaset  spec.template.spec.containers[0].image
    docker.io/library/statefulset:1
      manifests  x.yaml:34  StatefulSet statefulset  spec.template.spec.containers[0].image
    docker.io/library/template:1
      manifests  x.yaml:59  PodTemplate template  template.spec.containers[0].image
    docker.io/only/text:1
      manifests  x.yaml:76  ConfigMap settings  data.template.spec.containers[0].image
    quay.io/x/debug:1
      manifests  x.yaml:16  Pod one/pod  spec.ephemeralContainers[0].image
    quay.io/x/init:1
      manifests  x.yaml:7  Pod one/pod  spec.initContainers[0].image
    quay.io/x/main:1
      manifests  x.yaml:10  Pod one/pod  spec.containers[0].image
    quay.io/x/model:1
      manifests  x.yaml:19  Pod one/pod  spec.volumes[0].image.reference
    quay.io/x/sidecar:1
      manifests  x.yaml:12  Pod one/pod  spec.containers[0].env[0].value
    may be an image: 'quay.io/x/one:1'
      manifests  x.yaml:68  Widget widget  spec.sidecars[0]
    may be an image: 'quay.io/x/proxy:1'
      manifests  x.yaml:74  ConfigMap settings  data.proxy
    may be an image: 'quay.io/x/two:2'
      manifests  x.yaml:68  Widget widget  spec.sidecars[1]
    ");
}

#[test]
fn fields_and_variables_are_found_by_rules() {
    let rules = [
        "env: *_IMAGE",
        "Widget.example.com: spec.engine",
        "Widget: spec.sidecars",
        "ConfigMap: data.proxy",
    ];
    let found = images(WORKLOADS, &rules);
    let without = images(WORKLOADS, &[]);
    let mut shown = String::new();
    for (image, places) in &found.images {
        let new = without
            .images
            .get(image)
            .is_none_or(|known| known != places);
        for place in places.iter().filter(|_| new) {
            shown.push_str(&format!("{image}  {place}\n"));
        }
    }
    assert_snapshot!(shown, @r"
    quay.io/x/engine:v2  x.yaml:67  Widget widget  spec.engine
    quay.io/x/one:1  x.yaml:68  Widget widget  spec.sidecars[0]
    quay.io/x/proxy:1  x.yaml:74  ConfigMap settings  data.proxy
    quay.io/x/two:2  x.yaml:68  Widget widget  spec.sidecars[1]
    ");
}

#[test]
fn json_and_lists_of_objects_are_read_alike() {
    let text = r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"image": "one"}]}},
        {"kind": "PodList", "items": [
            {"kind": "Pod", "metadata": {"name": "b"}, "spec": {"containers": [{"image": "two:1"}]}}]}
    ]}"#;
    assert_snapshot!(images(text, &[]), @r"
    docker.io/library/one:latest
      manifests  x.yaml:2  Pod a  spec.containers[0].image
    docker.io/library/two:1
      manifests  x.yaml:4  Pod b  spec.containers[0].image
    ");
}

#[test]
fn what_names_no_image_is_said_and_not_lost() {
    let pod = |image: &str| {
        format!("kind: Pod\nmetadata: {{name: p}}\nspec:\n  containers:\n  - image: {image}\n")
    };
    let texts = [
        "\"{{ .Values.image }}\"",
        "quay.io/x:{{ .spectro.var.tag }}",
        "$(IMAGE)",
        "quay.io/UPPER:1",
        "17",
        "\"\"",
        "null",
    ];
    let text: Vec<String> = texts.iter().map(|image| pod(image)).collect();
    assert_snapshot!(images(&text.join("---\n"), &[]), @r"
    not resolved: '$(IMAGE)': a variable stands in it
      manifests  x.yaml:17  Pod p  spec.containers[0].image
    not resolved: '17': it is a number, not a text
      manifests  x.yaml:29  Pod p  spec.containers[0].image
    not resolved: 'quay.io/UPPER:1': repository names are lower-case, 'UPPER' is not
      manifests  x.yaml:23  Pod p  spec.containers[0].image
    not resolved: 'quay.io/x:{{ .spectro.var.tag }}': a macro stands in it without an answer: spectro.var.tag
      manifests  x.yaml:11  Pod p  spec.containers[0].image
    not resolved: '{{ .Values.image }}': a template stands in it
      manifests  x.yaml:5  Pod p  spec.containers[0].image
    ");
}

#[test]
fn a_definition_of_resources_holds_no_pods() {
    let text = "kind: CustomResourceDefinition\nspec:\n  containers:\n  - image: {type: string}\n  \
                - image: not-one\n";
    assert!(images(text, &[]).images.is_empty());
}

#[test]
fn what_is_no_manifest_is_an_error_with_its_place() {
    let error = |text: &str| {
        let error = manifests::images("x.yaml", text, &[]).unwrap_err();
        assert_eq!(error.class(), Class::Profile);
        error.to_string()
    };
    let errors = [
        error("kind: Pod\nspec:\n  containers: [\n"),
        error("kind: Pod\n---\nkind: [Pod\n"),
        error("kind: Pod\n---\njust words\n"),
        error("a: b: c\n"),
    ];
    assert_snapshot!(errors.join("\n"), @r"
    x.yaml:3:15: unclosed bracket '['
    x.yaml:3:7: unclosed bracket '['
    x.yaml:3:1: a text is no object of Kubernetes
    x.yaml:1:5: mapping values are not allowed in this context
    ");
}

#[test]
fn rendered_objects_name_their_templates() {
    let text = "---\n# Source: x/templates/a.yaml\nkind: Pod\nmetadata: {name: a}\nspec: \
                {containers: [{image: \"a:1\"}]}\n---\n# Source: x/templates/b.yaml\nkind: Pod\n\
                metadata: {name: b}\nspec: {containers: [{image: \"a:1\"}]}\n";
    let found = manifests::rendered("x-1.0.0.tgz", text, &[]).unwrap();
    assert_snapshot!(found, @r"
    docker.io/library/a:1
      helm       x-1.0.0.tgz: x/templates/a.yaml  Pod a  spec.containers[0].image
      helm       x-1.0.0.tgz: x/templates/b.yaml  Pod b  spec.containers[0].image
    ");
}

#[test]
fn calicos_own_manifest_needs_three_images() {
    let Some(data) = isoforge_judges::named_by("ISOFORGE_TEST_DATA", "folder of test data") else {
        return;
    };
    let target = Target::open(&data.join("manifests/calico-v3.29.2.yaml")).unwrap();
    let found = target.images(&Options::default()).unwrap();
    let names: Vec<&String> = found.images.keys().collect();
    assert_eq!(
        names,
        [
            "docker.io/calico/cni:v3.29.2",
            "docker.io/calico/kube-controllers:v3.29.2",
            "docker.io/calico/node:v3.29.2"
        ]
    );
    assert!(found.is_proven());
}

const CHART: &str = "apiVersion: v2\nname: web\nversion: 1.2.3\nappVersion: v9\n";
const CHART_VALUES: &str = "image: {repository: quay.io/x/web, tag: ''}\nreplicas: 1\n";

/// Paths of the temporary folder do not belong into snapshots.
fn shown(found: &Images, folder: &Path) -> String {
    found
        .to_string()
        .replace(&format!("{}/", folder.display()), "")
}

#[test]
fn a_pack_declares_and_its_manifests_are_searched() {
    let dir = tempfile::tempdir().unwrap();
    let chart = packed(&[("web/Chart.yaml", CHART), ("web/values.yaml", CHART_VALUES)]);
    write(
        dir.path(),
        &[
            (
                "pack.json",
                r#"{"name": "p", "displayName": "P", "version": "1.0", "layer": "addon",
                    "charts": ["charts/web.tgz"], "kubeManifests": ["manifests/m.yaml"]}"#,
            ),
            (
                "values.yaml",
                "pack:\n  content:\n    images:\n      - image: quay.io/x/web:v9\n      - image: \
                 'quay.io/x/k:{{ .spectro.system.kubernetes.version | substr 0 4 }}'\n",
            ),
            (
                "manifests/m.yaml",
                "kind: Pod\nmetadata: {name: m}\nspec: {containers: [{image: m:1}]}\n",
            ),
        ],
    );
    write(dir.path(), &[("charts/web.tgz", &chart)]);
    let target = Target::open(dir.path()).unwrap();
    let found = target.images(&Options::default()).unwrap();
    assert_snapshot!(shown(&found, dir.path()), @r"
    docker.io/library/m:1
      manifests  manifests/m.yaml:3  Pod m  spec.containers[0].image
    quay.io/x/web:v9
      pack       values.yaml:4  pack.content.images[0].image
    not resolved: 'quay.io/x/k:{{ .spectro.system.kubernetes.version | substr 0 4 }}': a macro stands in it without an answer: spectro.system.kubernetes.version
      pack       values.yaml:5  pack.content.images[1].image
    ");
    let options = Options {
        answers: crate::macros::Answers::for_kubernetes("1.32.3"),
        ..Options::default()
    };
    let found = target.images(&options).unwrap();
    assert!(found.images.contains_key("quay.io/x/k:1.32") && found.is_proven());
}

#[test]
fn a_chart_that_nobody_rendered_is_not_proven() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &[("Chart.yaml", CHART), ("values.yaml", CHART_VALUES)],
    );
    let target = Target::open(dir.path()).unwrap();
    let options = Options {
        values: vec![json!({"image": {"tag": "v10"}})],
        ..Options::default()
    };
    let found = target.images(&options).unwrap();
    let name = dir.path().display().to_string();
    assert_snapshot!(found.to_string().replace(&name, "CHART"), @r"
    quay.io/x/web:v10
      scan       CHART: values.yaml  image
    not proven: CHART: it was not rendered by Helm, only its values were looked at
    ");
    assert!(!found.is_proven());
}

#[test]
fn what_is_none_of_the_three_is_said() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("readme.txt", "text")]);
    for path in [dir.path().to_owned(), dir.path().join("readme.txt")] {
        let error = Target::open(&path).unwrap_err();
        assert!(matches!(error, Error::Unknown { .. }), "{error}");
        assert!(error.hint().is_some());
    }
    write(
        dir.path(),
        &[("packs/a/pack.json", "{}"), ("packs/b/pack.json", "{}")],
    );
    let error = Target::open(&dir.path().join("packs")).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("packs' holds packs or charts (a); name each")
    );
    let damaged = dir.path().join("x.tgz");
    fs_err::write(&damaged, b"\x1f\x8bdamaged").unwrap();
    let error = Target::open(&damaged).unwrap_err();
    assert_eq!(error.class(), Class::Verification, "{error}");
}

#[test]
fn words_that_containers_are_started_with_are_judged() {
    let text = "kind: Deployment\nmetadata: {name: d}\nspec:\n  template:\n    metadata:\n      \
                annotations:\n        x.io/agentImage: quay.io/x/agent:1\n        note: see \
                quay.io/x/noted:1\n        x.io/same: quay.io/x/main:1\n    spec:\n      \
                containers:\n      - name: c\n        image: quay.io/x/main:1\n        \
                command: [sh, -c, 'run quay.io/x/script:1 https://quay.io/x/y:1']\n        \
                args:\n        - --kubelet-service=kube-system/kubelet\n        - \
                --reloader=quay.io/x/reloader:1\n        - --engine-image\n        - \
                x/engine:v1\n        - --taint=node-role.kubernetes.io/control-plane:NoSchedule\n        \
                - --listen=0.0.0.0:8080\n        env:\n        - {name: SIDECAR, value: \
                'quay.io/x/sidecar:1'}\n        - {name: HELPER_IMAGE, value: 'busybox:1.36'}\n        \
                - {name: URL, value: 'http://quay.io/x/z:1'}\n---\nkind: Widget\nmetadata: \
                {name: w}\nspec: {engine: 'quay.io/x/field:1', text: 'pull quay.io/x/prose:1'}\n";
    assert_snapshot!(images(text, &[]), @r#"
    quay.io/x/agent:1
      manifests  x.yaml:7  Deployment d  spec.template.metadata.annotations["x.io/agentImage"]
    quay.io/x/main:1
      manifests  x.yaml:13  Deployment d  spec.template.spec.containers[0].image
    quay.io/x/reloader:1
      manifests  x.yaml:17  Deployment d  spec.template.spec.containers[0].args[1]
    quay.io/x/script:1
      manifests  x.yaml:14  Deployment d  spec.template.spec.containers[0].command[2]
    quay.io/x/sidecar:1
      manifests  x.yaml:23  Deployment d  spec.template.spec.containers[0].env[0].value
    may be an image: 'busybox:1.36'
      manifests  x.yaml:24  Deployment d  spec.template.spec.containers[0].env[1].value
    may be an image: 'quay.io/x/field:1'
      manifests  x.yaml:29  Widget w  spec.engine
    may be an image: 'quay.io/x/noted:1'
      manifests  x.yaml:8  Deployment d  spec.template.metadata.annotations.note
    may be an image: 'x/engine:v1'
      manifests  x.yaml:19  Deployment d  spec.template.spec.containers[0].args[3]
    "#);
}

#[test]
fn texts_of_configmaps_and_secrets_are_searched() {
    use base64::Engine as _;
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{image: \
               'quay.io/x/coded:1'}]}\n";
    let coded = base64::engine::general_purpose::STANDARD.encode(pod);
    let text = format!(
        "kind: ConfigMap\nmetadata: {{name: m}}\ndata:\n  pod.yaml: |\n    kind: Pod\n    spec:\n      \
         containers:\n      - image: helper:1.36\n  two: |\n    kind: A\n    ---\n    kind: Pod\n    \
         spec:\n      containers:\n      - image: quay.io/x/two:1\n  conf.json: '{{\"engine\": \
         \"quay.io/x/conf:1\"}}'\n  CSI_IMAGE: quay.io/x/csi:1\n  inject: |\n    {{{{ if .x }}}}\n    \
         containers:\n    - image: \"{{{{ .y }}}}\"\n    {{{{ end }}}}\nbinaryData: {{p: {coded}, b: //79}}\n\
         ---\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{j: '{{\"kind\":\"Pod\",\"spec\":\
         {{\"containers\":[{{\"image\":\"quay.io/x/json:1\"}}]}}}}'}}\ndata: {{p: {coded}}}\n"
    );
    assert_snapshot!(images(&text, &[]), @r#"
    docker.io/library/helper:1.36
      manifests  x.yaml:5  ConfigMap m  data["pod.yaml"].spec.containers[0].image
    quay.io/x/coded:1
      manifests  x.yaml:23  ConfigMap m  binaryData.p.spec.containers[0].image
      manifests  x.yaml:28  Secret s  data.p.spec.containers[0].image
    quay.io/x/csi:1
      manifests  x.yaml:17  ConfigMap m  data.CSI_IMAGE
    quay.io/x/json:1
      manifests  x.yaml:27  Secret s  stringData.j.spec.containers[0].image
    quay.io/x/two:1
      manifests  x.yaml:10  ConfigMap m  data.two[1].spec.containers[0].image
    may be an image: 'quay.io/x/conf:1'
      manifests  x.yaml:16  ConfigMap m  data["conf.json"]
      manifests  x.yaml:16  ConfigMap m  data["conf.json"].engine
    may be an image: '{{ .y }}'
      manifests  x.yaml:19  ConfigMap m  data.inject
    "#);
}

#[test]
fn rules_reach_into_texts_and_behind_signs() {
    let text = "kind: ConfigMap\nmetadata: {name: m}\ndata:\n  w.yaml: |\n    spec: {engine: \
                'x/engine:1'}\n---\nkind: Pod\nspec: {containers: [{args: ['--engine=x/other:2'], \
                env: [{name: E, value: '--third=x/third'}]}]}\n";
    let rules = [
        "ConfigMap: data[\"w.yaml\"].spec.engine",
        "Pod: spec.containers[*].args[0]",
        "env: E",
    ];
    let found = images(text, &rules);
    let names: Vec<&String> = found.images.keys().collect();
    assert_eq!(
        names,
        [
            "docker.io/x/engine:1",
            "docker.io/x/other:2",
            "docker.io/x/third:latest"
        ],
        "{found}"
    );
    assert!(found.may_be.is_empty(), "{found}");
}

#[test]
fn texts_that_stand_for_very_many_values_are_not_all_read() {
    let mut bomb = String::from("    a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..5 {
        let last = n - 1;
        let aliases = vec![format!("*a{last}"); 10].join(", ");
        bomb.push_str(&format!("    a{n}: &a{n} [{aliases}]\n"));
    }
    let mut text = String::from("kind: ConfigMap\nmetadata: {name: m}\ndata:\n");
    for n in 0..12 {
        text.push_str(&format!("  t{n}: |\n{bomb}"));
    }
    let found = images(&text, &[]);
    assert!(!found.is_proven());
    assert_snapshot!(found, @"not proven: x.yaml: ConfigMap m: it has texts of too many values, which were not all read");
}

#[test]
fn a_kustomization_that_is_not_built_is_not_proven() {
    let text = |rest: &str| {
        format!("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n{rest}\n")
    };
    let own = images(&text("resources: [a.yaml, b.yml]\nnamespace: x"), &[]);
    assert!(own.is_proven(), "{own}");
    for rest in [
        "resources: [a.yaml]\nimages: [{name: a, newTag: v2}]",
        "resources: [../base]",
        "resources: ['https://x.example/a.yaml']",
        "helmCharts: [{name: x}]",
    ] {
        assert!(!images(&text(rest), &[]).is_proven(), "{rest}");
    }
    // Neither has to be said in a file of that name; a component is one as well.
    let named = |file: &str| {
        let text = "resources: [a.yaml]\nimages: [{name: a, newTag: v2}]";
        manifests::images(file, text, &[]).unwrap().is_proven()
    };
    assert!(!named("x/kustomization.yaml") && named("x/values.yaml"));
    let component = text("images: [{name: a}]").replace("Kustomization", "Component");
    assert!(!images(&component, &[]).is_proven());
    assert_snapshot!(images(&text("resources: [../base]"), &[]), @r"
    not proven: x.yaml: Kustomization ?: it is a kustomization with the resource '../base', and was not built: give what 'kustomize build' makes of it
    ");
}
