//! How the keys of a TOML document are stated: each once.
//!
//! [`keys!`] declares a table as the struct that it is read into. A field is a key:
//! its doc comment is the help, its form says type and check, the end of the form
//! whether it must be written and what holds without it. From this one statement
//! come the reader ([`Context::read`]), the merge of alternatives, the suggestions
//! for misspelt keys, the JSON Schema and the reference in `docs`.
//!
//! serde with schemars would state a key as briefly, but serde stops at the first
//! problem and knows no places after a merge of files; here all problems are found
//! at once, each with the place that wrote it and what was expected there.

mod form;
mod shape;
mod table;

use super::Document;
use super::document::Table;
use super::placeholder::Target;
use super::problem::{Bad, Report};
use super::source::{Sources, Span};

pub(crate) use form::{
    At, Form, boolean, bytes, free, integer, list, named, names, one_of, one_or_more,
    optional_table, password_hash, permissions, placed, required_table, secret, secret_in, table,
    text, text_or_table,
};
pub(crate) use shape::Shape;
pub(crate) use table::{join, path_of};

/// The keys of one table.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) keys: Vec<Key>,
    pub(crate) choices: Vec<Choice>,
}

/// Keys of which at most one is written.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) names: &'static [&'static str],
    /// Then exactly one.
    pub(crate) required: bool,
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) need: Need,
    /// What it means, in one or two sentences of Markdown.
    pub(crate) help: &'static str,
}

/// Whether a key has to be written.
#[derive(Debug, Clone)]
pub(crate) enum Need {
    /// Yes.
    Required,
    /// No; without it this holds, as Markdown. Empty: nothing.
    Default(String),
    /// It must not be: a later version acts on it. The text completes "it
    /// comes with …".
    Later(&'static str),
    /// It must not be, for good: the text says what to do instead.
    Refused(&'static str),
}

impl Key {
    /// Whether a document may have it.
    pub(crate) fn usable(&self) -> bool {
        matches!(self.need, Need::Required | Need::Default(_))
    }
}

impl Fields {
    pub(crate) fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|k| k.name == name)
    }

    pub(crate) fn usable(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(|key| key.usable())
    }
}

/// A value that a table of fixed keys is read into; [`keys!`] implements it.
pub(crate) trait Section: Sized + 'static {
    /// The keys.
    fn fields() -> &'static Fields;

    /// States the keys one after the other, and makes the value of theirs.
    fn state(keys: &mut Keys<'_>) -> Self;

    /// What stands in for a table that is not there.
    fn absent() -> Self {
        Self::state(&mut Keys::default())
    }
}

/// What reading needs beside the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) document: Document,
    pub(crate) sources: &'a Sources,
    pub(crate) report: &'a Report,
    /// What texts with placeholders have to be right for.
    pub(crate) targets: &'a [Target<'a>],
}

impl<'a> Context<'a> {
    /// Reads `table`, which is at `path` and `span`, and reports all that is wrong
    /// with it. A value that is missing or wrong is replaced by a stand-in, which
    /// nobody sees: a document with problems is not handed out.
    pub(crate) fn read<T: Section>(self, path: &str, table: &'a Table, span: Span) -> T {
        let reading = Reading {
            context: self,
            path,
            table,
        };
        let value = T::state(&mut Keys {
            stated: Fields::default(),
            reading: Some(reading),
        });
        table::check(self, T::fields(), path, table, span);
        value
    }
}

#[derive(Debug, Clone, Copy)]
struct Reading<'a> {
    context: Context<'a>,
    path: &'a str,
    table: &'a Table,
}

/// Goes through the keys of a table: to describe them, or to read them.
#[derive(Debug, Default)]
pub(crate) struct Keys<'a> {
    stated: Fields,
    reading: Option<Reading<'a>>,
}

impl<'a> Keys<'a> {
    /// The keys of `T`.
    pub(crate) fn of<T: Section>() -> Fields {
        let mut keys = Keys::default();
        T::state(&mut keys);
        keys.stated
    }

    pub(crate) fn key<V>(
        &mut self,
        name: &'static str,
        help: &'static str,
        key: impl Stated<Value = V>,
    ) -> V {
        key.take(self, name, help.trim_start())
    }

    /// Keys that nobody may write.
    pub(crate) fn never(&mut self, name: &'static str, need: Need) {
        self.stated.keys.push(Key {
            name,
            shape: Shape::Free,
            need,
            help: "",
        });
    }

    pub(crate) fn choice(&mut self, names: &'static [&'static str], required: bool) {
        self.stated.choices.push(Choice { names, required });
    }

    /// What is read under `name`, if it is written.
    fn at(&self, name: &str) -> Option<At<'a>> {
        let Reading {
            context,
            path,
            table,
        } = self.reading?;
        let entry = table.get(name)?;
        Some(At::new(context, join(path, name), entry))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.at(name).is_some()
    }

    /// Reports what is wrong with the value of `name`, if it is written.
    pub(crate) fn bad(&self, name: &str, bad: impl FnOnce() -> Bad) {
        if let Some(at) = self.at(name) {
            at.bad(bad());
        }
    }

    pub(crate) fn document(&self) -> Option<Document> {
        Some(self.reading?.context.document)
    }

    pub(crate) fn targets(&self) -> &'a [Target<'a>] {
        self.reading.map_or(&[], |reading| reading.context.targets)
    }
}

/// What [`Keys::key`] takes: one key, or the keys of a section within the table.
pub(crate) trait Stated {
    type Value;

    fn take(self, keys: &mut Keys<'_>, name: &'static str, help: &'static str) -> Self::Value;
}

/// Reads a key's value; none where it is wrong, which is then reported.
type ReadValue<V> = Box<dyn Fn(&At<'_>) -> Option<V>>;

/// A key's form with what holds where it is not written.
pub(crate) struct Stating<V> {
    shape: Shape,
    need: Need,
    absent: V,
    read: ReadValue<V>,
}

impl<V> Stated for Stating<V> {
    type Value = V;

    fn take(self, keys: &mut Keys<'_>, name: &'static str, help: &'static str) -> V {
        if keys.reading.is_none() {
            keys.stated.keys.push(Key {
                name,
                shape: self.shape,
                need: self.need,
                help,
            });
        }
        let found = keys.at(name).and_then(|at| (self.read)(&at));
        found.unwrap_or(self.absent)
    }
}

/// The keys of `T` stand in the table itself.
pub(crate) fn inline<T: Section>() -> Inline<T> {
    Inline(std::marker::PhantomData)
}

/// See [`inline`].
#[derive(Debug)]
pub(crate) struct Inline<T>(std::marker::PhantomData<T>);

impl<T: Section> Stated for Inline<T> {
    type Value = T;

    fn take(self, keys: &mut Keys<'_>, _: &'static str, _: &'static str) -> T {
        T::state(keys)
    }
}

/// Declares a table: a `struct` with a field for each key, or `impl` of a type that
/// stands elsewhere and has these fields, or is made from the keys' values by the
/// expression behind `=>`.
///
/// Behind the keys may stand: `never` with keys that must not be written, `one of`
/// and `exactly one of` with alternatives, and for a struct `check`, which looks at
/// several keys at once.
macro_rules! keys {
    (
        $(#[doc = $doc:literal])+
        $(#[derive($($derive:ident),+)])?
        $vis:vis struct $Name:ident {
            $(
                $(#[doc = $help:literal])+
                $(#[serde($($serde:tt)*)])?
                $field:ident $(as $key:literal)?: $Type:ty = $form:expr
            ),+ $(,)?
        }
        $($rest:tt)*
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, serde::Serialize, $($($derive),+)?)]
        $vis struct $Name {
            $( $(#[doc = $help])+ $(#[serde($($serde)*)])? $vis $field: $Type ),+
        }

        impl $crate::profile::keys::Section for $Name {
            keys!(@fields);

            fn state(keys: &mut $crate::profile::keys::Keys<'_>) -> Self {
                let this = Self {
                    $( $field: keys.key(keys!(@name $field $($key)?), concat!($($help),+), $form) ),+
                };
                keys!(@rest keys this $($rest)*);
                this
            }
        }
    };
    (
        impl $Name:ty {
            $(
                $(#[doc = $help:literal])+
                $field:ident $(as $key:literal)? = $form:expr
            ),+ $(,)?
        }
        $(never { $($never:ident: $need:expr),+ $(,)? })?
        $(one of $($one:ident),+;)?
        $(exactly one of $($exact:ident),+;)?
        $(=> $($made:tt)+)?
    ) => {
        impl $crate::profile::keys::Section for $Name {
            keys!(@fields);

            fn state(keys: &mut $crate::profile::keys::Keys<'_>) -> Self {
                $( let $field = keys.key(keys!(@name $field $($key)?), concat!($($help),+), $form); )+
                $( $( keys.never(stringify!($never), $need); )+ )?
                $( keys.choice(&[$(stringify!($one)),+], false); )?
                $( keys.choice(&[$(stringify!($exact)),+], true); )?
                keys!(@made keys [$($field),+] $($($made)+)?)
            }
        }
    };
    (@made $keys:ident [$($field:ident),+]) => { Self { $($field),+ } };
    (@made $keys:ident [$($field:ident),+] |$k:ident| $made:expr) => {{
        let $k = &*$keys;
        $made
    }};
    (@made $keys:ident [$($field:ident),+] $made:expr) => { $made };
    (@fields) => {
        fn fields() -> &'static $crate::profile::keys::Fields {
            static FIELDS: std::sync::OnceLock<$crate::profile::keys::Fields> =
                std::sync::OnceLock::new();
            FIELDS.get_or_init($crate::profile::keys::Keys::of::<Self>)
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $key:literal) => { $key };
    (@rest $keys:ident $this:ident) => {};
    (@rest $keys:ident $this:ident never { $($never:ident: $need:expr),+ $(,)? } $($rest:tt)*) => {
        $( $keys.never(stringify!($never), $need); )+
        keys!(@rest $keys $this $($rest)*);
    };
    (@rest $keys:ident $this:ident check |$k:ident, $t:ident| $check:block) => {
        {
            let ($k, $t) = (&*$keys, &$this);
            $check
        }
    };
}

pub(crate) use keys;
