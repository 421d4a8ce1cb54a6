//! Typed access to a checked tree. Wrong types were reported by the check
//! against the key table, so a reader passes over them in silence; it reports
//! values of the right type but the wrong form.

use std::path::PathBuf;

use super::leaf;
use super::placeholder::{self, ImageTemplate, PathTemplate, Target};
use super::problem::{Bad, Report};
use super::schema::secret_in;
use super::secret::SecretRef;
use super::source::{Place, Sources};
use super::value::{Node, Table, Value};

/// Reads one table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    table: Option<&'a Table>,
    sources: &'a Sources,
    report: &'a Report,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(table: &'a Table, sources: &'a Sources, report: &'a Report) -> Self {
        Self {
            table: Some(table),
            sources,
            report,
        }
    }

    pub(crate) fn node(&self, name: &str) -> Option<&'a Node> {
        self.table?.get(name).map(|entry| &entry.node)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.node(name).is_some()
    }

    pub(crate) fn bad(&self, place: Place, bad: Bad) {
        self.report.bad(place, bad);
    }

    /// The table `name`; an empty one where there is none.
    pub(crate) fn table(&self, name: &str) -> Self {
        Self {
            table: self.node(name).and_then(|n| n.value.table()),
            ..*self
        }
    }

    pub(crate) fn tables(&self, name: &str) -> Vec<Self> {
        self.list(name)
            .iter()
            .filter_map(|item| item.value.table())
            .map(|table| Self {
                table: Some(table),
                ..*self
            })
            .collect()
    }

    fn list(&self, name: &str) -> &'a [Node] {
        self.node(name)
            .and_then(|n| n.value.list())
            .unwrap_or_default()
    }

    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.node(name)?.value.text()
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match self.node(name)?.value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    pub(crate) fn integer<T: TryFrom<i64>>(&self, name: &str) -> Option<T> {
        match self.node(name)?.value {
            Value::Integer(i) => T::try_from(i).ok(),
            _ => None,
        }
    }

    /// The string `name` in the form that `parse` knows.
    pub(crate) fn parsed<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, Bad>,
    ) -> Option<T> {
        self.parse_node(self.node(name)?, &parse)
    }

    /// Each string of the array `name`; a single string counts as an array.
    pub(crate) fn parsed_list<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, Bad>,
    ) -> Vec<T> {
        let nodes = match self.node(name) {
            Some(node) if node.value.text().is_some() => std::slice::from_ref(node),
            _ => self.list(name),
        };
        nodes
            .iter()
            .filter_map(|node| self.parse_node(node, &parse))
            .collect()
    }

    fn parse_node<T>(&self, node: &Node, parse: impl Fn(&str) -> Result<T, Bad>) -> Option<T> {
        self.checked(node.place, parse(node.value.text()?))
    }

    fn checked<T>(&self, place: Place, result: Result<T, Bad>) -> Option<T> {
        result.map_err(|bad| self.bad(place, bad)).ok()
    }

    pub(crate) fn size(&self, name: &str) -> Option<u64> {
        let node = self.node(name)?;
        let size = match &node.value {
            Value::Text(text) => leaf::size(text),
            Value::Integer(i) => leaf::size(&i.to_string()),
            _ => return None,
        };
        self.checked(node.place, size)
    }

    pub(crate) fn block_size(&self, name: &str) -> Option<u32> {
        let size = self.size(name)?;
        self.checked(self.node(name)?.place, leaf::block_size(size))
    }

    pub(crate) fn mode(&self, name: &str) -> Option<u32> {
        let node = self.node(name)?;
        let mode = match &node.value {
            Value::Text(text) => leaf::mode_text(text),
            Value::Integer(i) => leaf::mode_number(*i),
            _ => return None,
        };
        self.checked(node.place, mode)
    }

    /// A path, joined to the directory of the file that wrote it.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.path_of(self.node(name)?)
    }

    pub(crate) fn paths(&self, name: &str) -> Vec<PathBuf> {
        match self.node(name) {
            Some(node) if node.value.text().is_some() => self.path_of(node).into_iter().collect(),
            _ => self
                .list(name)
                .iter()
                .filter_map(|n| self.path_of(n))
                .collect(),
        }
    }

    /// Texts of which those without `://` are paths, joined as those are.
    pub(crate) fn places(&self, name: &str) -> Vec<String> {
        let place = |node: &Node| {
            let text = self.parse_node(node, leaf::one_line)?;
            if text.contains("://") {
                return Some(text);
            }
            let path = self.sources.directory(node.place.source).join(text);
            Some(path.display().to_string())
        };
        match self.node(name) {
            Some(node) if node.value.text().is_some() => place(node).into_iter().collect(),
            _ => self.list(name).iter().filter_map(place).collect(),
        }
    }

    fn path_of(&self, node: &Node) -> Option<PathBuf> {
        let text = self.parse_node(node, leaf::one_line)?;
        Some(self.sources.directory(node.place.source).join(text))
    }

    pub(crate) fn path_template(&self, name: &str, known: &[&str]) -> Option<PathTemplate> {
        let text = self.parsed(name, |text| {
            placeholder::check(text, known)?;
            leaf::one_line(text)
        })?;
        Some(PathTemplate {
            text,
            directory: self.directory_of(name),
        })
    }

    pub(crate) fn image_template(
        &self,
        name: &str,
        known: &[&str],
        targets: &[Target<'_>],
    ) -> Option<ImageTemplate> {
        let text = self.parsed(name, |text| {
            placeholder::image(text, known, targets)?;
            Ok(text.to_owned())
        })?;
        Some(ImageTemplate {
            text,
            directory: self.directory_of(name),
        })
    }

    fn directory_of(&self, name: &str) -> PathBuf {
        self.node(name)
            .map(|n| self.sources.directory(n.place.source).to_owned())
            .unwrap_or_default()
    }

    pub(crate) fn secret(&self, name: &str) -> Option<SecretRef> {
        self.secret_of(self.node(name)?)
    }

    pub(crate) fn secret_of(&self, node: &Node) -> Option<SecretRef> {
        let (kind, value) = secret_in(&node.value)?;
        match kind {
            "env" => self
                .parse_node(value, |text| {
                    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    if text.is_empty() || !text.chars().all(fine) {
                        return Err(Bad::new(
                            format!("'{text}' is not the name of an environment variable"),
                            "letters, digits and '_', such as EDGE_TOKEN",
                        ));
                    }
                    Ok(text.to_owned())
                })
                .map(SecretRef::Env),
            _ => self.path_of(value).map(SecretRef::File),
        }
    }
}
