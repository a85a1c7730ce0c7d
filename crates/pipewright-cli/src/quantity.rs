//! Sizes and durations, as people type them.

use std::num::NonZeroU64;
use std::time::Duration;

/// Bytes: a whole number and a unit. `K`, `M`, `G`, `T` (or `KiB`, …) are powers
/// of 1024; `KB`, `MB`, … are powers of 1000. The case does not matter.
pub(crate) fn size(text: &str) -> Result<NonZeroU64, String> {
    let (digits, unit) = split(text, |c| c.is_ascii_digit());
    let number: u64 = digits.parse().map_err(|_| {
        if digits.is_empty() {
            "a size is a whole number of bytes, as in 65536, 64K or 16MiB".to_owned()
        } else {
            format!("{text} is too large")
        }
    })?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => {
            return Err(format!(
                "unknown unit '{unit}'; known: K, M, G, T, KB, KiB, …"
            ));
        }
    };
    let bytes = number
        .checked_mul(factor)
        .ok_or_else(|| format!("{text} is too large"))?;
    NonZeroU64::new(bytes).ok_or_else(|| "a buffer of 0 bytes could hold nothing".to_owned())
}

/// A decimal number and a unit (`ms`, `s`, `m`, `h`); without one, seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = split(text, |c| c.is_ascii_digit() || c == '.');
    let number: f64 = digits
        .parse()
        .map_err(|_| "a duration is a number, as in 5, 0.5, 500ms or 2m".to_owned())?;
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("unknown unit '{unit}'; known: ms, s, m, h")),
    };
    Duration::try_from_secs_f64(number * factor).map_err(|_| format!("{text} is too long"))
}

/// The leading part made of `of`, and the rest without leading blanks.
fn split(text: &str, of: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !of(c)).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> u64 {
        size(text).unwrap().get()
    }

    #[test]
    fn sizes_have_units_of_1024_unless_they_end_in_b_alone() {
        assert_eq!(bytes("1"), 1);
        assert_eq!(bytes("64K"), 65_536);
        assert_eq!(bytes("64kib"), 65_536);
        assert_eq!(bytes("64 KiB"), 65_536);
        assert_eq!(bytes("64kB"), 64_000);
        assert_eq!(bytes("3M"), 3 << 20);
        assert_eq!(bytes("2G"), 2 << 30);
        assert_eq!(bytes("16777215T"), 16_777_215 << 40);
    }

    #[test]
    fn sizes_that_mean_nothing_are_refused() {
        for text in ["", "K", "-1", "1.5M", "1X", "0", "0K", "16777216T"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert!(
            size("99999999999999999999")
                .unwrap_err()
                .contains("too large")
        );
    }

    #[test]
    fn durations_are_seconds_unless_they_say_otherwise() {
        assert_eq!(duration("5").unwrap(), Duration::from_secs(5));
        assert_eq!(duration("0").unwrap(), Duration::ZERO);
        assert_eq!(duration("0.25s").unwrap(), Duration::from_millis(250));
        assert_eq!(duration("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(duration("2m").unwrap(), Duration::from_secs(120));
        assert_eq!(duration("1h").unwrap(), Duration::from_secs(3600));
    }

    #[test]
    fn durations_that_mean_nothing_are_refused() {
        for text in [
            "",
            "s",
            ".",
            "-1",
            "inf",
            "nan",
            "1e3",
            "1.2.3",
            "5d",
            "9999999999999999999999",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
