//! Commands as the documents write them, to be parsed by the program that they are for.

use std::path::Path;

/// A command of a document.
#[derive(Debug)]
pub struct Documented {
    /// File and line.
    pub place: String,
    /// The program's name and its arguments.
    pub words: Vec<String>,
    /// Whether it is to be typed as it stands; what a sentence names may lack arguments.
    pub is_whole: bool,
}

/// The commands of `program` in README.md, CONTRIBUTING.md and the pages of docs/ below
/// `root`: lines of blocks of code that begin with it, and spans of code in sentences.
pub fn commands(root: &Path, program: &str) -> Vec<Documented> {
    let mut files = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    for entry in std::fs::read_dir(root.join("docs")).unwrap() {
        files.push(entry.unwrap().path());
    }
    files.retain(|file| file.extension().is_some_and(|ending| ending == "md"));
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(root).unwrap().display().to_string();
        in_text(&name, &text, program, &mut found);
    }
    found
}

fn in_text(name: &str, text: &str, program: &str, found: &mut Vec<Documented>) {
    let mut is_code = false;
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            continue;
        }
        let mut add = |text: &str, is_whole| {
            if let Some(words) = words(text, program) {
                found.push(Documented {
                    place: format!("{name}:{number}"),
                    words,
                    is_whole,
                });
            }
        };
        if !is_code {
            let spans = line.split('`').skip(1).step_by(2);
            spans.for_each(|span| add(span, false));
            continue;
        }
        let mut whole = line.trim().to_owned();
        while let Some(open) = whole.strip_suffix('\\') {
            let next = lines
                .next()
                .map(|(_, line)| line.trim())
                .unwrap_or_default();
            whole = format!("{open}{next}");
        }
        add(&whole, true);
    }
}

/// The words of a command, without its comment; nothing where it is another program's
/// or a pattern such as `isoforge …`.
fn words(text: &str, program: &str) -> Option<Vec<String>> {
    let text = text.trim_start_matches("$ ").trim_start_matches("sudo ");
    let text = text.trim_start_matches("target/release/");
    let rest = text.strip_prefix(program)?;
    let is_pattern = rest.contains(['…', '|', '[', '<']);
    // What a page says about a command stands behind several blanks.
    let command = rest.split("   ").next().unwrap_or_default();
    if is_pattern || !command.starts_with(' ') {
        return None;
    }
    let mut words = vec![program.to_owned()];
    let mut quote = None;
    let (mut word, mut is_open) = (String::new(), false);
    for c in command.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => (quote, is_open) = (Some(c), true),
            (None, '#') if !is_open => break,
            (None, c) if c.is_whitespace() => {
                if std::mem::take(&mut is_open) {
                    words.push(std::mem::take(&mut word));
                }
            }
            (_, c) => {
                word.push(c);
                is_open = true;
            }
        }
    }
    if is_open {
        words.push(word);
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_without_comments_and_across_lines() {
        let text = "Say `x run` or `x …`.\n\n```\nx run 'a b' --at \"c: d\"  # why\nx build    all of it\n\
                    sudo x push \\\n  there\nother x\nx [NAME]\nxy\n```\n";
        let mut found = Vec::new();
        in_text("a.md", text, "x", &mut found);
        let shown: Vec<String> = found
            .iter()
            .map(|one| format!("{} {} {}", one.place, one.words.join("|"), one.is_whole))
            .collect();
        assert_eq!(
            shown,
            [
                "a.md:1 x|run false",
                "a.md:4 x|run|a b|--at|c: d true",
                "a.md:5 x|build true",
                "a.md:6 x|push|there true",
            ]
        );
    }
}
