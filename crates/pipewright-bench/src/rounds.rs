//! Whose turn it is.

use std::io;

/// The values of one contender, one for each round.
#[derive(Debug)]
pub(crate) struct Series<T> {
    pub(crate) name: &'static str,
    pub(crate) values: Vec<T>,
}

impl<T> Series<T> {
    /// One figure of each value.
    pub(crate) fn figures(&self, figure: impl FnMut(&T) -> f64) -> Vec<f64> {
        self.values.iter().map(figure).collect()
    }
}

/// Gives each contender a turn in each round. Each round begins with another one, so
/// that none always follows the same.
pub(crate) fn interleaved<T>(
    names: &[&'static str],
    rounds: usize,
    mut trial: impl FnMut(&'static str) -> io::Result<T>,
) -> io::Result<Vec<Series<T>>> {
    let series = |&name| Series {
        name,
        values: Vec::with_capacity(rounds),
    };
    let mut all: Vec<_> = names.iter().map(series).collect();
    for round in 0..rounds {
        for turn in 0..all.len() {
            let who = (round + turn) % names.len();
            let value = trial(names[who]).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", names[who]))
            })?;
            all[who].values.push(value);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_rotates_and_every_contender_has_a_turn_in_every_round() {
        let mut turns = Vec::new();
        let series = interleaved(&["a", "b", "c"], 2, |name| {
            turns.push(name);
            Ok(turns.len())
        })
        .unwrap();
        assert_eq!(turns, ["a", "b", "c", "b", "c", "a"]);
        let values: Vec<_> = series.iter().map(|s| s.values.clone()).collect();
        assert_eq!(values, [[1, 6], [2, 4], [3, 5]]);
    }

    #[test]
    fn an_error_says_whose_turn_it_was() {
        let failed = interleaved(&["a"], 1, |_| Err::<(), _>(io::Error::other("broken")));
        assert_eq!(failed.unwrap_err().to_string(), "a: broken");
    }
}
