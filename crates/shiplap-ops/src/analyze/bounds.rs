//! What an image must keep to, for pipelines: dive's three bounds by dive's numbers, and one on all
//! waste that the image can't miss.
//!
//! It reads no file: whoever has a `.dive-ci` hands its text over.

use serde::Serialize;
use shiplap_model::units::{self, SizeBase, UnitError};

use super::Analysis;

/// Bounds; `None` is no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bounds {
    /// Least efficiency, 0 to 1.
    pub lowest_efficiency: Option<f64>,
    /// Most bytes wasted, as dive counts them.
    pub highest_wasted_bytes: Option<u64>,
    /// Most bytes wasted by all bytes above the first layer, 0 to 1, as dive counts them.
    pub highest_user_wasted: Option<f64>,
    /// Most waste that the image can't miss.
    pub max_waste: Option<Share>,
}

/// So many bytes, or a part of the image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Share {
    /// Bytes.
    Bytes(u64),
    /// Part of all files' sizes, 0 to 1.
    Part(f64),
}

/// A bound that can't be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BoundError {
    /// Not a part of a whole.
    #[error("read the bound {0:?}: want a part, as 0.95 or 95%")]
    Part(String),
    /// Not a size.
    #[error(transparent)]
    Size(#[from] UnitError),
    /// A line of a `.dive-ci` that says nothing known.
    #[error("read line {line} of the bounds: {text:?} is no rule of dive's")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What it says.
        text: String,
    },
}

/// Whether an image keeps to a bound.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The bound's name.
    pub bound: &'static str,
    /// What the image has.
    pub found: f64,
    /// What it may have.
    pub limit: f64,
    /// Whether both are bytes; else parts of a whole.
    pub is_bytes: bool,
    /// Whether the limit is the least; else it is the most.
    pub is_least: bool,
    /// Whether the image keeps to it.
    pub passed: bool,
}

impl Bounds {
    /// dive's own, for where none are given.
    pub const DEFAULT: Self = Self {
        lowest_efficiency: Some(0.9),
        highest_wasted_bytes: None,
        highest_user_wasted: Some(0.1),
        max_waste: None,
    };

    /// Whether nothing is bound.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These bounds, and where they say nothing those of `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            lowest_efficiency: self.lowest_efficiency.or(other.lowest_efficiency),
            highest_wasted_bytes: self.highest_wasted_bytes.or(other.highest_wasted_bytes),
            highest_user_wasted: self.highest_user_wasted.or(other.highest_user_wasted),
            max_waste: self.max_waste.or(other.max_waste),
        }
    }

    /// The bounds that a `.dive-ci` sets: `rules:`, then `NAME: VALUE` lines.
    ///
    /// # Errors
    /// [`BoundError`].
    pub fn of_dive_ci(text: &str) -> Result<Self, BoundError> {
        let mut bounds = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if matches!(line, "" | "rules:" | "---") {
                continue;
            }
            let unknown = || BoundError::Line {
                line: number + 1,
                text: line.chars().take(80).collect(),
            };
            let (name, value) = line.split_once(':').ok_or_else(unknown)?;
            let value = value.trim().trim_matches(['"', '\'']);
            let is_off = matches!(value, "" | "disabled" | "off" | "false");
            match name.trim() {
                "lowestEfficiency" | "highestWastedBytes" | "highestUserWastedPercent"
                    if is_off => {}
                "lowestEfficiency" => bounds.lowest_efficiency = Some(part(value)?),
                "highestUserWastedPercent" => bounds.highest_user_wasted = Some(part(value)?),
                "highestWastedBytes" => {
                    bounds.highest_wasted_bytes =
                        Some(units::parse_size(value, SizeBase::Decimal)?);
                }
                _ => return Err(unknown()),
            }
        }
        Ok(bounds)
    }

    /// Judges an image.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "for people, and for comparing as dive does"
    )]
    pub fn judge(&self, analysis: &Analysis) -> Vec<Verdict> {
        let score = &analysis.score;
        let (_, waste) = analysis.waste_bytes();
        let mut verdicts = Vec::new();
        if let Some(limit) = self.lowest_efficiency {
            verdicts.push(Verdict {
                bound: "efficiency",
                found: score.efficiency,
                limit,
                is_bytes: false,
                is_least: true,
                passed: score.efficiency >= limit,
            });
        }
        let mut most = |bound, found: f64, limit: f64, is_bytes| {
            verdicts.push(Verdict {
                bound,
                found,
                limit,
                is_bytes,
                is_least: false,
                passed: found <= limit,
            });
        };
        if let Some(limit) = self.highest_wasted_bytes {
            most(
                "wasted bytes",
                score.wasted_bytes as f64,
                limit as f64,
                true,
            );
        }
        if let Some(limit) = self.highest_user_wasted {
            most("wasted user part", score.wasted_user_ratio, limit, false);
        }
        match self.max_waste {
            Some(Share::Bytes(limit)) => most("waste", waste as f64, limit as f64, true),
            Some(Share::Part(limit)) => {
                let part = waste as f64 / score.size_bytes.max(1) as f64;
                most("waste", part, limit, false);
            }
            None => {}
        }
        verdicts
    }
}

/// Reads a part of a whole: `0.95` or `95%`.
///
/// # Errors
/// [`BoundError::Part`].
pub fn part(text: &str) -> Result<f64, BoundError> {
    let wrong = || BoundError::Part(text.chars().take(80).collect());
    let (number, whole) = match text.trim().strip_suffix('%') {
        Some(number) => (number.trim(), 100.0),
        None => (text.trim(), 1.0),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let part = number / whole;
    if (0.0..=1.0).contains(&part) {
        Ok(part)
    } else {
        Err(wrong())
    }
}

impl std::str::FromStr for Share {
    type Err = BoundError;

    fn from_str(text: &str) -> Result<Self, BoundError> {
        if text.trim_end().ends_with('%') {
            return part(text).map(Self::Part);
        }
        Ok(Self::Bytes(units::parse_size(text, SizeBase::Decimal)?))
    }
}

#[cfg(test)]
mod tests;
