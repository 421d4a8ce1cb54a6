//! Fields that are typed into or chosen from, and the way between them.

use std::fmt;

use super::key::Key;

/// Longest value of a field, in characters: an RSA key of 16,384 bits fits.
const VALUE_MAX: usize = 4096;

/// How a field takes its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Typed.
    Text,
    /// Typed, and not shown.
    Secret,
    /// One of these, by arrows.
    Choice(Vec<String>),
}

#[derive(Clone)]
pub(crate) struct Field {
    /// What stands before it.
    pub(crate) label: &'static str,
    /// How it takes its value.
    pub(crate) kind: Kind,
    /// What was typed.
    value: Vec<char>,
    /// Characters before the cursor.
    cursor: usize,
    /// Which one of the choices.
    pub(crate) chosen: usize,
    /// Whether it matters as things stand.
    pub(crate) enabled: bool,
}

impl fmt::Debug for Field {
    /// Without the value: it may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Field")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

impl Field {
    fn new(label: &'static str, kind: Kind, value: &str) -> Self {
        let value: Vec<char> = value.chars().collect();
        Self {
            label,
            kind,
            cursor: value.len(),
            value,
            chosen: 0,
            enabled: true,
        }
    }

    /// A field that is typed into.
    pub(crate) fn text(label: &'static str, value: &str) -> Self {
        Self::new(label, Kind::Text, value)
    }

    /// A field whose value is not shown.
    pub(crate) fn secret(label: &'static str) -> Self {
        Self::new(label, Kind::Secret, "")
    }

    /// A field with a choice.
    pub(crate) fn choice(label: &'static str, choices: Vec<String>) -> Self {
        Self::new(label, Kind::Choice(choices), "")
    }

    /// What was typed.
    pub(crate) fn value(&self) -> String {
        self.value.iter().collect()
    }

    /// What is shown within `width` columns, and the cursor's column. The part
    /// around the cursor is shown of what is longer.
    pub(crate) fn shown(&self, width: usize) -> (String, usize) {
        let room = width.saturating_sub(1).max(1);
        let start = self.cursor.saturating_sub(room);
        let shown = self.value.iter().skip(start).take(width);
        let text = match self.kind {
            Kind::Secret => shown.map(|_| '*').collect(),
            _ => shown.collect(),
        };
        (text, self.cursor - start)
    }

    fn key(&mut self, key: Key) {
        if let Kind::Choice(choices) = &self.kind {
            let count = choices.len().max(1);
            match key {
                Key::Left => self.chosen = (self.chosen + count - 1) % count,
                Key::Right | Key::Char(' ') => self.chosen = (self.chosen + 1) % count,
                _ => {}
            }
            return;
        }
        match key {
            Key::Left => self.cursor = self.cursor.saturating_sub(1),
            Key::Right => self.cursor = (self.cursor + 1).min(self.value.len()),
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = self.value.len(),
            Key::Char(c) if self.value.len() < VALUE_MAX => {
                self.value.insert(self.cursor, c);
                self.cursor += 1;
            }
            Key::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.value.remove(self.cursor);
            }
            Key::Delete if self.cursor < self.value.len() => {
                self.value.remove(self.cursor);
            }
            _ => {}
        }
    }
}

/// What a key meant to a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It goes on.
    Stay,
    /// ENTER in the last field.
    Submit,
    /// ESC.
    Back,
}

/// Fields among which one has the cursor.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// In order.
    pub(crate) fields: Vec<Field>,
    /// The one with the cursor.
    pub(crate) focus: usize,
    /// What is wrong with what was submitted.
    pub(crate) error: Option<String>,
}

impl Form {
    /// A form with the cursor in its first field.
    pub(crate) fn new(fields: Vec<Field>) -> Self {
        Self {
            fields,
            focus: 0,
            error: None,
        }
    }

    /// The value of a field.
    pub(crate) fn value(&self, index: usize) -> String {
        self.fields.get(index).map(Field::value).unwrap_or_default()
    }

    /// The choice of a field.
    pub(crate) fn chosen(&self, index: usize) -> usize {
        self.fields.get(index).map_or(0, |field| field.chosen)
    }

    /// Switches a field on or off.
    pub(crate) fn enable(&mut self, index: usize, enabled: bool) {
        if let Some(field) = self.fields.get_mut(index) {
            field.enabled = enabled;
        }
    }

    /// Tells what is wrong with a field, and moves the cursor there.
    pub(crate) fn refuse(&mut self, index: usize, error: String) {
        self.focus = index;
        self.error = Some(error);
    }

    /// Takes a key.
    pub(crate) fn key(&mut self, key: Key) -> Outcome {
        self.error = None;
        match key {
            Key::Esc => return Outcome::Back,
            Key::Tab | Key::Down => self.focus = self.next().unwrap_or_else(|| self.first()),
            Key::BackTab | Key::Up => self.focus = self.previous().unwrap_or_else(|| self.last()),
            Key::Enter => match self.next() {
                Some(next) => self.focus = next,
                None => return Outcome::Submit,
            },
            _ => {
                if let Some(field) = self.fields.get_mut(self.focus) {
                    field.key(key);
                }
            }
        }
        Outcome::Stay
    }

    fn enabled(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        let fields = self.fields.iter().enumerate();
        fields.filter(|(_, field)| field.enabled).map(|(i, _)| i)
    }

    fn first(&self) -> usize {
        self.enabled().next().unwrap_or(0)
    }

    fn last(&self) -> usize {
        self.enabled().next_back().unwrap_or(0)
    }

    fn next(&self) -> Option<usize> {
        self.enabled().find(|index| *index > self.focus)
    }

    fn previous(&self) -> Option<usize> {
        self.enabled().rfind(|index| *index < self.focus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Form {
        Form::new(vec![
            Field::text("Name", "ab"),
            Field::choice("How", vec!["one".to_owned(), "two".to_owned()]),
            Field::secret("Word"),
        ])
    }

    fn press(form: &mut Form, keys: &[Key]) -> Outcome {
        keys.iter().fold(Outcome::Stay, |_, key| form.key(*key))
    }

    #[test]
    fn text_is_edited_at_the_cursor() {
        let mut form = form();
        let left = [
            Key::Left,
            Key::Char('x'),
            Key::Home,
            Key::Char('ß'),
            Key::Delete,
        ];
        press(&mut form, &left);
        assert_eq!(form.value(0), "ßxb");
        press(
            &mut form,
            &[Key::End, Key::Right, Key::Backspace, Key::Delete],
        );
        assert_eq!(form.value(0), "ßx");
        press(&mut form, &[Key::Home, Key::Backspace, Key::Left]);
        assert_eq!(form.value(0), "ßx");
    }

    #[test]
    fn the_way_between_fields_leads_around_and_past_what_is_off() {
        let mut form = form();
        form.enable(1, false);
        press(&mut form, &[Key::Tab]);
        assert_eq!(form.focus, 2);
        press(&mut form, &[Key::Down]);
        assert_eq!(form.focus, 0);
        press(&mut form, &[Key::BackTab, Key::Up]);
        assert_eq!(form.focus, 0);
        assert_eq!(press(&mut form, &[Key::Enter]), Outcome::Stay);
        assert_eq!(press(&mut form, &[Key::Enter]), Outcome::Submit);
        assert_eq!(press(&mut form, &[Key::Esc]), Outcome::Back);
    }

    #[test]
    fn choices_go_around() {
        let mut form = form();
        press(&mut form, &[Key::Tab, Key::Right]);
        assert_eq!(form.chosen(1), 1);
        press(&mut form, &[Key::Char(' '), Key::Left]);
        assert_eq!(form.chosen(1), 1);
    }

    #[test]
    fn a_secret_is_not_shown_and_a_long_value_around_its_cursor() {
        let mut form = form();
        press(&mut form, &[Key::BackTab, Key::Char('p'), Key::Char('w')]);
        assert_eq!(form.fields[2].shown(10), ("**".to_owned(), 2));
        assert!(!format!("{form:?}").contains("pw"));
        let long = Field::text("Long", "0123456789");
        assert_eq!(long.shown(5), ("6789".to_owned(), 4));
        assert_eq!(long.shown(0), ("".to_owned(), 1));
    }

    #[test]
    fn a_value_has_an_end() {
        let mut form = form();
        for _ in 0..VALUE_MAX + 10 {
            form.key(Key::Char('x'));
        }
        assert_eq!(form.value(0).chars().count(), VALUE_MAX);
    }
}
