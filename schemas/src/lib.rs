//! The words of chipmill: bands, patch ids, labels, tasks, manifests and configurations.
//!
//! Pure data and pure functions; this crate does no I/O and depends on no other member.

pub mod augment;
pub mod band;
pub mod comparison;
pub mod config;
pub mod experiment;
pub mod ingest;
pub mod label;
pub mod manifest;
pub mod packed_id;
pub mod patch;
pub mod patch_id;
pub mod probe;
pub mod run;
pub mod s1;
pub mod schema;
pub mod selection;
pub mod statistics;
pub mod task;

/// The most similar of some names, by edit distance.
pub fn nearest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    names
        .into_iter()
        .min_by_key(|name| edit_distance(text, name))
        .map(str::to_owned)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_nearest_name_is_found() {
        let names = ["temperature", "sigma", "kind"];
        assert_eq!(
            super::nearest("temprature", names).as_deref(),
            Some("temperature")
        );
        assert_eq!(super::nearest("x", []), None);
    }
}
