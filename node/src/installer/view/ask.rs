//! Pages that ask.

use isoforge_base::human;
use isoforge_contract::machine::After;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{List, ListItem, ListState};

use crate::install::model::{Disk, Network};
use crate::installer::model::Model;
use crate::installer::update::{AFTERS, hostname_of, network_of};
use crate::tui::account::field;
use crate::tui::draw::{
    BAD, GREY, SELECTED, STRONG, WARN, form, no_or_yes, paragraph, scrolled, wrapped,
};

/// The disks, those that can't be taken with the reason.
pub(super) fn disk(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let survey = model.survey.as_ref();
    let boot_order = survey.and_then(|survey| survey.boot_order);
    let intro = if model.disks().is_empty() {
        Line::styled(
            "This machine has no disk that the system sees. Is its controller's driver there?",
            BAD,
        )
    } else if !model.any_disk() {
        Line::styled("None of the disks can be taken; each one says why.", BAD)
    } else {
        Line::from("Which disk shall be installed on? All of its content will be lost.")
    };
    let intro = Text::from(intro);
    let warning = Text::styled(boot_order.unwrap_or(""), WARN);
    let rows = [
        Constraint::Length(wrapped(&intro, area.width) + 1),
        Constraint::Min(0),
        Constraint::Length(boot_order.map_or(0, |_| wrapped(&warning, area.width))),
    ];
    let [above, middle, below] = Layout::vertical(rows).areas(area);
    paragraph(frame, above, intro);
    let width = usize::from(middle.width.saturating_sub(2));
    let items = model.disks().iter().map(|disk| disk_item(disk, width));
    let list = List::new(items)
        .highlight_symbol("> ")
        .highlight_style(STRONG);
    let mut state = ListState::default().with_selected(Some(model.disk));
    frame.render_stateful_widget(list, middle, &mut state);
    paragraph(frame, below, warning);
}

fn disk_item(disk: &Disk, width: usize) -> ListItem<'static> {
    let first = disk_line(disk);
    let (second, style) = match &disk.unusable {
        Some(reason) => (format!("    can't be taken: {reason}"), GREY),
        None => (
            format!("    on it: {}", held(disk)),
            ratatui::style::Style::new(),
        ),
    };
    let cut = |text: String| text.chars().take(width).collect::<String>();
    ListItem::new(vec![Line::from(cut(first)), Line::from(cut(second))]).style(style)
}

fn disk_line(disk: &Disk) -> String {
    let mut line = format!(
        "{:<13} {:>9}  {:<7} {}",
        disk.path.display().to_string(),
        human::size(disk.bytes),
        disk.transport,
        model_name(disk)
    );
    if !disk.serial.is_empty() {
        line.push_str(&format!(", serial {}", disk.serial));
    }
    line
}

fn model_name(disk: &Disk) -> &str {
    if disk.model.is_empty() {
        "unnamed disk"
    } else {
        &disk.model
    }
}

/// Name, password, key.
pub(super) fn account(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let intro = "The first account of the machine, for its console and SSH. \
        There is no other way in, so it can't be left out.";
    form(&model.account, intro, frame, area);
}

/// The machine's name.
pub(super) fn hostname(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let intro = "The name of this machine. Left empty, it is named by the configuration.";
    form(&model.hostname, intro, frame, area);
}

/// Addresses.
pub(super) fn network(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let intro = "How the installed machine reaches its network. Name servers have commas between.";
    form(&model.network, intro, frame, area);
}

/// What follows, in words.
pub(super) fn after_name(after: After) -> &'static str {
    match after {
        After::None => "nothing",
        After::Reboot => "reboot",
        After::Poweroff => "power off",
    }
}

/// What shall follow.
pub(super) fn after(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let rows = [Constraint::Length(2), Constraint::Min(0)];
    let [above, below] = Layout::vertical(rows).areas(area);
    paragraph(
        frame,
        above,
        "What shall the machine do once it is installed?",
    );
    let lines: Vec<Line<'_>> = AFTERS
        .into_iter()
        .map(|after| {
            let chosen = after == model.after;
            let (mark, style) = if chosen {
                ("(*)", SELECTED)
            } else {
                ("( )", Default::default())
            };
            Line::styled(format!("{mark} {} ", after_name(after)), style)
        })
        .collect();
    paragraph(frame, below, lines);
}

/// All choices, and what the checks found.
pub(super) fn summary(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let mut lines = vec![];
    let mut entry = |name: &'static str, value: String| {
        let name = Span::styled(format!("{name:<12}"), STRONG);
        lines.push(Line::from(vec![name, Span::raw(value)]));
    };
    if let Some(disk) = model.chosen_disk() {
        entry("Disk", disk_line(disk));
        entry("On it", format!("{}; it will be lost", held(disk)));
    }
    entry("Account", account_words(model));
    let hostname = hostname_of(model);
    entry(
        "Host name",
        hostname.unwrap_or_else(|| configured_name(model)),
    );
    let network = network_of(model).ok().flatten();
    entry(
        "Network",
        network.map_or("as configured".to_owned(), network_words),
    );
    entry("Afterwards", after_name(model.after).to_owned());
    lines.push(Line::default());
    lines.extend(finding_lines(model));
    scrolled(frame, area, Text::from(lines), model.scroll);
}

fn finding_lines(model: &Model) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = model
        .all_findings()
        .map(|finding| {
            let (word, style) = if finding.refuses {
                ("Refused", BAD)
            } else {
                ("Warning", WARN)
            };
            Line::styled(format!("{word}: {}", finding.message), style)
        })
        .collect();
    if model.findings.is_none() {
        lines.push(Line::from("The machine is being checked ..."));
    } else if model.all_findings().any(|finding| finding.refuses) {
        lines.push(Line::from(
            "The installation is refused; nothing has been changed.",
        ));
    } else {
        lines.push(Line::from("ENTER asks once more, then it installs."));
    }
    lines
}

/// What will be lost.
fn held(disk: &Disk) -> String {
    match &disk.appliance {
        Some(appliance) => format!("the appliance {appliance} ({})", disk.content),
        None => disk.content.clone(),
    }
}

fn account_words(model: &Model) -> String {
    let survey = model.survey.as_ref();
    if let Some(given) = survey.and_then(|survey| survey.account.as_ref()) {
        return given.clone();
    }
    let form = &model.account;
    let key = !form.value(field::SSH_KEY).trim().is_empty();
    let with = if key {
        "password and SSH key"
    } else {
        "password"
    };
    format!("{}, with {with}", form.value(field::NAME).trim())
}

fn configured_name(model: &Model) -> String {
    let survey = model.survey.as_ref();
    let name = survey.and_then(|survey| survey.hostname.clone());
    name.unwrap_or_else(|| "as configured".to_owned())
}

fn network_words(network: Network) -> String {
    let mut words = format!("{}: ", network.interface);
    match network.address {
        None => words.push_str("DHCP"),
        Some(address) => {
            words.push_str(&address.cidr);
            if !address.gateway.is_empty() {
                words.push_str(&format!(", gateway {}", address.gateway));
            }
        }
    }
    if !network.dns.is_empty() {
        words.push_str(&format!(", name servers {}", network.dns.join(" ")));
    }
    words
}

/// The last question.
pub(super) fn confirm(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let Some(disk) = model.chosen_disk() else {
        return;
    };
    let text = vec![
        Line::styled(
            format!("All content of {} will be lost:", disk.path.display()),
            BAD,
        ),
        Line::default(),
        Line::from(disk_line(disk)),
        Line::from(format!("on it: {}", held(disk))),
        Line::default(),
        Line::from("Shall it be overwritten and the system installed?"),
        Line::default(),
        no_or_yes(model.yes),
    ];
    paragraph(frame, area, text);
}
