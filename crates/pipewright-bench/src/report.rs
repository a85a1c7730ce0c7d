//! Tables for people, figures for programs.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::args::Options;
use crate::contenders::{self, LeftOut};
use crate::measure::Spread;
use crate::os;
use crate::plot::{self, Picture};
use crate::scenarios::Scenario;

/// What a scenario found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) tables: Vec<Table>,
    pub(crate) figures: Vec<Figures>,
    pub(crate) pictures: Vec<Picture>,
}

/// The figures of one contender in one case, one for each round, or one for each
/// sample.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) case: String,
    pub(crate) contender: String,
    pub(crate) unit: &'static str,
    pub(crate) values: Vec<f64>,
}

#[derive(Debug)]
pub(crate) struct Table {
    /// Begins with a letter; what the columns do not say.
    pub(crate) title: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    /// Whatever the reader must know besides.
    pub(crate) notes: Vec<String>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, columns: &[&str]) -> Table {
        Table {
            title: title.into(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// In Markdown, with columns that line up.
    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let widths = cells
                .chain([&self.columns[column]])
                .map(|cell| cell.chars().count());
            widths.max().unwrap_or_default().max(3)
        };
        let widths: Vec<_> = (0..self.columns.len()).map(width).collect();
        writeln!(out, "{}\n", self.title)?;
        write_row(out, &self.columns, &widths)?;
        let rule = widths.iter().enumerate().map(|(n, &width)| match n {
            0 => "-".repeat(width),
            _ => "-".repeat(width - 1) + ":",
        });
        write_row(out, &rule.collect::<Vec<_>>(), &widths)?;
        for row in &self.rows {
            write_row(out, row, &widths)?;
        }
        writeln!(out)?;
        for note in &self.notes {
            writeln!(out, "{note}\n")?;
        }
        Ok(())
    }
}

/// The first column to the left, figures to the right.
fn write_row(out: &mut impl Write, cells: &[String], widths: &[usize]) -> io::Result<()> {
    for (n, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        match n {
            0 => write!(out, "| {cell:<width$} |")?,
            _ => write!(out, " {cell:>width$} |")?,
        }
    }
    writeln!(out)
}

/// Prints the tables, and writes the files that were asked for.
pub(crate) fn print(scenario: Scenario, findings: &Findings, options: &Options) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let rounds = options.rounds();
    let plural = if rounds == 1 { "" } else { "s" };
    writeln!(
        out,
        "## {}: {rounds} round{plural}, {}\n",
        scenario.name(),
        os::machine()
    )?;
    if options.quick {
        writeln!(
            out,
            "A quick run: it shows that the measurement works, and no more.\n"
        )?;
    }
    for LeftOut { name, why } in contenders::left_out() {
        writeln!(out, "{name} is left out: {why}.\n")?;
    }
    for table in &findings.tables {
        table.write(&mut out)?;
    }
    if let Some(folder) = &options.svg {
        fs::create_dir_all(folder)?;
        for picture in &findings.pictures {
            let file = plot::draw(picture, folder)?;
            writeln!(out, "Picture: {}", file.display())?;
        }
    }
    if let Some(file) = options.json_of(scenario) {
        write_json(scenario, rounds, findings, &file)?;
        writeln!(out, "Figures: {}", file.display())?;
    }
    Ok(())
}

fn write_json(
    scenario: Scenario,
    rounds: usize,
    findings: &Findings,
    file: &Path,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Written<'a> {
        scenario: &'static str,
        machine: String,
        rounds: usize,
        figures: &'a [Figures],
    }
    let written = Written {
        scenario: scenario.name(),
        machine: os::machine(),
        rounds,
        figures: &findings.figures,
    };
    fs::write(file, serde_json::to_vec_pretty(&written)?)
}

/// A ratio, and between which its middle half lies.
pub(crate) fn ratio(ratios: &[f64]) -> [String; 2] {
    let Spread { low, median, high } = Spread::of(ratios);
    [digits(median), format!("{}–{}", digits(low), digits(high))]
}

/// Three significant digits, or all before the point; a dash for what is not known.
pub(crate) fn digits(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "–".into(),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Bytes, in the unit that fits.
pub(crate) fn bytes(count: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    for (shift, unit) in units {
        if count >= 1 << shift && count.is_multiple_of(1 << shift) {
            return format!("{} {unit}", count >> shift);
        }
    }
    format!("{count} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_the_first_is_to_the_left() {
        let mut table = Table::new("A title", &["who", "times raw"]);
        table.rows.push(vec!["pipewright".into(), "22.1".into()]);
        table.rows.push(vec!["raw".into(), "1.00".into()]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        let expected = "\
A title

| who        | times raw |
| ---------- | --------: |
| pipewright |      22.1 |
| raw        |      1.00 |

";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn figures_keep_three_digits() {
        let shown = [1234.5, 12.34, 1.234, 0.1234].map(digits);
        assert_eq!(shown, ["1234", "12.3", "1.23", "0.123"]);
        assert_eq!(digits(f64::NAN), "–");
    }

    #[test]
    fn sizes_are_shown_in_the_largest_unit_that_is_exact() {
        let shown = [64, 1 << 10, 3 << 19, 1 << 20, 1 << 30].map(bytes);
        assert_eq!(shown, ["64 B", "1 KiB", "1536 KiB", "1 MiB", "1 GiB"]);
    }
}
