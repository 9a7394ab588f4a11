//! One colour a patch, where a patch may have many labels.

use chipmill_schemas::label::LabelSet;

/// Colours that a map can hold apart, besides the one for all else.
const SHOWN: usize = 7;

/// Colours of the points of a map.
pub(super) struct Colours {
    /// What each colour stands for.
    pub(super) names: Vec<String>,
    /// The colour of every row.
    pub(super) of_rows: Vec<u32>,
    /// What a reader must know of them, to follow other words; empty when there is nothing to say.
    pub(super) remark: &'static str,
}

/// A row of one class has the colour of that class. Of many labels, the most frequent ones have
/// colours, and a row has that of the rarest of them that it has: frequent ones would hide the rest.
pub(super) fn of(rows: &[LabelSet], classes: &[String]) -> Colours {
    let count = |class: usize| rows.iter().filter(|row| row.contains(class)).count();
    let mut frequent: Vec<(usize, usize)> = (0..classes.len())
        .map(|class| (count(class), class))
        .filter(|(count, _)| *count > 0)
        .collect();
    frequent.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    frequent.truncate(SHOWN);
    frequent.sort_by_key(|(_, class)| *class);
    let colour = |row: &LabelSet| {
        let had = frequent.iter().enumerate();
        let had = had.filter(|(_, (_, class))| row.contains(*class));
        had.min_by_key(|(_, (count, class))| (*count, *class))
            .map_or(frequent.len(), |(place, _)| place)
    };
    let places: Vec<usize> = rows.iter().map(colour).collect();
    let mut names: Vec<String> = frequent.iter().map(|(_, c)| classes[*c].clone()).collect();
    if places.contains(&frequent.len()) {
        names.push("others".to_owned());
    }
    Colours {
        names,
        of_rows: places
            .into_iter()
            .filter_map(|p| u32::try_from(p).ok())
            .collect(),
        remark: if rows.iter().any(|row| row.count() > 1) {
            "; of several labels the rarest"
        } else {
            ""
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("c{i}")).collect()
    }

    #[test]
    fn rows_of_one_class_have_its_colour() {
        let rows = [2, 0, 2, 1].map(|c| LabelSet::from_iter([c]));
        let colours = of(&rows, &classes(3));
        assert_eq!(colours.names, ["c0", "c1", "c2"]);
        assert_eq!(colours.of_rows, [2, 0, 2, 1]);
        assert_eq!(colours.remark, "");
    }

    #[test]
    fn of_many_labels_the_rarest_of_the_frequent_ones_counts_and_what_has_none_is_others() {
        // c0 is everywhere, c1..c6 ever rarer, c7 and c8 too rare for a colour of their own.
        let mut rows: Vec<LabelSet> = (0..40)
            .map(|i| (1..7).filter(|c| i % (c + 1) == 0).chain([0]).collect())
            .collect();
        rows.push([0, 7].into_iter().collect());
        rows.push(LabelSet::from_iter([8]));
        let colours = of(&rows, &classes(9));
        assert_eq!(
            colours.names,
            ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "others"]
        );
        assert_eq!(colours.of_rows[1], 0);
        assert_eq!(colours.of_rows[12], 5, "12 has c0, c1, c2, c3 and c5");
        assert_eq!(colours.of_rows[40..], [0, 7]);
        assert!(!colours.remark.is_empty());
    }
}
