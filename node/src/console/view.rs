//! The picture of the model.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span, Text};

use super::machine::{Fact, Power, Tone};
use super::model::{Model, Page};
use crate::tui::draw::{
    self, Around, BAD, GOOD, GREY, SELECTED, STRONG, WARN, form, paragraph, scrolled,
};

/// Most columns of a page: a line is to be found again on a wide screen.
const COLUMNS_MAX: u16 = 100;

/// Columns before the values of Device Info.
const LABELS: usize = 16;

/// Draws the model.
pub(super) fn view(model: &Model, frame: &mut Frame<'_>) {
    let around = Around {
        title: format!(" {}", model.title),
        state: who(model),
        heading: heading(model.page),
        note: note(model),
        keys: keys(model),
        columns_max: COLUMNS_MAX,
    };
    draw::around("the console", around, frame, |frame, area| {
        draw_page(model, frame, area);
    });
}

/// Who has logged in.
fn who(model: &Model) -> String {
    match &model.administrator {
        Some(name) if model.busy.is_none() => format!("{name} "),
        _ => String::new(),
    }
}

fn heading(page: Page) -> &'static str {
    match page {
        Page::Info => "Device Info",
        Page::Account => "First account",
        Page::Login => "Log in",
        Page::Menu => "Settings",
        Page::Hostname => "Host name",
        Page::Sure(Power::Reboot) | Page::Ending(Power::Reboot) => "Reboot",
        Page::Sure(Power::Off) | Page::Ending(Power::Off) => "Power off",
    }
}

fn note(model: &Model) -> Line<'_> {
    if let Some(busy) = model.busy {
        return Line::styled(format!(" {busy}"), WARN);
    }
    match &model.note {
        Some((text, bad)) => Line::styled(format!(" {text}"), if *bad { BAD } else { GOOD }),
        None => Line::default(),
    }
}

/// The keys of a page; they fit the narrowest console.
fn keys(model: &Model) -> &'static str {
    match model.page {
        Page::Info if model.in_shell => "ENTER settings  R look again  up/down scroll  Q quit",
        Page::Info if model.needs_account() => {
            "ENTER make an account  L login prompt  R look again"
        }
        Page::Info => "ENTER settings  L login prompt  R look again",
        Page::Account => "TAB/arrows next field  ENTER make it  ESC back",
        Page::Login => "TAB/arrows next field  ENTER log in  ESC back",
        Page::Menu if model.in_shell => "TAB/arrows choose  ENTER open  ESC back",
        Page::Menu => "TAB/arrows choose  ENTER open  ESC log out",
        Page::Hostname => "ENTER set  ESC back",
        Page::Sure(_) => "TAB/arrows choose  ENTER confirm  ESC back",
        Page::Ending(_) => "Please wait",
    }
}

fn draw_page(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    match model.page {
        Page::Info => info(model, frame, area),
        Page::Account => form(
            &model.account,
            "This machine has no account yet that could log in. This one may change \
             everything, here and over SSH.",
            frame,
            area,
        ),
        Page::Login => form(
            &model.login,
            "An account that administrates this machine (group 'admin').",
            frame,
            area,
        ),
        Page::Menu => menu(model, frame, area),
        Page::Hostname => form(
            &model.hostname,
            "The name of this machine. It becomes the name of its node in a cluster, \
             which can't be changed later.",
            frame,
            area,
        ),
        Page::Sure(power) => sure(model, power, frame, area),
        Page::Ending(Power::Reboot) => paragraph(frame, area, "Rebooting ..."),
        Page::Ending(Power::Off) => paragraph(frame, area, "Powering off ..."),
    }
}

fn info(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let Some(facts) = &model.facts else {
        paragraph(frame, area, "Looking at this machine ...");
        return;
    };
    let mut lines = Vec::new();
    if model.needs_account() {
        let text = "Set up required: nobody can log in yet. ENTER makes an account.";
        lines.extend([Line::styled(text, WARN), Line::default()]);
    }
    let room = usize::from(area.width).saturating_sub(LABELS).max(1);
    lines.extend(facts.lines.iter().flat_map(|fact| fact_lines(fact, room)));
    scrolled(frame, area, Text::from(lines), model.scroll);
}

/// A fact, in as many lines as its value takes.
fn fact_lines(fact: &Fact, room: usize) -> Vec<Line<'static>> {
    let style = match fact.tone {
        Tone::Plain => Style::new(),
        Tone::Good => GOOD,
        Tone::Warn => WARN,
        Tone::Bad => BAD,
    };
    let value: Vec<char> = fact.value.chars().collect();
    let mut parts = value.chunks(room);
    let first = parts.next().unwrap_or_default();
    let line = |label: &str, part: &[char]| {
        Line::from(vec![
            Span::styled(format!("{label:<LABELS$}"), STRONG),
            Span::styled(part.iter().collect::<String>(), style),
        ])
    };
    let mut lines = vec![line(fact.label, first)];
    lines.extend(parts.map(|part| line("", part)));
    lines
}

fn menu(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let lines: Vec<Line<'_>> = model
        .items()
        .enumerate()
        .flat_map(|(index, item)| {
            let (label, what) = item.label();
            let (mark, style) = if index == model.item {
                (">", SELECTED)
            } else {
                (" ", Style::new())
            };
            let label = Span::styled(format!("{mark} {label:<12}"), style);
            let line = Line::from(vec![label, Span::styled(format!("  {what}"), GREY)]);
            [line, Line::default()]
        })
        .collect();
    paragraph(frame, area, lines);
}

fn sure(model: &Model, power: Power, frame: &mut Frame<'_>, area: Rect) {
    let question = match power {
        Power::Reboot => "Shall this machine be started again?",
        Power::Off => "Shall this machine be turned off? Only who stands before it can turn it on.",
    };
    let text = vec![
        Line::from(question),
        Line::default(),
        draw::no_or_yes(model.yes),
    ];
    paragraph(frame, area, text);
}
