//! What the reports promise.

#![cfg(test)]

/// Comparisons: statistics, standings, predictions, pages.
mod compare;
/// Made-up comparisons.
mod compared;
/// What every drawing must satisfy.
mod drawing;
/// Made-up runs.
mod made;
/// Reports of single runs.
mod report;
/// The live report.
mod serve;
/// Contact sheets.
mod sheet;
