//! Words and comments in scripts of GRUB's shell.

/// Quotes a word for GRUB's shell, in which double quotes leave `"`, `$` and
/// the backslash with a meaning (GRUB manual, section "Quoting"). Words of
/// plain characters stay as they are.
#[must_use]
pub fn quote(text: &str) -> String {
    let text = one_line(text);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:/=+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '$' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// The text on one line: control characters, line ends among them, become blanks.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
