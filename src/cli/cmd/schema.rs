//! `isoforge schema`.

use isoforge_base::error::Result;

use crate::cli::args::{Schema, SchemaOf};
use crate::cli::report;
use crate::profile::{Document, json_schema};

pub(in crate::cli) fn run(args: &Schema) -> Result<()> {
    let schema = json_schema(match args.document {
        SchemaOf::Profile => Document::Profile,
        SchemaOf::Catalog => Document::Catalog,
        SchemaOf::Settings => Document::Settings,
    });
    report::data(super::json(&schema)?)?;
    Ok(())
}
