//! What the reports promise.

#![cfg(test)]

/// Comparisons that are whole, partial and odd: verdicts, standings, predictions.
mod compare;
/// Their pages, tables and files.
mod compare_page;
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
