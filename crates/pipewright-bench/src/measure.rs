//! Statistics: medians, quartiles, and ratios within a round.

use serde::Serialize;

/// The middle of some values, and between which the middle half lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    pub(crate) fn of(values: &[f64]) -> Spread {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Spread {
            low: quantile(&sorted, 250),
            median: quantile(&sorted, 500),
            high: quantile(&sorted, 750),
        }
    }
}

/// The value below which so many thousandths of the sorted values lie; between two
/// values, in proportion. NaN if there are none.
pub(crate) fn quantile(sorted: &[f64], permille: usize) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let position = last * permille.min(1000);
    let (below, rest) = (position / 1000, position % 1000);
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * rest as f64 / 1000.0
}

/// How many times the reference's value of the same round.
pub(crate) fn ratios(values: &[f64], reference: &[f64]) -> Vec<f64> {
    let pairs = values.iter().zip(reference);
    pairs.map(|(value, reference)| value / reference).collect()
}

pub(crate) fn median(values: &[f64]) -> f64 {
    Spread::of(values).median
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_lies_between_two() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
    }

    #[test]
    fn quartiles_do_not_depend_on_the_order() {
        let spread = Spread::of(&[5.0, 1.0, 4.0, 2.0, 3.0]);
        let expected = Spread {
            low: 2.0,
            median: 3.0,
            high: 4.0,
        };
        assert_eq!(spread, expected);
    }

    #[test]
    fn the_highest_quantile_is_the_last_value() {
        assert_eq!(quantile(&[1.0, 2.0, 9.0], 1000), 9.0);
    }

    #[test]
    fn no_values_have_no_middle() {
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_slow_round_does_not_change_the_ratio() {
        assert_eq!(ratios(&[20.0, 2.0], &[10.0, 1.0]), [2.0, 2.0]);
    }
}
