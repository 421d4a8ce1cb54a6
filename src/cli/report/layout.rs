//! What stands in the lines of running tasks, for a terminal of any width. Pure:
//! widths and numbers in, text out; the bars are drawn by who shows it.
//!
//! Invariant: no line is wider than asked for, so that none wraps.

use std::time::{Duration, Instant};

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::tasks::{Running, Tasks};
use isoforge_base::human;

/// Most lines for tasks, however high the terminal is.
const MAX_TASK_LINES: usize = 8;

/// Lines of the terminal that stay for what was said before.
const KEPT_LINES: usize = 3;

/// A wider terminal gives no wider lines: eyes have to follow them.
const MAX_WIDTH: usize = 100;

/// From this width on units are written out.
const WIDE: usize = 92;

/// From this width on there is a bar.
const MEDIUM: usize = 56;

/// Width of a bar within its brackets.
pub(super) const BAR_CELLS: usize = 12;

/// What a line begins with.
const INDENT: &str = "  ";

/// Columns of a text's beginning that a long end leaves.
const LEAST_HEAD: usize = 3;

/// What stands for the middle of a text that is cut.
const ELLIPSIS: char = '…';

/// A line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) before: String,
    /// Bytes done and in total of a bar, [`BAR_CELLS`] and two brackets wide.
    pub(super) bar: Option<(u64, u64)>,
    /// What follows a bar.
    pub(super) after: String,
}

impl Row {
    /// One without a bar.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self {
            before: text.into(),
            ..Self::default()
        }
    }
}

/// The lines for what runs, on a terminal of `columns` and `rows`.
pub(super) fn lines(tasks: &Tasks, columns: usize, rows: usize, now: Instant) -> Vec<Row> {
    // The last column stays free: some terminals wrap as soon as it is filled.
    let width = columns.saturating_sub(1).min(MAX_WIDTH);
    let room = MAX_TASK_LINES.min(rows.saturating_sub(KEPT_LINES)).max(1);
    let shown = if tasks.len() <= room {
        tasks.len()
    } else {
        room.saturating_sub(1)
    };
    let mut lines: Vec<Row> = tasks
        .iter()
        .take(shown)
        .map(|task| line(task, width, now))
        .collect();
    if tasks.len() > shown {
        lines.push(Row::text(rest(tasks, shown, width, now)));
    }
    lines
}

/// The line of the tasks that have none of their own.
fn rest(tasks: &Tasks, shown: usize, width: usize, now: Instant) -> String {
    let count = tasks.len() - shown;
    let rate = tasks
        .iter()
        .skip(shown)
        .map(|task| task.rate(now))
        .fold(0, u64::saturating_add);
    let text = if shown == 0 {
        format!("{INDENT}{count} at work, {}/s", human::size(rate))
    } else {
        format!("{INDENT}and {count} more, {}/s", human::size(rate))
    };
    shorten(&text, width)
}

/// The line of one task, `width` columns at most.
fn line(task: &Running, width: usize, now: Instant) -> Row {
    let numbers = match width {
        WIDE.. => wide(task, now),
        _ => narrow(task, now),
    };
    let total = task.total_bytes.filter(|_| width >= MEDIUM);
    let bar = total.map(|total| (task.done_bytes, total));
    let bar_width = if bar.is_some() { BAR_CELLS + 3 } else { 0 };
    let taken = INDENT.len() + 1 + bar_width + numbers.width();
    let room = match width.checked_sub(taken) {
        Some(room) if room > 0 => room,
        _ => return Row::text(shorten(&task.label, width)),
    };
    let label = shorten(&task.label, room);
    let fill = room.saturating_sub(label.width());
    let before = format!("{INDENT}{label}{:fill$} ", "");
    if bar.is_none() {
        return Row::text(before + &numbers);
    }
    Row {
        before,
        bar,
        after: format!(" {numbers}"),
    }
}

fn wide(task: &Running, now: Instant) -> String {
    let rate = format!("{}/s", human::size(task.rate(now)));
    match (task.total_bytes, task.done_bytes) {
        (Some(total), done) => format!("{:>17} {rate:>12} {:>5}", of(done, total), left(task, now)),
        (None, 0) => human::clock(task.age(now)),
        (None, done) => format!(
            "{:>17} {rate:>12} {:>5}",
            human::size(done),
            human::clock(task.age(now))
        ),
    }
}

fn narrow(task: &Running, now: Instant) -> String {
    let done = human::short_size(task.done_bytes);
    let rate = format!("{}/s", human::short_size(task.rate(now)));
    match (task.total_bytes, task.done_bytes) {
        (Some(total), _) => {
            let of = format!("{done}/{}", human::short_size(total));
            format!("{of:>9} {rate:>7} {:>5}", left(task, now))
        }
        (None, 0) => human::clock(task.age(now)),
        (None, _) => format!("{done:>9} {rate:>7} {:>5}", human::clock(task.age(now))),
    }
}

/// `12.0/45.6 MiB`, or with both units where they differ.
fn of(done: u64, total: u64) -> String {
    let (done, total) = (human::size(done), human::size(total));
    match (done.split_once(' '), total.split_once(' ')) {
        (Some((number, unit)), Some((_, other))) if unit == other => format!("{number}/{total}"),
        _ => format!("{done}/{total}"),
    }
}

fn left(task: &Running, now: Instant) -> String {
    task.time_left(now)
        .map_or_else(|| "-:--".to_owned(), human::clock)
}

/// What a log reads of one task.
pub(super) fn sentence(task: &Running, now: Instant) -> String {
    let label = &task.label;
    let rate = human::size(task.mean_rate(now));
    match (task.total_bytes, task.done_bytes) {
        (Some(total), done) => format!(
            "{label}: {}, {rate}/s",
            of(done, total).replace('/', " of ")
        ),
        (None, 0) => format!("{label}: {}", human::duration(whole(task.age(now)))),
        (None, done) => format!("{label}: {}, {rate}/s", human::size(done)),
    }
}

/// Without what a log has no use for.
fn whole(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}

/// `text` in at most `width` columns, and without control characters: a layer's
/// short digest goes first, then the middle, since a reference tells most at its
/// beginning and what is done with it stands at the end.
pub(super) fn shorten(text: &str, width: usize) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    if text.width() <= width {
        return text;
    }
    let text = without_digest(&text);
    if text.width() <= width {
        return text.to_owned();
    }
    let Some(room) = width.checked_sub(1) else {
        return String::new();
    };
    // A layer's number stays whole where anything of its image can stay too.
    let end = numbered_end(text).min(room.saturating_sub(LEAST_HEAD));
    let head = take(text.chars(), (room / 2).min(room - end));
    let tail: String = take(text.chars().rev(), room - head.width());
    let tail: String = tail.chars().rev().collect();
    format!("{head}{ELLIPSIS}{tail}")
}

/// As many characters as fit in `width` columns.
fn take(chars: impl Iterator<Item = char>, width: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= width
        })
        .collect()
}

/// Without the short digest at the end of `… layer 3/12 0123456789ab`; the number
/// says the same.
fn without_digest(text: &str) -> &str {
    let is_digest = |word: &str| word.len() == 12 && word.bytes().all(|b| b.is_ascii_hexdigit());
    match text.rsplit_once(' ') {
        Some((rest, last)) if is_digest(last) && rest.rsplit(' ').next().is_some_and(is_number) => {
            rest
        }
        _ => text,
    }
}

/// Whether `word` is `3/12`.
fn is_number(word: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    word.split_once('/')
        .is_some_and(|(number, of)| digits(number) && digits(of))
}

/// Columns of the `layer 3/12` at the end of `text`; 0 where there is none.
fn numbered_end(text: &str) -> usize {
    let mut words = text.rsplit(' ');
    match (words.next(), words.next()) {
        (Some(number), Some(what)) if is_number(number) => what.width() + 1 + number.width(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::screen::tests::drawn;
    use insta::assert_snapshot;
    use isoforge_base::progress::TaskId;

    fn tasks(start: Instant, count: u64) -> Tasks {
        let mut tasks = Tasks::default();
        for n in 1..=count {
            let label = format!(
                "quay.io/kairos/ubuntu:22.04-core-amd64-generic-v3.4.2 layer {n}/{count} 0123456789ab"
            );
            let mut task = Running::new(&label, Some(300 << 20), start);
            task.done_bytes = n * (20 << 20);
            tasks.start(TaskId(n), task);
        }
        tasks
    }

    #[test]
    fn lines_of_every_width() {
        let start = Instant::now();
        let now = start + Duration::from_secs(8);
        let mut tasks = tasks(start, 2);
        tasks.start(
            TaskId(9),
            Running::new("root file system from packages", None, start),
        );
        let all: Vec<String> = [120_u16, 80, 60, 40, 20, 8]
            .into_iter()
            .flat_map(|columns| {
                let mut lines = drawn(lines(&tasks, columns.into(), 24, now), columns);
                lines.insert(0, format!("--- {columns}"));
                lines
            })
            .collect();
        assert_snapshot!(all.join("\n"), @r"
        --- 120
          quay.io/kairos/ubuntu:…eneric-v3.4.2 layer 1/2 [            ]    20.0/300.0 MiB    2.5 MiB/s  1:52
          quay.io/kairos/ubuntu:…eneric-v3.4.2 layer 2/2 [=           ]    40.0/300.0 MiB    5.0 MiB/s  0:52
          root file system from packages                                                                0:08
        --- 80
          quay.io/kairos/ubu…ic-v3.4.2 layer 1/2 [            ]  20M/300M  2.5M/s  1:52
          quay.io/kairos/ubu…ic-v3.4.2 layer 2/2 [=           ]  40M/300M  5.0M/s  0:52
          root file system from packages                                           0:08
        --- 60
          quay.io/…layer 1/2 [            ]  20M/300M  2.5M/s  1:52
          quay.io/…layer 2/2 [=           ]  40M/300M  5.0M/s  0:52
          root file system from packages                       0:08
        --- 40
          qua…layer 1/2  20M/300M  2.5M/s  1:52
          qua…layer 2/2  40M/300M  5.0M/s  0:52
          root file system from packages   0:08
        --- 20
        quay.io/k…layer 1/2
        quay.io/k…layer 2/2
          root …ckages 0:08
        --- 8
        qua…1/2
        qua…2/2
        roo…ges
        ");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let start = Instant::now();
        let mut tasks = tasks(start, 30);
        tasks.start(
            TaskId(0),
            Running::new("größe 漢字漢字漢字漢字漢字", Some(u64::MAX), start),
        );
        let now = start + Duration::from_millis(1);
        for columns in 0..150_u16 {
            let lines = lines(&tasks, columns.into(), 24, now);
            for line in &lines {
                let bar = line.bar.map_or(0, |_| BAR_CELLS + 2);
                let width = line.before.width() + bar + line.after.width();
                assert!(width <= columns.saturating_sub(1).into(), "{line:?}");
            }
            let count = lines.len();
            if columns > 1 {
                assert_eq!(drawn(lines, columns).len(), count, "none wraps");
            }
        }
    }

    #[test]
    fn more_tasks_than_lines_are_summed_up() {
        let start = Instant::now();
        let now = start + Duration::from_secs(10);
        let few = lines(&tasks(start, 8), 80, 24, now);
        assert_eq!(few.len(), 8);
        let many = lines(&tasks(start, 30), 80, 24, now);
        assert_eq!(many.len(), 8);
        assert_eq!(many[7], Row::text("  and 23 more, 874.0 MiB/s"));
        assert_eq!(lines(&tasks(start, 30), 80, 5, now).len(), 2);
        assert_eq!(
            lines(&tasks(start, 30), 80, 1, now),
            [Row::text("  30 at work, 930.0 MiB/s")]
        );
    }

    #[test]
    fn a_text_is_cut_in_the_middle() {
        let label = "quay.io/kairos/ubuntu:22.04 layer 3/12 0123456789ab";
        assert_eq!(shorten(label, 51), label);
        assert_eq!(shorten(label, 50), "quay.io/kairos/ubuntu:22.04 layer 3/12");
        assert_eq!(shorten(label, 20), "quay.io/k…layer 3/12");
        assert_eq!(shorten(label, 15), "quay…layer 3/12");
        assert_eq!(shorten(label, 12), "qua…yer 3/12");
        assert_eq!(shorten("漢字漢字", 6), "漢…字");
        assert_eq!(shorten("abc", 1), "…");
        assert_eq!(shorten("abc", 0), "");
        assert_eq!(shorten("a\x1b[2Jb", 80), "a[2Jb");
        // A digest that is all there is stays.
        assert_eq!(shorten("check 0123456789ab", 14), "check …56789ab");
    }

    #[test]
    fn sentences_for_logs() {
        let start = Instant::now();
        let now = start + Duration::from_secs(10);
        let mut task = Running::new("write x", None, start);
        assert_eq!(sentence(&task, now), "write x: 10.0 s");
        task.done_bytes = 20 << 20;
        assert_eq!(sentence(&task, now), "write x: 20.0 MiB, 2.0 MiB/s");
        task.total_bytes = Some(1 << 30);
        assert_eq!(
            sentence(&task, now),
            "write x: 20.0 MiB of 1.0 GiB, 2.0 MiB/s"
        );
    }
}
