//! What pages are drawn of: a frame with a head and a foot, texts, forms.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Paragraph, Wrap};

use super::form::{Form, Kind};

/// Fewest columns that the pages fit into.
const MIN_WIDTH: u16 = 60;

/// Fewest rows that the pages fit into.
const MIN_HEIGHT: u16 = 18;

/// Borders that every console can draw.
const BORDER: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// What has the cursor.
pub(crate) const SELECTED: Style = Style::new().add_modifier(Modifier::REVERSED);
/// What stands out.
pub(crate) const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
/// What can't be taken.
pub(crate) const GREY: Style = Style::new().fg(Color::DarkGray);
/// What is to be minded.
pub(crate) const WARN: Style = Style::new().fg(Color::Yellow);
/// What is wrong.
pub(crate) const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
/// What went well.
pub(crate) const GOOD: Style = Style::new().fg(Color::Green).add_modifier(Modifier::BOLD);
/// The first line.
const HEAD: Style = Style::new().fg(Color::White).bg(Color::Blue);

/// The answers to a question.
pub(crate) fn no_or_yes(yes: bool) -> Line<'static> {
    let button = |label: &str, chosen: bool| {
        let style = if chosen { SELECTED } else { Style::new() };
        Span::styled(format!("[ {label} ]"), style)
    };
    Line::from(vec![
        button("No", !yes),
        Span::raw("   "),
        button("Yes", yes),
    ])
}

/// Columns before the fields of a form.
const LABELS: u16 = 20;

/// What stands around a page.
pub(crate) struct Around<'a> {
    /// Left in the first row.
    pub(crate) title: String,
    /// Right in it.
    pub(crate) state: String,
    /// What the page is called.
    pub(crate) heading: &'a str,
    /// The last row but one.
    pub(crate) note: Line<'a>,
    /// The keys of the page; they fit the narrowest console.
    pub(crate) keys: &'a str,
    /// Most columns of all that; it stands in the middle of wider screens.
    pub(crate) columns_max: u16,
}

/// Draws what stands around a page, and by `page` the page itself. `who` needs a
/// terminal of a size.
pub(crate) fn around(
    who: &str,
    around: Around<'_>,
    frame: &mut Frame<'_>,
    page: impl FnOnce(&mut Frame<'_>, Rect),
) {
    let area = frame.area();
    if area.width < MIN_WIDTH || area.height < MIN_HEIGHT {
        too_small(who, frame, area);
    } else {
        let width = area.width.min(around.columns_max);
        let area = Rect {
            x: area.x + (area.width - width) / 2,
            width,
            ..area
        };
        let rows = [
            Constraint::Length(1),
            Constraint::Min(0),
            Constraint::Length(1),
            Constraint::Length(1),
        ];
        let [head, body, note, foot] = Layout::vertical(rows).areas(area);
        frame.buffer_mut().set_style(head, HEAD);
        frame.render_widget(Line::from(around.title), head);
        frame.render_widget(Line::from(around.state).right_aligned(), head);
        let inner = bordered(around.heading, frame, body);
        page(frame, inner);
        frame.render_widget(around.note, note);
        frame.render_widget(Line::styled(around.keys, SELECTED).centered(), foot);
        frame.buffer_mut().set_style(foot, SELECTED);
    }
    only_ascii(frame);
}

/// A border with a heading; gives what is within.
fn bordered(heading: &str, frame: &mut Frame<'_>, area: Rect) -> Rect {
    let block = Block::bordered()
        .border_set(BORDER)
        .title(format!(" {heading} "))
        .title_style(STRONG);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    Rect {
        x: inner.x + 1,
        width: inner.width.saturating_sub(2),
        ..inner
    }
}

fn too_small(who: &str, frame: &mut Frame<'_>, area: Rect) {
    let text = format!(
        "This terminal is too small: it has {}x{}, {who} needs {MIN_WIDTH}x{MIN_HEIGHT}.",
        area.width, area.height
    );
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
}

pub(crate) fn paragraph<'a>(frame: &mut Frame<'_>, area: Rect, text: impl Into<Text<'a>>) {
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }), area);
}

/// A text that may be longer than its area; the last row says so.
pub(crate) fn scrolled(frame: &mut Frame<'_>, area: Rect, text: Text<'_>, scroll: u16) {
    let lines = wrapped(&text, area.width);
    let hidden = lines.saturating_sub(area.height);
    if hidden == 0 {
        paragraph(frame, area, text);
        return;
    }
    let [above, below] = Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(area);
    let hidden = lines.saturating_sub(above.height);
    let scroll = scroll.min(hidden);
    let paragraph = Paragraph::new(text).wrap(Wrap { trim: false });
    frame.render_widget(paragraph.scroll((scroll, 0)), above);
    let more = if scroll < hidden {
        "-- more: down --"
    } else {
        "-- end --"
    };
    frame.render_widget(Line::styled(more, GREY).right_aligned(), below);
}

/// Rows of a text that is wrapped, and one more where words are long: they may
/// leave gaps.
pub(crate) fn wrapped(text: &Text<'_>, width: u16) -> u16 {
    let width = usize::from(width.max(1));
    let rows: usize = text
        .lines
        .iter()
        .map(|line| wrapped_line(line, width))
        .sum();
    u16::try_from(rows).unwrap_or(u16::MAX)
}

/// Rows of a line that is broken between words.
fn wrapped_line(line: &Line<'_>, width: usize) -> usize {
    let (mut rows, mut used) = (1, 0);
    for word in line.to_string().split(' ') {
        let length = word.chars().count();
        if used > 0 && used + length > width {
            rows += 1;
            used = 0;
        }
        // A word that is longer than a row is broken within.
        rows += length.saturating_sub(1) / width;
        used = (used + length) % (width + 1) + 1;
    }
    rows
}

/// Fields below each other, the error below them.
pub(crate) fn form(form: &Form, intro: &str, frame: &mut Frame<'_>, area: Rect) {
    let intro = Text::from(intro);
    let rows = [
        Constraint::Length(wrapped(&intro, area.width) + 1),
        Constraint::Length(u16::try_from(form.fields.len()).unwrap_or(u16::MAX) * 2),
        Constraint::Min(0),
    ];
    let [above, middle, below] = Layout::vertical(rows).areas(area);
    paragraph(frame, above, intro);
    let places = (middle.y..middle.bottom()).step_by(2);
    for (index, y) in (0..form.fields.len()).zip(places) {
        let row = Rect {
            y,
            height: 1,
            ..middle
        };
        field(form, index, frame, row);
    }
    if let Some(error) = &form.error {
        paragraph(frame, below, Text::styled(error.as_str(), BAD));
    }
}

fn field(form: &Form, index: usize, frame: &mut Frame<'_>, row: Rect) {
    let Some(field) = form.fields.get(index) else {
        return;
    };
    let [label, value] =
        Layout::horizontal([Constraint::Length(LABELS), Constraint::Min(0)]).areas(row);
    let focused = form.focus == index;
    let style = match (field.enabled, focused) {
        (false, _) => GREY,
        (true, true) => STRONG,
        (true, false) => Style::new(),
    };
    frame.render_widget(Line::styled(field.label, style), label);
    if !field.enabled {
        frame.render_widget(Line::styled("-", GREY), value);
        return;
    }
    if let Kind::Choice(choices) = &field.kind {
        let choice = choices.get(field.chosen).map_or("", String::as_str);
        let style = if focused { SELECTED } else { style };
        frame.render_widget(Line::styled(format!("< {choice} >"), style), value);
        return;
    }
    let (text, cursor) = field.shown(usize::from(value.width));
    let filled = format!("{text:_<width$}", width = usize::from(value.width));
    frame.render_widget(Line::styled(filled, style), value);
    if focused {
        let column = u16::try_from(cursor).unwrap_or(0);
        frame.set_cursor_position((value.x + column, value.y));
    }
}

/// What a disk or a program calls itself may hold anything; a console may
/// not be able to show it.
fn only_ascii(frame: &mut Frame<'_>) {
    for cell in &mut frame.buffer_mut().content {
        let known = match cell.symbol() {
            "\u{2026}" => ".",
            "\u{2013}" | "\u{2014}" => "-",
            "\u{2018}" | "\u{2019}" => "'",
            "\u{201c}" | "\u{201d}" => "\"",
            symbol if symbol.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) => continue,
            _ => "?",
        };
        cell.set_symbol(known);
    }
}
