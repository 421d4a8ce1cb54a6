use super::*;

/// The documents that are not empty.
fn documents(text: &str) -> Result<Vec<Node>, Refused> {
    let mut nodes = super::documents(text, Dialect::Kubernetes)?;
    nodes.retain(|node| !node.is_null());
    Ok(nodes)
}

fn document(text: &str) -> Result<Node, Refused> {
    let first = documents(text)?.into_iter().next();
    Ok(first.unwrap_or_else(Node::null))
}

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
    let error = super::documents(text, Dialect::KubernetesStrict).unwrap_err();
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
    let keys: Vec<_> = node.entries().map(|(key, _)| key).collect();
    assert_eq!(keys, ["1.10", "yes", "0x1F"]);
}

#[test]
fn what_is_no_yaml_has_a_place() {
    let error = documents("a: 1\nb: [1\nc: {\n").unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("3:2: "), "{text}");
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
fn scalars_keep_their_text() {
    let text = "ä: [0644, 0o644, 0x1F, yes, True, 1.50, '0644', ~, 1_000, &a 017, *a]\n";
    let root = super::documents(text, Dialect::CloudConfig)
        .unwrap()
        .remove(0);
    let items = root.get("ä").unwrap().items();
    let texts: Vec<_> = items.iter().map(|i| i.scalar().unwrap_or("-")).collect();
    assert_eq!(
        texts,
        [
            "0644", "0o644", "0x1F", "yes", "True", "1.50", "0644", "-", "1_000", "017", "017"
        ]
    );
    assert_eq!((items[1].line, items[1].column), (1, 11));
}

#[test]
fn keys_of_a_cloud_config_are_of_any_kind() {
    let text = "a: {{ x }}\n1: b\n";
    let root = super::documents(text, Dialect::CloudConfig)
        .unwrap()
        .remove(0);
    let kinds: Vec<_> = root.pairs().iter().map(|(key, _)| key.kind()).collect();
    assert_eq!(kinds, ["a text", "a number"]);
    assert_eq!(root.get("a").unwrap().pairs()[0].0.kind(), "a map");
    let twice = super::documents("a: 1\na: 2\n", Dialect::CloudConfig);
    assert_eq!(twice.unwrap_err().line, 2);
    assert!(super::documents(text, Dialect::Kubernetes).is_err());
}

#[test]
fn changed_texts_are_read_or_refused() {
    let whole = "a: &x [1, yes, 'b\nc', {d: 0644}]\n---\n<<: *x\n? {k: v}\n: |\n  text\n";
    fastrand::seed(14);
    for _ in 0..2_000 {
        let mut changed = whole.as_bytes().to_vec();
        let at = fastrand::usize(..changed.len());
        changed[at] = fastrand::u8(..);
        for dialect in [Dialect::CloudConfig, Dialect::Kubernetes] {
            let _ = super::documents(&String::from_utf8_lossy(&changed), dialect);
        }
    }
}
