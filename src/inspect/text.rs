//! Reports for people.

use std::collections::BTreeMap;
use std::fmt;

use super::{DistReport, ImageReport, IsoReport, Report};
use isoforge_base::human;
use isoforge_base::shown::Line;
use isoforge_contract::manifest::{Component, Hardening, Manifest};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Iso(report) => iso(f, report)?,
            Self::Image(report) => image(f, report)?,
            Self::Dist(report) => dist(f, report)?,
        }
        let problems = self.problems();
        if problems.is_empty() {
            return f.write_str(match self.has_digests() {
                true => "\nall digests hold\n",
                false => "\nno digest says what it should hold: nothing was checked\n",
            });
        }
        f.write_str("\nproblems\n")?;
        problems
            .iter()
            .try_for_each(|problem| writeln!(f, "  {}", Line(problem)))
    }
}

/// Bytes as people read them, beside the exact number.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", human::size(self.0))?;
        if self.0 < 1024 {
            return Ok(());
        }
        write!(f, " ({} B)", self.0)
    }
}

fn field(f: &mut fmt::Formatter<'_>, name: &str, value: impl fmt::Display) -> fmt::Result {
    writeln!(f, "{name:<12} {}", Line(value))
}

fn iso(f: &mut fmt::Formatter<'_>, report: &IsoReport) -> fmt::Result {
    field(f, "ISO image", &report.volume_id)?;
    field(f, "size", Size(report.size))?;
    let mut names = vec!["ISO 9660"];
    names.extend(report.rock_ridge.then_some("Rock Ridge"));
    names.extend(report.joliet.then_some("Joliet"));
    field(f, "names", names.join(", "))?;
    for boot in &report.boot {
        let state = if boot.bootable { "" } else { ", not bootable" };
        let place = format!("{}, at byte {}{state}", boot.platform, boot.offset);
        field(f, "boot", place)?;
    }
    if report.boot.is_empty() {
        field(f, "boot", "no entry")?;
    }
    match &report.manifest {
        Some(manifest) => build(f, manifest)?,
        None => field(f, "build", "no isoforge manifest")?,
    }
    if let Some(squashfs) = &report.squashfs {
        field(f, "root", Size(squashfs.size))?;
        field(f, "", squashfs.digest)?;
    }
    components(f, &report.components)?;
    for note in &report.notes {
        writeln!(f, "\nnote: {}", Line(note))?;
    }
    if !report.content.is_empty() {
        writeln!(f, "\ncontent, {}", Size(report.content_bytes))?;
        for image in &report.content {
            writeln!(f, "  {} {}", Line(&image.name), image.digest)?;
        }
    }
    Ok(())
}

fn build(f: &mut fmt::Formatter<'_>, manifest: &Manifest) -> fmt::Result {
    let appliance = &manifest.appliance;
    field(
        f,
        "appliance",
        format_args!("{} {}", appliance.name, appliance.version),
    )?;
    let architectures: Vec<&str> = manifest.architectures.keys().map(String::as_str).collect();
    field(f, "for", architectures.join(", "))?;
    let tool = &manifest.tool;
    field(f, "made by", format_args!("{} {}", tool.name, tool.version))?;
    let epoch = &manifest.epoch;
    let time = jiff::Timestamp::from_second(i64::from(epoch.seconds))
        .map_or_else(|_| epoch.seconds.to_string(), |time| time.to_string());
    field(f, "time", format_args!("{time} ({})", epoch.source))?;
    field(f, "profile", manifest.profile)?;
    match &manifest.hardening {
        Some(hardening) => rules(f, hardening),
        None => Ok(()),
    }
}

/// The rules that were applied, as the guide numbers them.
fn rules(f: &mut fmt::Formatter<'_>, hardening: &Hardening) -> fmt::Result {
    let count = hardening.rules.len();
    field(
        f,
        "hardening",
        format_args!(
            "{}, {count} rules of {}",
            hardening.profile, hardening.guide
        ),
    )?;
    for some in hardening.rules.chunks(4) {
        field(f, "", some.join(" "))?;
    }
    if !hardening.except.is_empty() {
        field(
            f,
            "",
            format_args!("without {}", hardening.except.join(" ")),
        )?;
    }
    Ok(())
}

fn components(f: &mut fmt::Formatter<'_>, components: &[Component]) -> fmt::Result {
    if components.is_empty() {
        return Ok(());
    }
    let width = |text: fn(&Component) -> usize| components.iter().map(text).max().unwrap_or(0);
    let name = width(|component| component.name.len());
    let version = width(|component| component.version.len());
    writeln!(f, "\ncomponents")?;
    for component in components {
        writeln!(
            f,
            "  {:<10}  {:name$}  {:version$}  {}",
            component.kind.to_string(),
            Line(&component.name),
            Line(&component.version),
            Line(&component.source)
        )?;
    }
    Ok(())
}

fn image(f: &mut fmt::Formatter<'_>, report: &ImageReport) -> fmt::Result {
    field(f, "OCI images", report.images.len())?;
    field(
        f,
        "blobs",
        format_args!("{}, {}", report.blobs, Size(report.bytes)),
    )?;
    for image in &report.images {
        let name = image.name.as_deref().unwrap_or("(no name)");
        writeln!(f, "\n{}", Line(name))?;
        writeln!(f, "  {}", image.digest)?;
        for platform in &image.platforms {
            writeln!(f, "  {}", Line(&platform.platform))?;
            writeln!(f, "    manifest {}", platform.manifest)?;
            if let Some(created) = &platform.created {
                writeln!(f, "    created  {}", Line(created))?;
            }
            for layer in &platform.layers {
                let codec = layer.media_type.rsplit(['.', '+']).next().unwrap_or("");
                let size = Size(layer.size);
                let codec = Line(codec);
                writeln!(f, "    layer    {} {codec} {size}", layer.digest)?;
            }
            map(f, "labels", &platform.labels)?;
            // Annotations mostly say what the labels say.
            let more: BTreeMap<String, String> = platform
                .annotations
                .iter()
                .filter(|&(name, value)| platform.labels.get(name) != Some(value))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            map(f, "annotations beside the labels", &more)?;
        }
    }
    Ok(())
}

fn map(f: &mut fmt::Formatter<'_>, title: &str, values: &BTreeMap<String, String>) -> fmt::Result {
    if values.is_empty() {
        return Ok(());
    }
    writeln!(f, "    {title}")?;
    values
        .iter()
        .try_for_each(|(name, value)| writeln!(f, "      {} = {}", Line(name), Line(value)))
}

fn dist(f: &mut fmt::Formatter<'_>, report: &DistReport) -> fmt::Result {
    build(f, &report.manifest)?;
    for (name, architecture) in &report.manifest.architectures {
        if report.manifest.architectures.len() > 1 {
            writeln!(f, "\n{}", Line(name))?;
        }
        components(f, &architecture.components)?;
    }
    writeln!(f, "\noutputs")?;
    for (name, file) in &report.files {
        let state = if file.sound { "ok" } else { "WRONG" };
        match file.size {
            Some(size) => writeln!(f, "  {state:<5}  {}  {}", Line(name), Size(size))?,
            None => writeln!(f, "  {state:<5}  {}  missing", Line(name))?,
        }
    }
    Ok(())
}
