//! Images in manifests: YAML with any number of documents, or JSON.

use super::objects::Search;
use super::{Images, Method, Rule};
use crate::Error;
use crate::macros;
use crate::yaml;
use isoforge_base::yaml::Value;

/// Endings of files that are manifests.
const ENDINGS: [&str; 3] = [".yaml", ".yml", ".json"];

/// Whether a file is a manifest by its name.
pub(crate) fn is_manifest(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    !name.starts_with('.') && ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The images of a manifest's text; `file` is what messages call it.
///
/// # Errors
/// [`Error::Syntax`] where the text is no YAML, or a document of it no object.
pub fn images(file: &str, text: &str, rules: &[Rule]) -> Result<Images, Error> {
    let mut out = Images::default();
    let documents = macros::documents(text).map_err(|refused| Error::syntax(file, refused))?;
    let search = Search {
        method: Method::Manifests,
        file,
        has_lines: true,
        rules,
    };
    for document in &documents {
        if !matches!(document.value, Value::Map(_) | Value::List(_)) {
            return Err(Error::Syntax {
                file: file.to_owned(),
                line: document.line,
                column: document.column,
                problem: format!("{} is no object of Kubernetes", document.kind()),
            });
        }
        search.document(document, &mut out);
    }
    out.settle();
    Ok(out)
}

/// The images of objects that were rendered from a chart. `# Source:` comments,
/// as Helm writes them, name the files; `chart` stands before them.
///
/// # Errors
/// [`Error::Syntax`] where a document is no YAML.
pub(crate) fn rendered(chart: &str, text: &str, rules: &[Rule]) -> Result<Images, Error> {
    made(Method::Helm, chart, text, rules)
}

/// The images of objects that a program made, with the file that each says it comes
/// from; `of` is what they were made of.
///
/// # Errors
/// [`Error::Syntax`] where a document is no YAML.
pub(super) fn made(method: Method, of: &str, text: &str, rules: &[Rule]) -> Result<Images, Error> {
    let mut out = Images::default();
    for (source, document) in parts(text) {
        let file = match source {
            Some(source) => format!("{of}: {source}"),
            None => of.to_owned(),
        };
        let documents =
            yaml::documents(&document).map_err(|refused| Error::syntax(&file, refused))?;
        let search = Search {
            method,
            file: &file,
            has_lines: false,
            rules,
        };
        for document in &documents {
            search.document(document, &mut out);
        }
    }
    out.settle();
    Ok(out)
}

/// The documents of a rendered text, each with the file that it comes from.
fn parts(text: &str) -> Vec<(Option<String>, String)> {
    let mut parts = vec![(None, String::new())];
    for line in text.lines() {
        if line.trim_end() == "---" {
            parts.push((None, String::new()));
            continue;
        }
        let Some((source, document)) = parts.last_mut() else {
            break;
        };
        match line.strip_prefix("# Source: ") {
            Some(file) if document.trim().is_empty() => *source = Some(file.trim().to_owned()),
            _ => {
                document.push_str(line);
                document.push('\n');
            }
        }
    }
    parts
}
