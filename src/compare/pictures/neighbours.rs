//! Nearest neighbours: the same patch as the query of every arm, one sheet a class.

use std::path::Path;

use chipmill_report::sheet::{Cell, Row};
use chipmill_schemas::label::LabelSet;
use chipmill_store::StoreReader;

use super::{Seen, save};
use crate::painter::recorded;

/// Sheets at most: the classes with most test rows.
const SHEETS: usize = 4;
/// Neighbours of a query.
const NEIGHBOURS: usize = 5;

/// Writes `neighbours-<class>.png`.
pub(super) fn sheets(
    folder: &Path,
    store: &StoreReader,
    seen: &[Seen<'_>],
    classes: &[String],
) -> anyhow::Result<()> {
    let Some(first) = seen.first() else {
        return Ok(());
    };
    for (class, query) in queries(&first.tested.classes, classes.len()) {
        let rows: Vec<Row> = seen
            .iter()
            .map(|arm| row(store, arm, query, &classes[class], classes))
            .collect::<anyhow::Result<_>>()?;
        let name = format!("neighbours-{}", plain(&classes[class]));
        save(folder, &name, &rows, 1)?;
    }
    Ok(())
}

/// The most frequent classes in their order, each with the middle one of its rows: an average patch
/// of the store's order, chosen by nobody.
fn queries(rows: &[LabelSet], classes: usize) -> Vec<(usize, usize)> {
    let of = |class: usize| -> Vec<usize> {
        let has = |i: &usize| rows[*i].contains(class);
        (0..rows.len()).filter(has).collect()
    };
    let mut found: Vec<(usize, Vec<usize>)> =
        (0..classes).map(|class| (class, of(class))).collect();
    found.retain(|(_, rows)| !rows.is_empty());
    found.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then(a.0.cmp(&b.0)));
    found.truncate(SHEETS);
    found.sort_by_key(|(class, _)| *class);
    let middle = |(class, rows): (usize, Vec<usize>)| (class, rows[rows.len() / 2]);
    found.into_iter().map(middle).collect()
}

/// The query and its neighbours by one arm's features.
fn row(
    store: &StoreReader,
    arm: &Seen<'_>,
    query: usize,
    class: &str,
    classes: &[String],
) -> anyhow::Result<Row> {
    let tested = &arm.tested;
    let nearest = tested.nearest(query, NEIGHBOURS);
    let of_query = tested.classes[query];
    let alike = |j: usize| tested.classes[j].intersects(of_query);
    let same = nearest.iter().filter(|(j, _)| alike(*j)).count();
    let mut cells = vec![recorded(
        store,
        tested.rows[query],
        vec![format!("query: {class}")],
    )?];
    for &(j, cosine) in &nearest {
        let what = if alike(j) {
            "same class".to_owned()
        } else {
            named(tested.classes[j], classes)
        };
        let cell: Cell = recorded(store, tested.rows[j], vec![format!("{cosine:.3} {what}")])?;
        cells.push(cell);
    }
    Ok(Row {
        title: format!(
            "{}\n{same} of the {} nearest test patches share a class with the query",
            arm.run.arm.title(),
            nearest.len()
        ),
        cells,
    })
}

fn named(set: LabelSet, classes: &[String]) -> String {
    let names: Vec<&str> = set
        .iter()
        .filter_map(|i| Some(classes.get(i)?.as_str()))
        .collect();
    if names.is_empty() {
        "no class".to_owned()
    } else {
        names.join("; ")
    }
}

/// A class name as part of a file's name.
fn plain(name: &str) -> String {
    let letter = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    name.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_the_middle_rows_of_the_most_frequent_classes() {
        let rows: Vec<LabelSet> = [0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 1]
            .into_iter()
            .map(|c| LabelSet::from_iter([c]))
            .collect();
        assert_eq!(queries(&rows, 6), [(1, 2), (2, 4), (3, 7), (4, 9)]);
        assert!(queries(&[], 6).is_empty());
    }

    #[test]
    fn file_names_are_plain() {
        assert_eq!(plain("Bare rock / scree"), "bare-rock---scree");
    }
}
