//! Numbers of YAML as JSON has them.

use serde_json::Number;

use crate::util::yaml::{self, Numeral};

pub(super) type Raw = yaml::Raw<Number>;

impl Numeral for Number {
    fn signed(number: i128) -> Raw {
        Self::from_i128(number).map_or_else(|| Raw::Text(number.to_string()), Raw::Number)
    }

    fn unsigned(number: u128) -> Raw {
        Self::from_u128(number).map_or_else(|| Raw::Text(number.to_string()), Raw::Number)
    }

    fn float(number: f64) -> Raw {
        // Helm's values are JSON, where 1.0 and 1 are the same number.
        #[allow(clippy::cast_possible_truncation, clippy::float_cmp)]
        if number.trunc() == number && number.abs() < 9e15 {
            return Raw::Number((number as i64).into());
        }
        Self::from_f64(number).map_or_else(|| Raw::Text(number.to_string()), Raw::Number)
    }
}
