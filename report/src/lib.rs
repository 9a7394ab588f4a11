//! From run folders to statistics, plots and one HTML file.
