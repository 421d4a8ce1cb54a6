//! Platforms: operating system, processor architecture and its variant, with
//! the names of Go (OCI Image Specification v1.1, "Image Index", section
//! "platform").

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;
use isoforge_base::error::Class;

/// A platform. The variant is normalized: `v8` of arm64 and `v1` of amd64, which
/// are what the architecture means without one, are left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Platform {
    /// A platform from its parts, names of other origin brought to Go's.
    #[must_use]
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (architecture, implied) = match architecture.to_ascii_lowercase().as_str() {
            "x86_64" | "x86-64" => ("amd64".to_owned(), None),
            "aarch64" => ("arm64".to_owned(), None),
            "armhf" => ("arm".to_owned(), Some("v7")),
            "armel" => ("arm".to_owned(), Some("v6")),
            other => (other.to_owned(), None),
        };
        let variant = variant
            .filter(|variant| !variant.is_empty())
            .or(implied)
            .map(str::to_ascii_lowercase)
            .filter(|variant| {
                !matches!(
                    (architecture.as_str(), variant.as_str()),
                    ("arm64", "v8" | "8") | ("amd64", "v1")
                )
            });
        Self {
            os: os.to_ascii_lowercase(),
            architecture,
            variant,
        }
    }

    /// Linux on `architecture`.
    #[must_use]
    pub fn linux(architecture: &str) -> Self {
        Self::new("linux", architecture, None)
    }

    /// The operating system, `linux`.
    #[must_use]
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The architecture, `amd64` or `arm64`.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The variant, where it is not the one that goes without saying.
    #[must_use]
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// Whether this is the `unknown/unknown` that builders give to what is no
    /// image.
    #[must_use]
    pub(crate) fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown"
    }

    /// How well an image for `offered` serves this platform: `None` not at all,
    /// else the smaller the better.
    ///
    /// Without a variant wanted only images for the baseline are safe. With one
    /// wanted, an image for the baseline serves too.
    #[must_use]
    pub fn distance(&self, offered: &Self) -> Option<u8> {
        if (&self.os, &self.architecture) != (&offered.os, &offered.architecture) {
            return None;
        }
        match (&self.variant, &offered.variant) {
            (wanted, offered) if wanted == offered => Some(0),
            (Some(_), None) => Some(1),
            _ => None,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let error = || {
            let problem =
                format!("'{text}' is not a platform such as linux/amd64 or linux/arm64/v8");
            Error::new(Class::Profile, problem)
        };
        let parts: Vec<&str> = text.split('/').collect();
        let well_formed = parts.iter().all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        });
        match parts.as_slice() {
            _ if !well_formed => Err(error()),
            [architecture] => Ok(Self::linux(architecture)),
            [os, architecture] => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] => Ok(Self::new(os, architecture, Some(variant))),
            _ => Err(error()),
        }
    }
}

impl TryFrom<String> for Platform {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Platform> for String {
    fn from(platform: Platform) -> Self {
        platform.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_brought_to_one_form() {
        assert_eq!(platform("amd64").to_string(), "linux/amd64");
        assert_eq!(platform("linux/x86_64").to_string(), "linux/amd64");
        assert_eq!(platform("linux/arm64/v8"), platform("aarch64"));
        assert_eq!(platform("linux/arm/v7").to_string(), "linux/arm/v7");
        for text in ["", "linux/", "a/b/c/d", "linux/amd 64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_the_baseline_serves_a_machine_without_a_variant() {
        let amd64 = platform("amd64");
        assert_eq!(amd64.distance(&platform("linux/amd64/v1")), Some(0));
        assert_eq!(amd64.distance(&platform("linux/amd64/v3")), None);
        assert_eq!(amd64.distance(&platform("linux/arm64")), None);
        assert_eq!(amd64.distance(&platform("windows/amd64")), None);
        assert_eq!(platform("linux/amd64/v3").distance(&amd64), Some(1));
    }
}
