//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::scenarios::Scenario;

/// Measures pipe writers against each other: tables on standard output, pictures and
/// figures in files.
#[derive(Debug, Parser)]
#[command(name = "pipewright-bench")]
pub(crate) struct Options {
    /// What to measure: one of them, or all
    #[arg(value_name = "SCENARIO", value_parser = scenario)]
    scenario: Chosen,

    /// How often each contender has its turn
    #[arg(long, value_name = "N", default_value = "5")]
    rounds: NonZeroUsize,

    /// A small load and one round: shows that it works, not how fast it is
    #[arg(long)]
    pub(crate) quick: bool,

    /// Draw pictures into this folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) svg: Option<PathBuf>,

    /// Write all figures into this file; with `all`, the scenario's name is added
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// The `pipewright` command to measure [default: built now]
    #[cfg(unix)]
    #[arg(long, value_name = "PATH")]
    pub(crate) command: Option<PathBuf>,

    /// The Qt6Core.dll of a Qt 6 built for Microsoft's compiler, to measure Qt too
    #[cfg(windows)]
    #[arg(long, value_name = "PATH")]
    pub(crate) qt6core: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug)]
enum Chosen {
    All,
    One(Scenario),
}

pub(crate) fn parse() -> Options {
    Options::parse()
}

fn scenario(typed: &str) -> Result<Chosen, String> {
    if typed == "all" {
        return Ok(Chosen::All);
    }
    Scenario::from_str(typed, false)
        .map(Chosen::One)
        .map_err(|_| {
            let names: Vec<_> = Scenario::value_variants()
                .iter()
                .map(Scenario::name)
                .collect();
            format!("there are: {}, all", names.join(", "))
        })
}

impl Options {
    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        match self.scenario {
            Chosen::All => Scenario::value_variants().to_vec(),
            Chosen::One(scenario) => vec![scenario],
        }
    }

    /// Where the figures of a scenario go.
    pub(crate) fn json_of(&self, scenario: Scenario) -> Option<PathBuf> {
        let file = self.json.as_ref()?;
        Some(match self.scenario {
            Chosen::One(_) => file.clone(),
            Chosen::All => file.with_extension(format!("{}.json", scenario.name())),
        })
    }

    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds.get() }
    }

    /// The load for a real measurement, or the small one.
    pub(crate) fn load<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}
