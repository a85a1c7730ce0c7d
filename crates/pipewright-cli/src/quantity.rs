//! Sizes and durations, as people type them.

use std::num::NonZeroU64;
use std::time::Duration;

/// Bytes: a whole number and a unit. `K`, `M`, `G`, `T` (or `KiB`, …) are powers
/// of 1024; `KB`, `MB`, … are powers of 1000. The case does not matter.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
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
    number
        .checked_mul(factor)
        .ok_or_else(|| format!("{text} is too large"))
}

/// The bytes of a buffer.
pub(crate) fn size(text: &str) -> Result<NonZeroU64, String> {
    let none = || "a buffer of 0 bytes could hold nothing".to_owned();
    NonZeroU64::new(bytes(text)?).ok_or_else(none)
}

/// Bytes per second.
pub(crate) fn rate(text: &str) -> Result<NonZeroU64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    let none = || "at 0 bytes per second nothing would ever arrive".to_owned();
    NonZeroU64::new(bytes(number)?).ok_or_else(none)
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

/// How often: a whole number, or `always`.
pub(crate) fn times(text: &str) -> Result<u64, String> {
    if text == "always" {
        return Ok(u64::MAX);
    }
    let number = text.parse().ok().filter(|_| !text.starts_with('+'));
    number.ok_or_else(|| format!("'{text}' is not a number, and not always"))
}

/// Bytes, as people read them: three digits and a unit, in powers of 1024.
pub(crate) fn in_short(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let (mut tenths, mut unit) = (u128::from(bytes) * 10 / 1024, 0);
    while tenths >= 10_000 {
        tenths /= 1024;
        unit += 1;
    }
    if tenths < 1000 {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    } else {
        format!("{} {}", tenths / 10, UNITS[unit])
    }
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

    fn read(text: &str) -> u64 {
        size(text).unwrap().get()
    }

    #[test]
    fn sizes_have_units_of_1024_unless_they_end_in_b_alone() {
        assert_eq!(read("1"), 1);
        assert_eq!(read("64K"), 65_536);
        assert_eq!(read("64kib"), 65_536);
        assert_eq!(read("64 KiB"), 65_536);
        assert_eq!(read("64kB"), 64_000);
        assert_eq!(read("3M"), 3 << 20);
        assert_eq!(read("2G"), 2 << 30);
        assert_eq!(read("16777215T"), 16_777_215 << 40);
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
    fn sizes_are_shown_with_three_digits() {
        for (bytes, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "0.9 KiB"),
            (1024, "1.0 KiB"),
            (102_399, "99.9 KiB"),
            (102_400, "100 KiB"),
            (1 << 20, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(in_short(bytes), shown);
        }
    }

    #[test]
    fn a_rate_is_a_size_per_second() {
        assert_eq!(rate("10M").unwrap().get(), 10 << 20);
        assert_eq!(rate("500kB/s").unwrap().get(), 500_000);
        assert!(rate("0").is_err() && rate("1M/m").is_err());
        assert_eq!(bytes("0"), Ok(0));
    }

    #[test]
    fn times_are_a_number_or_always() {
        assert_eq!(times("0"), Ok(0));
        assert_eq!(times("12"), Ok(12));
        assert_eq!(times("always"), Ok(u64::MAX));
        for text in ["", "-1", "+1", "1.5", "ever", "99999999999999999999"] {
            assert!(times(text).is_err(), "{text}");
        }
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
