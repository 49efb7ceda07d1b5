//! Raw samples as they are kept: one JSON file for each group measured.
//!
//! Every table and chart is computed from these files. They hold all passes; the passes that were repeated
//! because of noise are marked.

use crate::entry::{Outcome, Params, Role};
use crate::machine::Machine;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// One group, measured once.
#[derive(Serialize, Deserialize)]
pub struct Run {
    pub group: String,
    pub title: String,
    pub machine: Machine,
    pub settings: Settings,
    pub rows: Vec<RowRecord>,
}

/// The number and the length of the rounds.
#[derive(Clone, Serialize, Deserialize)]
pub struct Settings {
    pub quick: bool,
    pub rounds: usize,
    pub warm_ms: u64,
    pub window_ms: u64,
}

#[derive(Serialize, Deserialize)]
pub struct RowRecord {
    pub section: String,
    pub params: Params,
    pub unit: String,
    pub contenders: Vec<ContenderRecord>,
}

#[derive(Serialize, Deserialize)]
pub struct ContenderRecord {
    pub name: String,
    pub role: Role,
    pub rounds: Vec<RoundRecord>,
    /// Why it is out of the row, if it is.
    pub failure: Option<String>,
}

/// One contender's part of one pass.
#[derive(Clone, Serialize, Deserialize)]
pub struct RoundRecord {
    pub pass: usize,
    /// Whether tables use it. A pass that was repeated because of noise doesn't count.
    pub counted: bool,
    pub noisy: bool,
    /// Cores used by other processes during the pass, if known.
    pub others: Option<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<(String, f64)>,
    /// Single durations in nanoseconds, or other numbers, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<(String, Vec<u32>)>,
}

impl RoundRecord {
    pub fn new(pass: usize, outcome: Outcome) -> Self {
        let Outcome { figures, samples } = outcome;
        Self {
            pass,
            counted: true,
            noisy: false,
            others: None,
            figures: named(figures),
            samples: named(samples),
        }
    }
}

fn named<T>(values: Vec<(&str, T)>) -> Vec<(String, T)> {
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Run {
    /// Writes the file for this run's group.
    pub fn save(&self, folder: &Path) -> Result<PathBuf, String> {
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let path = folder.join(format!("{}.json", self.group));
        let text = serde_json::to_string(self).map_err(|e| e.to_string())?;
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(path)
    }

    pub fn load(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
    }
}
