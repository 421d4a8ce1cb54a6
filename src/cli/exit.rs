//! From an error to what the user reads and to the exit code.

use isoforge_base::error::{Class, Failure};
use isoforge_base::shown;

/// What the user gets to know of an error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Diagnosis {
    /// `error:`, the causes, and a `hint:` where there is one.
    pub(crate) text: String,
    /// Decides the exit code.
    pub(crate) class: Class,
}

/// What every error begins with.
const ERROR: &str = "error: ";

/// Describes an error.
pub(crate) fn diagnose(error: &Failure) -> Diagnosis {
    let class = error.class();
    let mut text = String::new();
    let mut last = String::new();
    for (depth, cause) in error.chain().enumerate() {
        let message = cause.to_string();
        // A message that quotes its cause has said it.
        if last.ends_with(&message) {
            continue;
        }
        if depth == 0 {
            // Problems of a profile say it of each.
            if !message.starts_with(ERROR) {
                text.push_str(ERROR);
            }
        } else {
            text.push_str("\n  caused by: ");
        }
        // Problems of a profile are whole texts of ours, which quote no line unescaped.
        text.push_str(&match message.starts_with(ERROR) {
            true => shown::lines(&message),
            false => shown::continued(&message),
        });
        last = message;
    }
    if let Some(hint) = error.hint() {
        text.push_str("\nhint: ");
        text.push_str(&shown::continued(&hint));
    } else if class == Class::Bug {
        text.push_str("\nhint: this is a defect of isoforge; please report it with this message");
    }
    Diagnosis { text, class }
}
