//! Tests of slabs, and of images made of them with foreign tools as judges.

#![allow(clippy::disallowed_methods)]

mod image;
mod judges;
mod slabs;
mod support;
