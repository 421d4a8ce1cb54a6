use super::*;

#[test]
fn values_and_places_come_out_of_all_documents() {
    let text = "# only a comment\n---\na: 1\nb: [x, yes, 1.50]\n---\n---\n{\"c\": {\"1.10\": ~}}\n";
    let nodes = documents(text).unwrap();
    let shown: Vec<String> = nodes.iter().map(|n| n.to_json().to_string()).collect();
    assert_eq!(
        shown,
        [r#"{"a":1,"b":["x",true,1.5]}"#, r#"{"c":{"1.10":null}}"#]
    );
    let b = nodes[0].get("b").unwrap();
    assert_eq!((b.line, b.items()[1].line, b.items()[1].column), (4, 4, 8));
    assert_eq!(documents("").unwrap(), []);
    assert_eq!(document("# nothing\n").unwrap().value, Value::Null);
}

#[test]
fn numbers_are_those_of_kubernetes() {
    let text = "[0644, 0o644, 0x1F, -7, 1e3, 1.0, '0644', 08, 0.5, 1.25e-3]";
    let json = document(text).unwrap().to_json();
    let wanted = serde_json::json!([420, 420, 31, -7, 1000, 1, "0644", 8, 0.5, 0.00125]);
    assert_eq!(json, wanted);
}

#[test]
fn of_a_key_that_is_there_twice_the_last_counts() {
    let text = "image: a\nother: 1\nimage: b\n";
    assert_eq!(document(text).unwrap().text_at("image"), Some("b"));
    let error = strict(text).unwrap_err();
    assert_eq!(error.line, 3, "{error}");
}

#[test]
fn anchors_and_merge_keys_are_followed() {
    let text = "base: &base {image: a, tag: v1}\nx:\n  <<: *base\n  tag: v2\n";
    let x = document(text).unwrap().get("x").unwrap().to_json();
    assert_eq!(x, serde_json::json!({"image": "a", "tag": "v2"}));
}

#[test]
fn keys_that_are_no_texts_stay_as_written() {
    let node = document("1.10: a\nyes: b\n0x1F: c\n").unwrap();
    let keys: Vec<_> = node.entries().iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["1.10", "yes", "0x1F"]);
}

#[test]
fn what_is_no_yaml_has_a_place() {
    let error = documents("a: 1\nb: [1\nc: {\n").unwrap_err().of("x.yaml");
    let text = error.to_string();
    assert!(text.starts_with("x.yaml:"), "{text}");
    assert!(documents(&"[".repeat(100_000)).is_err());
    assert!(documents("a: \0").is_err());
    let error = documents("a:\n  b: {{ .Values.x }}\n").unwrap_err();
    assert_eq!((error.line, error.column), (2, 7), "{error}");
}

#[test]
fn lines_of_a_quoted_text_need_no_indent() {
    let text = "---\na: 1\n---\n  b: 'one\n two\n three'\n  c: {d: x}\n---\ne: \"f\ng\"\n";
    let nodes = documents(text).unwrap();
    assert_eq!(nodes[1].text_at("b"), Some("one two three"));
    assert_eq!(nodes[1].get("c").unwrap().line, 7);
    assert_eq!(nodes[2].text_at("e"), Some("f g"));
}

#[test]
fn what_is_written_reads_the_same() {
    let value = serde_json::json!({
        "z": "yes", "a": "1.10", "multi": "one\n two\n\nthree\n", "list": [{"x": null}, []],
        "long": "word ".repeat(60), "macro": "{{ .spectro.x }}", "number": 1.5, "": "#"
    });
    let text = write("a test", &value).unwrap();
    assert_eq!(document(&text).unwrap().to_json(), value);
}
