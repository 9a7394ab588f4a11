//! Plots as SVG: a small writer, a theme, and the kinds of chart.
//!
//! Charts name roles (`raw`, `smooth`, `s1`), never colours; [`theme`] gives each role a colour for
//! light and for dark. Inside a page the colours are CSS variables; a file of its own carries both
//! sets as literal values, because many SVG viewers know no variables.

pub mod arms;
pub mod bars;
pub mod curve;
pub mod heat;
pub mod lines;
pub mod rows;
pub mod scale;
pub mod scatter;
pub mod svg;
pub mod theme;
