//! Packs and charts: the commands, charts from registries and repositories, and
//! the public collection of packs where a copy is at hand.

mod charts;
mod check;
mod cluster;
mod collection;
mod commands;
mod helm;
mod lists;
mod profile;
mod setup;

use isoforge_content::tarball;

/// A chart's archive.
pub(crate) fn chart(name: &str, version: &str, values: &str) -> Vec<u8> {
    let meta = format!("apiVersion: v2\nname: {name}\nversion: {version}\nappVersion: v9\n");
    let paths = ["Chart.yaml", "values.yaml"].map(|path| format!("{name}/{path}"));
    let files = [
        (paths[0].as_str(), meta.as_bytes()),
        (paths[1].as_str(), values.as_bytes()),
    ];
    tarball::gzip(files).unwrap()
}
