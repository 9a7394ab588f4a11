//! Parquet tables as bytes, and typed access to their columns by name.

use arrow_array::cast::AsArray;
use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{
    Array, ArrayRef, BooleanArray, ListArray, PrimitiveArray, RecordBatch, StringArray,
};
use arrow_schema::SchemaRef;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// A Parquet table of the store cannot be written or understood.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Parquet or Arrow refused.
    #[error("{table}: {reason}")]
    Format {
        /// The table.
        table: &'static str,
        /// What the library said.
        reason: String,
    },
    /// A column is missing or has another type.
    #[error("{table}: there is no column `{column}` of the expected type")]
    Column {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// One value is not what it should be.
    #[error("{table}, column `{column}`, row {row}: {reason}")]
    Value {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Row, from 0.
        row: usize,
        /// What was found, and what was expected.
        reason: String,
    },
}

/// One table of one batch, as the bytes of its object. The same columns give the same bytes.
pub(crate) fn write_batch(
    table: &'static str,
    schema: SchemaRef,
    columns: Vec<ArrayRef>,
) -> Result<Vec<u8>, TableError> {
    let mut writer = BatchWriter::new(table, schema)?;
    writer.write(columns)?;
    writer.end()
}

/// Rows of a group. Until a group is full its columns lie uncompressed in memory, each text in a table of its own:
/// 700 bytes a row of patches.
const GROUP: usize = 4096;

/// A table that grows batch by batch: what is written is compressed a group at a time, and waits to be taken.
pub(crate) struct BatchWriter {
    table: &'static str,
    schema: SchemaRef,
    writer: ArrowWriter<Vec<u8>>,
}

impl BatchWriter {
    pub(crate) fn new(table: &'static str, schema: SchemaRef) -> Result<Self, TableError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by("chipmill".to_owned())
            .set_max_row_group_row_count(Some(GROUP))
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), SchemaRef::clone(&schema), Some(properties));
        Ok(Self {
            table,
            schema,
            writer: writer.map_err(|e| format_error(table, &e))?,
        })
    }

    pub(crate) fn write(&mut self, columns: Vec<ArrayRef>) -> Result<(), TableError> {
        let batch = RecordBatch::try_new(SchemaRef::clone(&self.schema), columns);
        let batch = batch.map_err(|e| format_error(self.table, &e))?;
        let written = self.writer.write(&batch);
        written.map_err(|e| format_error(self.table, &e))
    }

    /// The bytes of the table's object that are ready, after those that were taken before.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.inner_mut())
    }

    /// The rest of the bytes.
    pub(crate) fn end(self) -> Result<Vec<u8>, TableError> {
        let table = self.table;
        self.writer
            .into_inner()
            .map_err(|e| format_error(table, &e))
    }
}

/// The batches of a table, one after the other, with those of the columns `names` that it has.
pub(crate) fn read_batches(
    table: &'static str,
    bytes: Vec<u8>,
    names: &[&str],
) -> Result<impl Iterator<Item = Result<RecordBatch, TableError>>, TableError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes));
    let builder = builder.map_err(|e| format_error(table, &e))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
    let reader = builder.with_projection(mask).with_batch_size(8192).build();
    let reader = reader.map_err(|e| format_error(table, &e))?;
    Ok(reader.map(move |batch| batch.map_err(|e| format_error(table, &e))))
}

fn format_error(table: &'static str, reason: &dyn std::error::Error) -> TableError {
    TableError::Format {
        table,
        reason: reason.to_string(),
    }
}

/// The columns of one batch.
#[derive(Debug)]
pub(crate) struct Columns<'a> {
    table: &'static str,
    batch: &'a RecordBatch,
    rows_before: usize,
}

impl<'a> Columns<'a> {
    pub(crate) fn new(table: &'static str, batch: &'a RecordBatch, rows_before: usize) -> Self {
        Self {
            table,
            batch,
            rows_before,
        }
    }

    pub(crate) fn texts<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> Result<[&'a StringArray; N], TableError> {
        self.all(names, |array| array.as_string_opt())
    }

    pub(crate) fn flags<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> Result<[&'a BooleanArray; N], TableError> {
        self.all(names, |array| array.as_boolean_opt())
    }

    pub(crate) fn numbers<T: ArrowPrimitiveType>(
        &self,
        name: &'static str,
    ) -> Result<&'a PrimitiveArray<T>, TableError> {
        self.one(name, |array| array.as_primitive_opt::<T>())
    }

    pub(crate) fn lists(&self, name: &'static str) -> Result<&'a ListArray, TableError> {
        self.one(name, |array| array.as_list_opt::<i32>())
    }

    /// The text of a column that must have one in every row.
    pub(crate) fn required(
        &self,
        column: &'a StringArray,
        name: &'static str,
        row: usize,
    ) -> Result<&'a str, TableError> {
        if column.is_valid(row) {
            Ok(column.value(row))
        } else {
            Err(self.error(name, row, &"there is no value"))
        }
    }

    /// An error at a row of this batch.
    pub(crate) fn error(
        &self,
        column: &'static str,
        row: usize,
        reason: &dyn std::fmt::Display,
    ) -> TableError {
        TableError::Value {
            table: self.table,
            column,
            row: self.rows_before + row,
            reason: reason.to_string(),
        }
    }

    fn one<A: ?Sized>(
        &self,
        column: &'static str,
        typed: impl Fn(&'a ArrayRef) -> Option<&'a A>,
    ) -> Result<&'a A, TableError> {
        let table = self.table;
        let array = self.batch.column_by_name(column).and_then(typed);
        array.ok_or(TableError::Column { table, column })
    }

    fn all<const N: usize, A>(
        &self,
        names: [&'static str; N],
        typed: impl Fn(&'a ArrayRef) -> Option<&'a A>,
    ) -> Result<[&'a A; N], TableError> {
        let found: Vec<&'a A> = names
            .iter()
            .map(|&name| self.one(name, &typed))
            .collect::<Result<_, _>>()?;
        found.try_into().map_err(|_| TableError::Format {
            table: self.table,
            reason: "columns were lost".to_owned(),
        })
    }
}
