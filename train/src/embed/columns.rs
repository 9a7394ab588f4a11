//! The same features as Parquet: a row a patch.

use std::io::Write;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, StringArray, UInt32Array,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

/// Rows that are in memory before they are written.
const GROUP: usize = 16_384;

/// Columns `patch_id` (string), `row` (u32) and `features` (a list of f32 of fixed length).
pub(super) struct Columns<W: Write + Send> {
    schema: SchemaRef,
    dim: i32,
    writer: ArrowWriter<W>,
}

impl<W: Write + Send> Columns<W> {
    /// `metadata` is put into the file's own.
    pub(super) fn begin(
        to: W,
        dim: usize,
        metadata: &serde_json::Value,
    ) -> Result<Self, ParquetError> {
        let dim = i32::try_from(dim).map_err(|e| ParquetError::General(e.to_string()))?;
        let schema: SchemaRef = Arc::new(Schema::new(vec![
            Field::new("patch_id", DataType::Utf8, false),
            Field::new("row", DataType::UInt32, false),
            Field::new("features", DataType::FixedSizeList(item(), dim), false),
        ]));
        let pairs = metadata.as_object().into_iter().flatten();
        let pair = |(key, value): (&String, &serde_json::Value)| {
            KeyValue::new(key.clone(), value.as_str().map(str::to_owned))
        };
        let properties = WriterProperties::builder()
            .set_created_by("chipmill".to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_key_value_metadata(Some(pairs.map(pair).collect()))
            .set_max_row_group_row_count(Some(GROUP))
            .build();
        let writer = ArrowWriter::try_new(to, SchemaRef::clone(&schema), Some(properties))?;
        Ok(Self {
            schema,
            dim,
            writer,
        })
    }

    /// Rows with their ids and `[row, dim]` features.
    pub(super) fn write(
        &mut self,
        rows: &[u32],
        ids: &[&str],
        features: &[f32],
    ) -> Result<(), ParquetError> {
        let values: ArrayRef = Arc::new(Float32Array::from(features.to_vec()));
        let lists = FixedSizeListArray::try_new(item(), self.dim, values, None);
        let columns: Result<Vec<ArrayRef>, ArrowError> = lists.map(|lists| {
            let ids = StringArray::from(ids.to_vec());
            let rows = UInt32Array::from(rows.to_vec());
            vec![Arc::new(ids) as ArrayRef, Arc::new(rows), Arc::new(lists)]
        });
        let batch = RecordBatch::try_new(SchemaRef::clone(&self.schema), columns?)?;
        self.writer.write(&batch)
    }

    /// Writes the file's end.
    pub(super) fn finish(self) -> Result<(), ParquetError> {
        self.writer.close().map(|_| ())
    }
}

fn item() -> Arc<Field> {
    Arc::new(Field::new_list_field(DataType::Float32, false))
}
