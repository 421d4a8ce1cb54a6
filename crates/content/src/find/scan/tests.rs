use insta::assert_snapshot;
use serde_json::json;

use super::*;
use crate::files::Files;
use crate::testing::packed;

fn chart_of(files: &[(&str, &str)]) -> Chart {
    Chart::archive("c.tgz", &packed(files)).unwrap()
}

#[test]
fn what_looks_like_an_image_is_found() {
    let chart = chart_of(&[
        (
            "c/Chart.yaml",
            "apiVersion: v2\nname: c\nversion: 1.0.0\nappVersion: v3\n",
        ),
        (
            "c/values.yaml",
            "image: {registry: docker.io, repository: x/app, tag: v1}\n\
             web: {image: {repository: quay.io/x/web, pullPolicy: Always}}\n\
             plain: {image: quay.io/x/plain, tag: 1.5}\n\
             proxyImage: quay.io/x/proxy:2\n\
             images: {a: \"quay.io/x/a:1\", policy: Always}\n\
             list: {images: [\"quay.io/x/l:1\"]}\n\
             pinned: {repository: quay.io/x/pinned, digest: HASH}\n\
             off: {enabled: false, image: {repository: quay.io/x/off, tag: v1}}\n\
             git: {repository: \"https://git.example/x\", tag: v1}\n\
             chart: {repository: charts, url: x}\n\
             note: {image: some words}\n"
                .replace("HASH", &format!("sha256:{}", "a".repeat(64)))
                .leak(),
        ),
    ]);
    assert_snapshot!(super::chart(&chart, &json!({})), @r"
    docker.io/x/app:v1
      scan       c.tgz: values.yaml  image
    quay.io/x/a:1
      scan       c.tgz: values.yaml  images.a
    quay.io/x/l:1
      scan       c.tgz: values.yaml  list.images[0]
    quay.io/x/pinned@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
      scan       c.tgz: values.yaml  pinned
    quay.io/x/plain:1.5
      scan       c.tgz: values.yaml  plain.image
    quay.io/x/proxy:2
      scan       c.tgz: values.yaml  proxyImage
    quay.io/x/web:v3
      scan       c.tgz: values.yaml  web.image
    ");
}

#[test]
fn subcharts_that_are_on_are_scanned_with_the_parents_values() {
    let chart = chart_of(&[
        (
            "c/Chart.yaml",
            "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies:\n\
             - {name: db, version: 1.x, alias: store, condition: store.enabled}\n\
             - {name: cache, version: 1.x, condition: cache.enabled}\n",
        ),
        (
            "c/values.yaml",
            "global: {imageRegistry: mirror.example}\nstore: {image: {tag: v2}}\n\
             cache: {enabled: false}\n",
        ),
        ("c/charts/db/Chart.yaml", "name: db\nversion: 1.0.0\n"),
        (
            "c/charts/db/values.yaml",
            "image: {repository: x/db, tag: v1}\n",
        ),
        ("c/charts/cache/Chart.yaml", "name: cache\nversion: 1.0.0\n"),
        (
            "c/charts/cache/values.yaml",
            "image: {repository: x/cache, tag: v1}\n",
        ),
    ]);
    assert_snapshot!(super::chart(&chart, &json!({})), @r"
    mirror.example/x/db:v2
      scan       c.tgz/charts/db: values.yaml  store.image
    ");
    let on = super::chart(&chart, &json!({"cache": {"enabled": true}}));
    assert!(on.images.contains_key("mirror.example/x/cache:v1"), "{on}");
    let files: Vec<_> = Files::archive("c.tgz", &chart.to_archive().unwrap())
        .unwrap()
        .iter()
        .map(|(path, _)| path.to_owned())
        .collect();
    assert_eq!(files.len(), 6);
}

#[test]
fn a_templated_manifests_lines_are_filled_with_values() {
    let text = "{{ if .Values.on }}\nspec:\n  containers:\n  - image: {{ .Values.images.web | quote }}\n\
                \x20   name: a\n  - name: b\n    image: \"{{ .Values.registry }}/b:1\" # why\n  \
                - image: {{ template \"x\" . }}\n{{ end }}\n";
    let values = json!({"images": {"web": "quay.io/x/web:1"}, "registry": "quay.io"});
    assert_snapshot!(super::manifest("m.yaml", text, &values), @r#"
    quay.io/b:1
      scan       m.yaml:7  image
    quay.io/x/web:1
      scan       m.yaml:4  image
    not resolved: '{{ template "x" . }}': a template stands in it
      scan       m.yaml:8  image
    "#);
}
