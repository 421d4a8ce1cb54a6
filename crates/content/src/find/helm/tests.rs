use serde_json::json;

use super::*;

/// The Helm that tests may run; without one the test is skipped.
pub(crate) fn helm() -> Option<Helm> {
    let path = isoforge_judges::named_by("ISOFORGE_TEST_HELM", "program of Helm");
    path.map(|path| Helm::at(&path))
}

fn chart(template: &str, defaults: &str) -> Chart {
    let files = [
        ("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"),
        ("c/templates/a.yaml", template),
        ("c/values.yaml", defaults),
    ];
    Chart::archive("c.tgz", &crate::testing::packed(&files)).unwrap()
}

fn release<'a>(values: &'a Value) -> Release<'a> {
    Release {
        name: "rel",
        namespace: Some("space"),
        values,
        kubernetes: Some("1.32.3"),
    }
}

#[test]
fn values_arrive_as_they_are() {
    let Some(helm) = helm() else { return };
    let values = json!({
        "texts": ["yes", "y", "on", "null", "~", "0644", "1_000", "0x1F", "1e3", "1.0", "2020-01-01",
                  "1:30", "", " a ", "- x", "a: b", "#c", "{{ x }}", "multi\n  line\n", "ä\t\"'\\", "|"],
        "numbers": [0, -1, 420, 1.5],
        "others": [true, null, {}, []],
        "a.b/c": {"1": "x"},
    });
    let chart = chart("values: {{ toJson .Values | quote }}\n", "default: 1\n");
    let text = helm.template(&chart, release(&values)).unwrap();
    let rendered = yaml::document(&text).unwrap();
    let arrived: Value = serde_json::from_str(rendered.text_at("values").unwrap()).unwrap();
    let mut wanted = values.clone();
    wanted["default"] = json!(1);
    assert_eq!(arrived, wanted);
}

#[test]
fn release_and_version_arrive_and_tests_are_left_out() {
    let Some(helm) = helm() else { return };
    let template =
        "a: {{ .Release.Name }}-{{ .Release.Namespace }}-{{ .Capabilities.KubeVersion.Version }}\n";
    let text = helm
        .template(&chart(template, ""), release(&json!({})))
        .unwrap();
    assert!(text.contains("a: rel-space-v1.32.3"), "{text}");
    let hook = "kind: Pod\nmetadata: {name: t, annotations: {\"helm.sh/hook\": test}}\n";
    let text = helm
        .template(&chart(hook, ""), release(&json!({})))
        .unwrap();
    assert!(!text.contains("kind: Pod"), "{text}");
}

#[test]
fn a_chart_that_fails_gives_helms_reason() {
    let Some(helm) = helm() else { return };
    let chart = chart(
        "{{ required \"a password is wanted\" .Values.password }}\n",
        "",
    );
    let error = helm.template(&chart, release(&json!({}))).unwrap_err();
    assert_eq!(error.to_string(), "c.tgz can't be rendered");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("a password is wanted"), "{cause}");
}
