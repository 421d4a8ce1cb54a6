use serde_json::json;

use super::*;
use crate::testing::{packed, write};
use isoforge_base::error::{Class, Diagnose as _};

#[test]
fn a_folder_and_its_archive_are_the_same_chart() {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        (
            "Chart.yaml",
            "apiVersion: v2\nname: web\nversion: 1.2.3\nappVersion: \"9.0\"\nkubeVersion: '>=1.30'\n",
        ),
        ("values.yaml", "a: 1\n"),
        ("templates/a.yaml", "{{ .Values.a }}"),
    ];
    write(dir.path(), &files);
    let folder = Chart::open(dir.path()).unwrap();
    let bytes = folder.to_archive().unwrap();
    let archive = Chart::archive("web-1.2.3.tgz", &bytes).unwrap();
    assert_eq!(folder.meta, archive.meta);
    assert_eq!(archive.meta.app_version.as_deref(), Some("9.0"));
    assert_eq!(archive.values(), &json!({"a": 1}));
    assert_eq!(folder.digest().unwrap(), archive.digest().unwrap());
    assert_eq!(archive.digest().unwrap(), Digest::of(&bytes));
}

#[test]
fn dependencies_are_read_from_both_places_and_switched() {
    let inner = packed(&[("db/Chart.yaml", b"name: db\nversion: 1.0.0\n")]);
    let bytes = packed(&[
        ("c/Chart.yaml", b"apiVersion: v1\nname: c\nversion: 1.0.0\n".as_slice()),
        (
            "c/requirements.yaml",
            b"dependencies:\n- {name: db, version: 1.x, condition: 'x.on,db.enabled', tags: [all]}\n\
              - {name: gone, version: 1.x}\n",
        ),
        ("c/charts/db-1.0.0.tgz", &inner),
    ]);
    let chart = Chart::archive("c.tgz", &bytes).unwrap();
    assert!(chart.subchart("db").is_some());
    let missing: Vec<_> = chart
        .missing_dependencies()
        .iter()
        .map(|d| &d.name)
        .collect();
    assert_eq!(missing, ["gone"]);
    let on = |values: Value| !chart.subcharts_with(&values).is_empty();
    assert!(on(json!({})));
    assert!(!on(json!({"db": {"enabled": false}})));
    assert!(on(json!({"x": {"on": true}, "db": {"enabled": false}})));
    assert!(!on(json!({"tags": {"all": false}})));
    assert!(on(json!({"tags": {"all": false}, "db": {"enabled": true}})));
    let given = chart.subcharts_with(&json!({"global": {"r": 1}, "db": {"a": 2}}));
    assert_eq!(given[0].2, json!({"a": 2, "global": {"r": 1}}));
}

#[test]
fn what_is_no_chart_is_said_with_its_place() {
    let error = |files: &[(&str, &[u8])]| Chart::archive("c.tgz", &packed(files)).unwrap_err();
    let errors = [
        error(&[("c/values.yaml", b"a: 1")]),
        error(&[("c/Chart.yaml", b"name: c\n")]),
        error(&[("c/Chart.yaml", b"name: [c\n")]),
        error(&[
            ("c/Chart.yaml", b"name: c\nversion: 1.0.0"),
            ("c/values.yaml", b"a: b: c"),
        ]),
        error(&[
            ("c/Chart.yaml", b"name: c\nversion: 1.0.0"),
            ("c/charts/x.tgz", b"damaged"),
        ]),
    ];
    assert_eq!(errors[4].class(), Class::Verification);
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(texts.join("\n"), @r"
    'c.tgz' has no Chart.yaml
    c.tgz/Chart.yaml:1:1: a chart must have the text 'version'
    c.tgz/Chart.yaml:1:7: unclosed bracket '['
    c.tgz/values.yaml:1:5: mapping values are not allowed in this context
    'c.tgz/charts/x.tgz' is no archive that can be read: failed to read entire block
    ");
}
