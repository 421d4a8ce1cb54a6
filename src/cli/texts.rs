//! Reports of the library as texts for people; as JSON they are what they are.

mod build;
mod bundle;
mod plan;
