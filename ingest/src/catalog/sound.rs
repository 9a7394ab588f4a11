//! Guards against what the parquet library takes for granted: it panics where a damaged table says that
//! a column begins before its file.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

/// Whether all columns lie in a file of that length; the error is a reason in words.
pub(super) fn check(metadata: &ParquetMetaData, length: u64) -> Result<(), String> {
    for (number, group) in metadata.row_groups().iter().enumerate() {
        if group.num_rows() < 0 {
            return Err(format!("row group {number} has {} rows", group.num_rows()));
        }
        if let Some(column) = group.columns().iter().find(|c| !is_inside(c, length)) {
            let name = column.column_path().string();
            let reason = format!("column `{name}` of row group {number} is not in the file");
            return Err(reason);
        }
    }
    Ok(())
}

fn is_inside(column: &ColumnChunkMetaData, length: u64) -> bool {
    let start = column.dictionary_page_offset();
    let start = u64::try_from(start.unwrap_or_else(|| column.data_page_offset()));
    let size = u64::try_from(column.compressed_size());
    let (Ok(start), Ok(size)) = (start, size) else {
        return false;
    };
    column.data_page_offset() >= 0
        && column.num_values() >= 0
        && start.checked_add(size).is_some_and(|end| end <= length)
}

/// The batches of a reader. Where it panics all the same, that is an error like others.
pub(super) fn caught(
    mut reader: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
) -> impl Iterator<Item = Result<RecordBatch, String>> {
    std::iter::from_fn(move || {
        // After a panic the reader is not asked again.
        let next = quietly(|| reader.next());
        let panicked = || Some(Err("the parquet library does not stand it".to_owned()));
        next.map_or_else(|_| panicked(), |n| n.map(|b| b.map_err(|e| e.to_string())))
    })
}

thread_local! {
    /// Whether a panic of this thread is caught and told as an error.
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Calls something whose panic is an error like others, and not to be printed. Panics of other threads,
/// and of this one at other times, go to the hook that was there before.
fn quietly<T>(action: impl FnOnce() -> T) -> std::thread::Result<T> {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(install);
    IS_CAUGHT.set(true);
    let result = catch_unwind(AssertUnwindSafe(action));
    IS_CAUGHT.set(false);
    result
}

fn install() {
    let before = take_hook();
    set_hook(Box::new(move |panic| {
        if !IS_CAUGHT.try_with(Cell::get).unwrap_or(false) {
            before(panic);
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_caught_panic_is_an_error_and_not_printed_and_others_are() {
        let printed = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&printed);
        let name = std::thread::current().name().map(str::to_owned);
        set_hook(Box::new(move |_| {
            // Other tests may run beside this one.
            let is_ours = std::thread::current().name() == name.as_deref();
            count.fetch_add(usize::from(is_ours), Ordering::SeqCst);
        }));
        install();
        let mut batches = caught(std::iter::from_fn(|| panic!("a damaged page")));
        assert!(
            batches
                .next()
                .unwrap()
                .unwrap_err()
                .contains("does not stand")
        );
        assert_eq!(printed.load(Ordering::SeqCst), 0);
        assert!(catch_unwind(|| panic!("a real one")).is_err());
        assert_eq!(printed.load(Ordering::SeqCst), 1);
    }
}
