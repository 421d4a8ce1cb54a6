//! The picture of the model. It is the same on all consoles, but for the line
//! that says which console leads.

mod ask;
mod end;

use isoforge_contract::machine::After;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Paragraph, Wrap};

use super::model::{Model, Page};

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
const SELECTED: Style = Style::new().add_modifier(Modifier::REVERSED);
/// What stands out.
const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
/// What can't be taken.
const GREY: Style = Style::new().fg(Color::DarkGray);
/// What is to be minded.
const WARN: Style = Style::new().fg(Color::Yellow);
/// What is wrong.
const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
/// What went well.
const GOOD: Style = Style::new().fg(Color::Green).add_modifier(Modifier::BOLD);
/// The first line.
const HEAD: Style = Style::new().fg(Color::White).bg(Color::Blue);

/// Draws the model on the console with this index.
pub(crate) fn view(model: &Model, console: usize, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.width < MIN_WIDTH || area.height < MIN_HEIGHT {
        too_small(frame, area);
    } else {
        let rows = [
            Constraint::Length(1),
            Constraint::Min(0),
            Constraint::Length(1),
            Constraint::Length(1),
        ];
        let [head, body, note, foot] = Layout::vertical(rows).areas(area);
        draw_head(model, frame, head);
        draw_page(model, frame, body);
        draw_note(model, console, frame, note);
        frame.render_widget(Line::styled(keys(model), SELECTED).centered(), foot);
        frame.buffer_mut().set_style(foot, SELECTED);
    }
    only_ascii(frame);
}

fn too_small(frame: &mut Frame<'_>, area: Rect) {
    let text = format!(
        "This terminal is too small: it has {}x{}, the installer needs {MIN_WIDTH}x{MIN_HEIGHT}.",
        area.width, area.height
    );
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
}

/// What is to be installed, and which step this is.
fn draw_head(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let left = format!(" {} - Installer", model.title);
    let pages = model.pages();
    let at = pages.iter().position(|page| *page == model.page);
    let right = match at {
        _ if model.unattended() => "Unattended ".to_owned(),
        Some(at) => format!("Step {} of {} ", at + 1, pages.len()),
        None => String::new(),
    };
    frame.buffer_mut().set_style(area, HEAD);
    frame.render_widget(Line::from(left), area);
    frame.render_widget(Line::from(right).right_aligned(), area);
}

fn draw_page(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let block = Block::bordered()
        .border_set(BORDER)
        .title(format!(" {} ", heading(model.page)))
        .title_style(STRONG);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let inner = Rect {
        x: inner.x + 1,
        width: inner.width.saturating_sub(2),
        ..inner
    };
    match model.page {
        Page::Looking => paragraph(frame, inner, "Looking at this machine ..."),
        Page::Disk => ask::disk(model, frame, inner),
        Page::Account => ask::account(model, frame, inner),
        Page::Hostname => ask::hostname(model, frame, inner),
        Page::Network => ask::network(model, frame, inner),
        Page::After => ask::after(model, frame, inner),
        Page::Summary => ask::summary(model, frame, inner),
        Page::Confirm => ask::confirm(model, frame, inner),
        Page::Progress => end::progress(model, frame, inner),
        Page::Done => end::done(model, frame, inner),
        Page::Failed => end::failed(model, frame, inner),
        Page::Ending(After::Poweroff) => paragraph(frame, inner, "Powering off ..."),
        Page::Ending(_) => paragraph(frame, inner, "Rebooting ..."),
    }
}

fn heading(page: Page) -> &'static str {
    match page {
        Page::Looking => "Start",
        Page::Disk => "Disk",
        Page::Account => "Account",
        Page::Hostname => "Host name",
        Page::Network => "Network",
        Page::After => "After the installation",
        Page::Summary => "Installation summary",
        Page::Confirm => "Last question",
        Page::Progress => "Installing",
        Page::Done => "Installed",
        Page::Failed => "Not installed",
        Page::Ending(_) => "End",
    }
}

/// Who leads, or what the last key led to.
fn draw_note(model: &Model, console: usize, frame: &mut Frame<'_>, area: Rect) {
    let name = |index: usize| model.consoles.get(index).map_or("?", String::as_str);
    let line = match model.leader {
        Some(leader) if leader != console && model.shell => {
            Line::styled(format!(" A shell is open on {}.", name(leader)), WARN)
        }
        Some(leader) if leader != console => Line::styled(
            format!(
                " Console {} leads; this one ({}) shows what happens.",
                name(leader),
                name(console)
            ),
            WARN,
        ),
        _ => Line::styled(format!(" {}", model.note.as_deref().unwrap_or("")), BAD),
    };
    frame.render_widget(line, area);
}

/// The keys of a page; they fit the narrowest console.
fn keys(model: &Model) -> &'static str {
    match model.page {
        Page::Disk if model.any_disk() => {
            "TAB/arrows  ENTER continue  R rescan  S shell  P power off"
        }
        Page::Disk => "TAB/arrows look  R rescan  S shell  P power off",
        Page::Account | Page::Hostname => "TAB/arrows next field  ENTER continue  ESC back",
        Page::Network => "TAB next field  left/right choose  ENTER continue  ESC back",
        Page::After => "TAB/arrows choose  ENTER continue  ESC back",
        Page::Summary => "ENTER install  ESC back  up/down scroll",
        Page::Confirm => "TAB/arrows choose  ENTER confirm  ESC back",
        Page::Done if model.ends_ms.is_some() => "ENTER at once  ESC stay",
        Page::Done => "TAB/left/right choose  ENTER confirm",
        Page::Failed => "TAB/left/right choose  ENTER confirm  up/down scroll",
        Page::Progress => "Please wait. Log: Alt-F2 on the screen",
        Page::Looking | Page::Ending(_) => "Please wait",
    }
}

fn paragraph<'a>(frame: &mut Frame<'_>, area: Rect, text: impl Into<Text<'a>>) {
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }), area);
}

/// A text that may be longer than its area; the last row says so.
fn scrolled(frame: &mut Frame<'_>, area: Rect, text: Text<'_>, scroll: u16) {
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
fn wrapped(text: &Text<'_>, width: u16) -> u16 {
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
