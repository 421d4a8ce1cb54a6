//! The picture of the model. It is the same on all consoles, but for the line
//! that says which console leads.

mod ask;
mod end;

use isoforge_contract::machine::After;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::model::{Model, Page};
use crate::tui::draw::{self, Around, BAD, WARN, paragraph};

/// Draws the model on the console with this index.
pub(crate) fn view(model: &Model, console: usize, frame: &mut Frame<'_>) {
    let around = Around {
        title: format!(" {} - Installer", model.title),
        state: step(model),
        heading: heading(model.page),
        note: note(model, console),
        keys: keys(model),
        columns_max: u16::MAX,
    };
    draw::around("the installer", around, frame, |frame, area| {
        draw_page(model, frame, area);
    });
}

/// Which step this is.
fn step(model: &Model) -> String {
    let pages = model.pages();
    let at = pages.iter().position(|page| *page == model.page);
    match at {
        _ if model.unattended() => "Unattended ".to_owned(),
        Some(at) => format!("Step {} of {} ", at + 1, pages.len()),
        None => String::new(),
    }
}

fn draw_page(model: &Model, frame: &mut Frame<'_>, inner: Rect) {
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
fn note(model: &Model, console: usize) -> Line<'_> {
    let name = |index: usize| model.consoles.get(index).map_or("?", String::as_str);
    match model.leader {
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
    }
}

/// The keys of a page; they fit the narrowest console.
fn keys(model: &Model) -> &'static str {
    match model.page {
        Page::Disk if model.any_disk() && model.locked => {
            "TAB/arrows  ENTER continue  R rescan  P power off"
        }
        Page::Disk if model.locked => "TAB/arrows look  R rescan  P power off",
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
