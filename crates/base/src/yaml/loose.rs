//! Quoted texts whose further lines are not indented.

use super::{Dialect, Node, Refused};

/// What the parser says of one. YAML 1.2 forbids it; libyaml and Go's parsers
/// take it, and tools that write custom resource definitions write it.
const LOOSE_QUOTED: &str = "invalid indentation in multiline quoted scalar";
/// Put before such a line.
const REPAIR: &str = "        ";
/// Most such lines of one document.
const MAX_REPAIRS: usize = 2_000;
/// Most bytes that are read again for them, since each costs another reading.
const MAX_REPAIR_BYTES: usize = 1024 * 1024 * 1024;

/// The documents of a text in which there may be some.
pub(super) fn parse(text: &str, dialect: Dialect) -> Result<Vec<Node>, Refused> {
    match super::parse(text, dialect) {
        Err(error) if error.problem == LOOSE_QUOTED => parse_loose(text, dialect),
        other => other,
    }
}

/// Reads the documents one by one and indents the lines that are in the way:
/// space at the beginning of a quoted text's line does not belong to it.
fn parse_loose(text: &str, dialect: Dialect) -> Result<Vec<Node>, Refused> {
    let mut nodes = Vec::new();
    for (lines_before, document) in parted(text) {
        // So that places are those in the whole text.
        let mut lines: Vec<String> = vec![String::new(); lines_before];
        lines.extend(document.lines().map(str::to_owned));
        let mut left = MAX_REPAIRS.min(MAX_REPAIR_BYTES / document.len().max(1));
        let parsed = loop {
            match super::parse(&lines.join("\n"), dialect) {
                Err(error) if error.problem == LOOSE_QUOTED && left > 0 => {
                    left -= 1;
                    let at = usize::try_from(error.line).unwrap_or(0).checked_sub(1);
                    match at.and_then(|at| lines.get_mut(at)) {
                        Some(line) => line.insert_str(0, REPAIR),
                        None => return Err(error),
                    }
                }
                other => break other?,
            }
        };
        nodes.extend(parsed);
    }
    Ok(nodes)
}

/// The documents of a text, each with the number of lines before it.
fn parted(text: &str) -> Vec<(usize, String)> {
    let mut parts = vec![(0, String::new())];
    for (number, line) in text.lines().enumerate() {
        if line == "---" || line.starts_with("--- ") {
            parts.push((number, String::new()));
        }
        if let Some((_, part)) = parts.last_mut() {
            part.push_str(line);
            part.push('\n');
        }
    }
    parts
}
