//! Filters that make text of values so that no value can break out of its
//! place: Tera itself escapes nothing in configuration files.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;
use tera::{Error, Kwargs, State, Tera, TeraResult, Value};

/// Deepest indentation that `yaml_block` takes.
const MAX_INDENT: usize = 64;

/// Adds all filters.
pub(super) fn register(tera: &mut Tera) {
    tera.register_filter("yaml", |value: &Value, _: Kwargs, _: &State| {
        Ok::<_, Error>(flow(&json(value, "yaml")?))
    });
    tera.register_filter("json", |value: &Value, _: Kwargs, _: &State| {
        Ok::<_, Error>(flow(&json(value, "json")?))
    });
    tera.register_filter("yaml_block", yaml_block);
    tera.register_filter("sh", sh);
    tera.register_filter("b64", |value: &Value, _: Kwargs, _: &State| {
        Ok::<_, Error>(STANDARD.encode(text(value, "b64")?))
    });
    tera.register_filter("issue", |value: &Value, _: Kwargs, _: &State| {
        Ok::<_, Error>(issue(&text(value, "issue")?))
    });
}

/// Tera hands undefined values to filters without a word.
fn json(value: &Value, filter: &str) -> TeraResult<Json> {
    if value.is_undefined() {
        return Err(Error::message(format!(
            "the value given to the filter `{filter}` is not defined"
        )));
    }
    serde_json::to_value(value)
        .map_err(|e| Error::chain(format!("the filter `{filter}` can't show this value"), e))
}

/// A text, number or boolean as text.
fn text(value: &Value, filter: &str) -> TeraResult<String> {
    match json(value, filter)? {
        Json::String(text) => Ok(text),
        Json::Number(number) => Ok(number.to_string()),
        Json::Bool(value) => Ok(value.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => Err(Error::message(format!(
            "the filter `{filter}` takes a text, not {}",
            value.name()
        ))),
    }
}

/// A value in YAML's flow style, which is JSON too. Every text is in double
/// quotes, so `yes`, `on`, `0644` and `null` stay texts for YAML 1.1 readers.
fn flow(value: &Json) -> String {
    match value {
        Json::String(text) => quote(text),
        Json::Array(items) => {
            let items: Vec<_> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(key, value)| format!("{}: {}", quote(key), flow(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => value.to_string(),
    }
}

/// A text in double quotes for YAML 1.1, YAML 1.2 and JSON alike, in one line.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Control characters, and those that YAML 1.1 takes as line breaks
            // or not at all.
            '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A map or list in YAML's block style, each line indented by `indent` spaces.
fn yaml_block(value: &Value, kwargs: Kwargs, _: &State) -> TeraResult<String> {
    let indent = kwargs.get::<usize>("indent")?.unwrap_or(0);
    if indent > MAX_INDENT {
        return Err(Error::message(format!(
            "the filter `yaml_block` indents by at most {MAX_INDENT} spaces"
        )));
    }
    let mut out = String::new();
    block(&json(value, "yaml_block")?, indent, &mut out);
    out.truncate(out.trim_end().len());
    Ok(out)
}

fn block(value: &Json, indent: usize, out: &mut String) {
    let margin = " ".repeat(indent);
    match value {
        Json::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let _ = write!(out, "{margin}{}:", block_key(key));
                if is_filled(value) {
                    out.push('\n');
                    block(value, indent + 2, out);
                } else {
                    let _ = writeln!(out, " {}", flow(value));
                }
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for item in items {
                let mut text = String::new();
                block(item, indent + 2, &mut text);
                // The item's first line stands behind the dash.
                let first = text.get(indent + 2..).unwrap_or_default();
                let _ = write!(out, "{margin}- {first}");
            }
        }
        scalar => {
            let _ = writeln!(out, "{margin}{}", flow(scalar));
        }
    }
}

fn is_filled(value: &Json) -> bool {
    match value {
        Json::Object(entries) => !entries.is_empty(),
        Json::Array(items) => !items.is_empty(),
        _ => false,
    }
}

/// A key without quotes where no YAML reader could take it for anything else.
fn block_key(key: &str) -> String {
    let is_word = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    let is_special = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
        .contains(&key.to_ascii_lowercase().as_str());
    if is_word && !is_special {
        key.to_owned()
    } else {
        quote(key)
    }
}

/// One word for a POSIX shell.
fn sh(value: &Value, _: Kwargs, _: &State) -> TeraResult<String> {
    let text = text(value, "sh")?;
    if text.contains('\0') {
        return Err(Error::message("no shell word can hold a NUL character"));
    }
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}

/// A text as agetty shows it: its escapes begin with a backslash; control
/// characters would act on the terminal.
fn issue(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .replace('\\', r"\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str, value: Json) -> String {
        let mut tera = Tera::new();
        tera.autoescape_on(Vec::<String>::new());
        register(&mut tera);
        tera.add_raw_template("t", template).unwrap();
        let mut context = tera::Context::new();
        context.insert("v", &value);
        tera.render("t", &context).unwrap_or_else(|e| e.to_string())
    }

    #[test]
    fn texts_stay_texts_for_every_yaml_reader() {
        for text in [
            "yes",
            "on",
            "0644",
            "1e3",
            "null",
            "~",
            "",
            " ",
            "a: b",
            "- x",
            "#c",
            "{{ .X }}",
            "*a",
            "!t",
            "line\nusers:\n  - name: evil",
            "\"",
            "\\",
            "'",
            "tab\t",
            "\u{85}\u{2028}\u{feff}\u{7f}",
            "é😀",
        ] {
            let yaml = format!("k: {}\nlast: 1\n", render("{{ v | yaml }}", text.into()));
            let back: std::collections::BTreeMap<String, String> =
                serde_saphyr::from_str(&yaml).unwrap();
            assert_eq!((back["k"].as_str(), back.len()), (text, 2), "{yaml}");
            assert_eq!(yaml.lines().count(), 2, "{yaml}");
            let json = render("{{ v | json }}", text.into());
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }

    #[test]
    fn structures_in_flow_and_block_style_mean_the_same() {
        let value = serde_json::json!({
            "boot": [{"name": "a: b", "commands": ["x", "y\nz"]}, {"files": []}, 7, null],
            "network": {"deep": {"list": [[1, 2], ["three"]]}}, "empty": {}, "on": 1,
            "a: b": [[{"x": 1, "y": 2}]],
        });
        for template in ["k: {{ v | yaml }}", "k:\n{{ v | yaml_block(indent=4) }}"] {
            let text = render(template, value.clone());
            let back: Json = serde_saphyr::from_str(&text).unwrap();
            assert_eq!(back["k"], value, "{text}");
        }
        insta::assert_snapshot!(render("{{ v | yaml_block(indent=2) }}", value), @r#"
        boot:
          - name: "a: b"
            commands:
              - "x"
              - "y\nz"
          - files: []
          - 7
          - null
        network:
          deep:
            list:
              - - 1
                - 2
              - - "three"
        empty: {}
        "on": 1
        "a: b":
          - - x: 1
              "y": 2
        "#);
    }

    #[test]
    fn shell_words_base64_and_issue_texts() {
        assert_eq!(render("{{ v | sh }}", "a'b $(x)".into()), r"'a'\''b $(x)'");
        assert_eq!(render("{{ v | b64 }}", "a\n".into()), "YQo=");
        assert_eq!(
            render("{{ v | issue }}", "1\\2\n\x1b[3".into()),
            r"1\\2  [3"
        );
        assert!(render("{{ v | sh }}", "a\0".into()).contains("NUL"));
    }

    #[test]
    fn undefined_values_and_wrong_types_are_errors() {
        for filter in ["yaml", "json", "yaml_block", "sh", "b64", "issue"] {
            let text = render(&format!("{{{{ v.x | {filter} }}}}"), serde_json::json!({}));
            assert!(text.contains("is not defined"), "{text}");
        }
        for filter in ["sh", "b64", "issue"] {
            let text = render(&format!("{{{{ v | {filter} }}}}"), serde_json::json!([1]));
            assert!(text.contains("takes a text"), "{text}");
        }
    }
}
