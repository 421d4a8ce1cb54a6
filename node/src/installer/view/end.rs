//! Pages of the installation and of what follows.

use std::time::Duration;

use isoforge_base::human;
use isoforge_contract::machine::After;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span, Text};

use super::ask::after_name;
use crate::installer::model::{Model, Progress};
use crate::paths::INSTALL_LOG;
use crate::tui::draw::{BAD, GOOD, GREY, SELECTED, STRONG, WARN, paragraph, scrolled};

/// Rows of the log that are shown.
const LOG_ROWS: u16 = 4;

/// Steps, bytes, and the log's end.
pub(super) fn progress(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let rows = [
        Constraint::Min(0),
        Constraint::Length(3),
        Constraint::Length(LOG_ROWS),
    ];
    let [steps, bytes, log] = Layout::vertical(rows).areas(area);
    let progress = &model.progress;
    let shown = usize::from(steps.height.saturating_sub(2));
    let hidden = progress.steps.len().saturating_sub(shown);
    let time = Duration::from_millis(model.now_ms.saturating_sub(progress.began_ms));
    let first = format!(
        "On {}, {} so far",
        model.disk_path().display(),
        human::clock(Duration::from_secs(time.as_secs()))
    );
    let mut lines = vec![Line::from(first), Line::default()];
    lines.extend(step_lines(progress).skip(hidden));
    paragraph(frame, steps, lines);
    paragraph(frame, bytes, byte_lines(progress, usize::from(bytes.width)));
    let last = progress.log.len().saturating_sub(usize::from(LOG_ROWS));
    let width = usize::from(log.width);
    let lines: Vec<Line<'_>> = progress
        .log
        .iter()
        .skip(last)
        .map(|line| Line::styled(line.chars().take(width).collect::<String>(), GREY))
        .collect();
    paragraph(frame, log, lines);
}

fn step_lines(progress: &Progress) -> impl Iterator<Item = Line<'_>> {
    let last = progress.steps.len().saturating_sub(1);
    progress.steps.iter().enumerate().map(move |(index, step)| {
        let running = index == last;
        let mark = if running { "[..]" } else { "[ok]" };
        let style = if running { STRONG } else { Style::new() };
        let text = format!("{mark} {}/{}  {}", step.number, progress.of, step.name);
        Line::styled(text, style)
    })
}

fn byte_lines(progress: &Progress, width: usize) -> Vec<Line<'static>> {
    let Some((done, total)) = progress.bytes else {
        return Vec::new();
    };
    let rate = progress.bytes_per_second();
    let rate = rate.map_or(String::new(), |rate| format!(", {}/s", human::size(rate)));
    let words = format!("{} of {}{rate}", human::size(done), human::size(total));
    vec![Line::from(bar(done, total, width)), Line::from(words)]
}

/// `[#####.....]  50 %`
fn bar(done: u64, total: u64, width: usize) -> String {
    let room = width.saturating_sub(8);
    let share = |whole: u64| {
        let part = u128::from(done.min(total)) * u128::from(whole);
        part.checked_div(u128::from(total)).unwrap_or(0)
    };
    let filled = usize::try_from(share(room as u64)).unwrap_or(0);
    let empty = room.saturating_sub(filled);
    format!(
        "[{}{}] {:>3} %",
        "#".repeat(filled),
        ".".repeat(empty),
        share(100)
    )
}

/// What was done, and what follows.
pub(super) fn done(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let disk = model.disk_path();
    let mut lines = vec![
        Line::styled(
            format!("The system is installed on {}.", disk.display()),
            GOOD,
        ),
        Line::default(),
        Line::from("Remove the installation medium, or let the firmware boot the disk first."),
    ];
    if model
        .survey
        .as_ref()
        .is_some_and(|survey| survey.boot_order.is_some())
    {
        lines.push(Line::from(
            "Under legacy BIOS the disk must be at the top of the boot order.",
        ));
    }
    lines.push(Line::default());
    if let Some(seconds) = model.countdown_seconds() {
        let what = after_name(model.after);
        lines.push(Line::styled(
            format!("In {seconds} s: {what}. ESC stays here."),
            STRONG,
        ));
    } else if model.after == After::None {
        lines.push(Line::from("Nothing follows by itself, as chosen."));
    }
    let rows = [Constraint::Min(0), Constraint::Length(1)];
    let [above, below] = Layout::vertical(rows).areas(area);
    paragraph(frame, above, lines);
    if model.ends_ms.is_none() {
        actions(model, frame, below);
    }
}

/// Which step failed, why, and what to do.
pub(super) fn failed(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let Some(failure) = &model.failure else {
        return;
    };
    let mut lines = vec![
        Line::from(vec![
            Span::styled("Step     ", STRONG),
            Span::styled(failure.step.as_str(), BAD),
        ]),
        Line::default(),
    ];
    lines.extend(labelled("Cause    ", &failure.cause));
    lines.push(Line::default());
    lines.extend(labelled("To do    ", &failure.advice));
    lines.push(Line::default());
    lines.push(Line::styled(format!("The log is in {INSTALL_LOG}."), WARN));
    let rows = [
        Constraint::Min(0),
        Constraint::Length(1),
        Constraint::Length(1),
    ];
    let [above, _, below] = Layout::vertical(rows).areas(area);
    scrolled(frame, above, Text::from(lines), model.scroll);
    actions(model, frame, below);
}

/// A text of several lines, the first one behind its label.
fn labelled<'a>(label: &'static str, text: &'a str) -> impl Iterator<Item = Line<'a>> {
    text.lines().enumerate().map(move |(index, line)| {
        let label = if index == 0 {
            Span::styled(label, STRONG)
        } else {
            Span::raw("         ")
        };
        Line::from(vec![label, Span::raw(line)])
    })
}

fn actions(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let mut spans = Vec::new();
    for (index, action) in model.actions().iter().enumerate() {
        let style = if index == model.action {
            SELECTED
        } else {
            Style::new()
        };
        spans.push(Span::styled(format!("[ {} ]", action.label()), style));
        spans.push(Span::raw("  "));
    }
    frame.render_widget(Line::from(spans), area);
}
