//! Release files of package archives: their dates and digests.
//!
//! Format: Debian Repository Format, "Release files". They are fetched with
//! apt's own helper, which mmdebstrap needs anyway, so that mirrors, proxies and
//! URL schemes work here as they do there. Their signatures are checked by apt
//! when mmdebstrap fetches them once more; here they only tell whether anything
//! changed, and when.

use std::path::Path;

use fs_err as fs;
use jiff::civil::DateTime;

use super::error::no_release;
use super::{Host, UNREADABLE, with_proxies};
use crate::lock::Release;
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Context as _, Failure, Result};
use isoforge_base::process::Program;

/// apt's program that fetches one file.
const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

/// An entry of sources.list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// The entry, `deb …`.
    pub(super) line: String,
    /// The folder of its Release file.
    pub(super) folder: String,
}

impl Source {
    /// Parses an entry in one-line format (sources.list(5)).
    pub(super) fn parse(line: &str) -> Result<Self> {
        let error = |why| {
            let message = format!("bootstrap.mirror: '{line}' is no source of packages: {why}");
            Failure::new(Class::Profile, message).with_hint(
                "write a URL, or a line of sources.list: \
                 \"deb http://deb.debian.org/debian trixie main\"",
            )
        };
        let rest = line
            .strip_prefix("deb ")
            .ok_or_else(|| error("it does not begin with 'deb'"))?;
        let rest = rest.trim_start();
        let rest = match rest.strip_prefix('[') {
            Some(options) => {
                options
                    .split_once(']')
                    .ok_or_else(|| error("it has '[' without ']'"))?
                    .1
            }
            None => rest,
        };
        let mut words = rest.split_whitespace();
        let url = words.next().ok_or_else(|| error("it has no URL"))?;
        let suite = words.next().ok_or_else(|| error("it has no suite"))?;
        if !["http://", "https://", "file:/"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            return Err(error(
                "its URL begins with none of http://, https://, file:/",
            ));
        }
        let url = url.trim_end_matches('/');
        let folder = match suite.strip_suffix('/') {
            // A flat repository: the suite is a path below the URL.
            Some(path) => format!("{url}/{path}"),
            None => format!("{url}/dists/{suite}"),
        };
        Ok(Self {
            line: line.to_owned(),
            folder: folder.trim_end_matches("/.").to_owned(),
        })
    }
}

/// What an archive that can't be reached does not give, and why.
type Reached<T> = Result<T, Failure>;

/// Fetches the Release files of `sources`, each once.
pub(super) fn fetch_all(
    sources: &[Source],
    host: &Host,
    scratch: &Path,
) -> Result<Reached<Vec<Release>>> {
    let mut releases: Vec<Release> = Vec::new();
    for source in sources {
        if releases
            .iter()
            .all(|known| !known.url.starts_with(&format!("{}/", source.folder)))
        {
            match fetch(source, host, scratch)? {
                Ok(release) => releases.push(release),
                Err(unreachable) => return Ok(Err(unreachable)),
            }
        }
    }
    Ok(Ok(releases))
}

fn fetch(source: &Source, host: &Host, scratch: &Path) -> Result<Reached<Release>> {
    // Some archives have no signature within the file.
    let folder = &source.folder;
    let reached = match download(&format!("{folder}/InRelease"), host, scratch)? {
        Err(_) => download(&format!("{folder}/Release"), host, scratch)?,
        inline => inline,
    };
    let (url, text) = match reached {
        Ok(found) => found,
        Err(unreachable) => return Ok(Err(unreachable)),
    };
    let epoch = date(&text).ok_or_else(|| {
        let message = format!("the package archive's {url} is no Release file: it has no date");
        Failure::new(Class::Verification, message)
    })?;
    Ok(Ok(Release {
        epoch,
        digest: Digest::of(&text),
        url,
    }))
}

fn download(url: &str, host: &Host, scratch: &Path) -> Result<Reached<(String, Vec<u8>)>> {
    let dir = tempfile::tempdir_in(scratch).context(UNREADABLE)?;
    let file = dir.path().join("Release");
    let program = Program::new(APT_HELPER, "apt")
        .args(["-o", "APT::Sandbox::User="])
        .arg("download-file")
        .arg(url)
        .arg(&file);
    let fetched = with_proxies(program, host)
        .run(|out| std::io::copy(out, &mut std::io::sink()), &mut |_| {});
    if let Err(error) = fetched {
        return Ok(Err(no_release(url, error)));
    }
    Ok(Ok((url.to_owned(), fs::read(&file).context(UNREADABLE)?)))
}

/// The date of a Release file.
fn date(text: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(text);
    let date = text
        .lines()
        .find_map(|line| line.strip_prefix("Date:"))?
        .trim();
    let date = ["UTC", "GMT", "+0000"]
        .iter()
        .find_map(|zone| date.strip_suffix(zone))?;
    let date = DateTime::strptime("%a, %d %b %Y %H:%M:%S", date.trim()).ok()?;
    let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    zoned.timestamp().as_second().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    #[test]
    fn sources_name_the_folder_of_their_release_file() {
        let folder = |line| Source::parse(line).unwrap().folder;
        assert_eq!(
            folder("deb http://a/debian trixie main"),
            "http://a/debian/dists/trixie"
        );
        assert_eq!(
            folder("deb [arch=amd64 signed-by=/x] https://a/ubuntu/ noble main universe"),
            "https://a/ubuntu/dists/noble"
        );
        assert_eq!(folder("deb http://a/flat ./"), "http://a/flat");
        assert_eq!(folder("deb file:///srv/x sub/"), "file:///srv/x/sub");
        assert_snapshot!(Source::parse("deb [x http://a b").unwrap_err(), @"bootstrap.mirror: 'deb [x http://a b' is no source of packages: it has '[' without ']'");
        assert_snapshot!(Source::parse("deb cdrom:x trixie").unwrap_err(), @"bootstrap.mirror: 'deb cdrom:x trixie' is no source of packages: its URL begins with none of http://, https://, file:/");
        assert_snapshot!(Source::parse("deb http://a").unwrap_err(), @"bootstrap.mirror: 'deb http://a' is no source of packages: it has no suite");
    }

    #[test]
    fn the_date_is_read_whatever_the_zone_is_called() {
        for zone in ["UTC", "GMT", "+0000"] {
            let text =
                format!("Origin: Debian\nDate: Sat, 12 Sep 2026 07:55:41 {zone}\nSuite: stable\n");
            assert_eq!(date(text.as_bytes()), Some(1_789_199_741));
        }
        assert_eq!(
            date(b"Date: Sat,  1 Aug 2026  7:05:04 UTC\n"),
            Some(1_785_567_904)
        );
        assert_eq!(date(b"<html>Date: soon</html>"), None);
    }

    #[test]
    fn archives_on_disk_are_asked_and_missing_ones_told() {
        let dir = tempfile::tempdir().unwrap();
        let suite = dir.path().join("dists/s");
        fs::create_dir_all(&suite).unwrap();
        let text = "Date: Sat, 12 Sep 2026 07:55:41 UTC\n";
        fs::write(suite.join("Release"), text).unwrap();
        let line = format!("deb file://{} s main", dir.path().display());
        let source = Source::parse(&line).unwrap();
        let sources = [source.clone(), source.clone()];
        let found = fetch_all(&sources, &Host::default(), dir.path())
            .unwrap()
            .unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].epoch, 1_789_199_741);
        assert_eq!(found[0].digest, Digest::of(text.as_bytes()));

        fs::write(suite.join("Release"), "nothing").unwrap();
        let error = fetch(&source, &Host::default(), dir.path()).unwrap_err();
        assert_eq!(error.class(), Class::Verification, "{error}");
        fs::remove_file(suite.join("Release")).unwrap();
        let error = fetch(&source, &Host::default(), dir.path())
            .unwrap()
            .unwrap_err();
        assert_eq!(error.class(), Class::Network, "{error}");
    }
}
