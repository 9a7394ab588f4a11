//! Guards against what the parquet library takes for granted: it panics where a damaged table says that
//! a column begins before its file.

use std::panic::{AssertUnwindSafe, catch_unwind};

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
        let next = catch_unwind(AssertUnwindSafe(|| reader.next()));
        let panicked = || Some(Err("the parquet library does not stand it".to_owned()));
        next.map_or_else(|_| panicked(), |n| n.map(|b| b.map_err(|e| e.to_string())))
    })
}
