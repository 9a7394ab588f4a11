//! Verification: every byte against its digest, every chunk decoded, every table against the others.
//!
//! The root's metadata vouch for themselves and for all small objects; among these, `units.parquet`
//! vouches for the shards. So one wrong bit anywhere in the store is found.

mod pixels;
mod s1;

use std::path::{Path, PathBuf};

use chipmill_schemas::band::Resolution;
use chipmill_schemas::ingest::{StoreDefect, VerifyReport};
use chipmill_schemas::patch::PatchRow;
use chipmill_schemas::s1::S1Manifest;
use rayon::prelude::*;

use crate::arrays::{SmallArray, small_arrays};
use crate::digest::{ObjectRecord, digest_object, patch_ids_digest};
use crate::error::OpenError;
use crate::fetch::Shards;
use crate::layout;
use crate::root::{Root, difference};
use crate::s1::S1Shards;
use crate::units::{self, Partition, UnitRow};
use crate::{table, writer};

/// Checks a whole store with `threads` threads of its own (0: one a core).
///
/// Compared are: every object with its recorded length and BLAKE3; every chunk with its crc32c, decoded;
/// the rows of `patches.parquet` with the manifest, the units, and every small array; the statistics
/// with the pixels. The report is the same for any number of threads.
///
/// # Errors
/// [`OpenError`] when there is no store of a known format to verify. Damage is no error: it is in the
/// report.
pub fn verify(root: &Path, threads: usize) -> Result<VerifyReport, OpenError> {
    let path = root.to_owned();
    let root = Root::read(root)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|e| OpenError::Threads {
        threads,
        reason: e.to_string(),
    })?;
    let verification = Verification {
        path,
        root,
        report: VerifyReport::default(),
    };
    Ok(pool.install(|| verification.run()))
}

struct Verification {
    path: PathBuf,
    root: Root,
    report: VerifyReport,
}

impl Verification {
    fn run(mut self) -> VerifyReport {
        if !self.root.intact {
            let reason = "its content does not match the digest in it".to_owned();
            self.defect(layout::NODE, reason);
        }
        let small = std::mem::take(&mut self.root.integrity.objects);
        self.check_objects(&small);
        self.root.integrity.objects = small;
        let rows = self.read_table(layout::PATCHES, |bytes| {
            table::decode(bytes).map(|table| table.to_rows())
        });
        let units = self.read_table(layout::UNITS, |bytes| units::decode(layout::UNITS, bytes));
        if let Some(rows) = &rows {
            self.check_rows(rows);
            self.check_arrays(rows);
        }
        if let Some(units) = &units {
            let shape = self.root.shape();
            let shards = units::shards(&shape);
            self.check_units(layout::UNITS, units, shards, rows.as_deref());
        }
        self.check_pixels(rows.as_deref());
        if let Some(s1) = self.root.manifest.s1.clone() {
            self.check_s1(&s1, rows.as_deref());
        }
        self.report.ok = self.report.defects.is_empty();
        self.report
    }

    fn defect(&mut self, object: &str, reason: String) {
        self.report.defects.push(StoreDefect {
            object: object.to_owned(),
            patch: None,
            reason,
        });
    }

    /// Compares length and digest of every object, in parallel.
    fn check_objects(&mut self, objects: &[ObjectRecord]) {
        let found: Vec<_> = objects
            .par_iter()
            .map(|o| digest_object(&layout::object_path(&self.path, &o.path)))
            .collect();
        for (expected, found) in objects.iter().zip(found) {
            match found {
                Err(e) => self.defect(&expected.path, e.to_string()),
                Ok((bytes, digest)) => {
                    self.report.objects += 1;
                    self.report.bytes += bytes;
                    let path = expected.path.clone();
                    let found = ObjectRecord {
                        path,
                        bytes,
                        digest,
                    };
                    if found != *expected {
                        self.defect(&expected.path, difference(&found, expected));
                    }
                }
            }
        }
    }

    /// A table whose bytes are right; that they are not is reported already.
    fn read_table<T>(
        &mut self,
        object: &str,
        decode: impl Fn(Vec<u8>) -> Result<Vec<T>, crate::TableError>,
    ) -> Option<Vec<T>> {
        let bytes = self.root.read_object(&self.path, object).ok()?;
        match decode(bytes) {
            Ok(rows) => Some(rows),
            Err(e) => {
                self.defect(object, e.to_string());
                None
            }
        }
    }

    fn check_rows(&mut self, rows: &[PatchRow]) {
        let manifest = &self.root.manifest;
        let (found, expected) = (rows.len() as u64, manifest.patches);
        let digest = patch_ids_digest(rows.iter().map(|r| &r.id));
        let same_ids = digest == manifest.patch_ids_digest;
        if found != expected {
            let reason = format!("it has {found} rows, the manifest says {expected}");
            self.defect(layout::PATCHES, reason);
        } else if !same_ids {
            let reason = "its patch ids are not those that the manifest has the digest of";
            self.defect(layout::PATCHES, reason.to_owned());
        }
    }

    fn check_arrays(&mut self, rows: &[PatchRow]) {
        for array in small_arrays(rows, self.root.manifest.s1.is_some()) {
            let object = &array.document.path;
            match array.read(&self.path) {
                Err(reason) => self.defect(object, reason),
                Ok(found) => {
                    let len = array.elements.len();
                    let wrong = |i: &usize| !array.elements.same_at(&found, *i);
                    if let Some(first) = (0..len).find(wrong) {
                        let count = (0..len).filter(wrong).count();
                        let defect = array_defect(&array, rows, first, count);
                        self.report.defects.push(defect);
                    }
                }
            }
        }
    }

    fn check_units(
        &mut self,
        table: &'static str,
        units: &[UnitRow],
        shards: impl Iterator<Item = String>,
        rows: Option<&[PatchRow]>,
    ) {
        let mut wrong = units::misnamed(units, shards);
        if let Some(rows) = rows {
            let mut partition = Partition::new(table, units);
            rows.iter().for_each(|row| partition.take(&row.id));
            wrong.extend(partition.end());
        }
        wrong.iter().for_each(|(o, r)| self.defect(o, r.clone()));
        let shards: Vec<_> = units.iter().flat_map(|u| u.objects.clone()).collect();
        self.check_objects(&shards);
    }

    fn check_s1(&mut self, told: &S1Manifest, rows: Option<&[PatchRow]>) {
        let shape = self.root.shape();
        let decode = |bytes| units::decode(layout::S1_UNITS, bytes);
        if let Some(units) = self.read_table(layout::S1_UNITS, decode) {
            self.check_units(layout::S1_UNITS, &units, units::s1_shards(&shape), rows);
        }
        let shards = S1Shards::new(&self.path, shape, None);
        let mut readable = Vec::new();
        for shard in 0..u32::try_from(shape.shards()).unwrap_or(u32::MAX) {
            let loaded = shards.load(shard);
            readable.push(loaded.is_ok());
            if let Err(e) = loaded {
                let object = layout::s1_shard_object(u64::from(shard));
                self.defect(&object, e.to_string());
            }
        }
        let scan = s1::scan(&shards, &shape, rows, &readable);
        let complete = scan.defects.is_empty() && readable.iter().all(|&r| r);
        if complete && rows.is_some() {
            let wrong = scan.compare(told);
            wrong.into_iter().for_each(|r| self.defect(layout::NODE, r));
        }
        self.report.defects.extend(scan.defects);
    }

    fn check_pixels(&mut self, rows: Option<&[PatchRow]>) {
        let shape = self.root.shape();
        let shards = Shards::new(&self.path, shape, None);
        let mut readable = Vec::new();
        for shard in 0..u32::try_from(shape.shards()).unwrap_or(u32::MAX) {
            readable.push(Resolution::ALL.map(|r| match shards.load(r, shard) {
                Ok(()) => true,
                Err(e) => {
                    self.defect(&layout::shard_object(r, u64::from(shard)), e.to_string());
                    false
                }
            }));
        }
        let scan = pixels::scan(&shards, &shape, rows, &readable);
        self.report.patches = scan.patches;
        let complete = scan.patches == shape.patches;
        self.report.defects.extend(scan.defects);
        // Damaged pixels have no statistics worth a word; that they are damaged is reported.
        if let (true, Some(rows)) = (complete, rows) {
            let expected = writer::sets(rows);
            let wrong = scan.sums.compare(&self.root.manifest.statistics, &expected);
            wrong.into_iter().for_each(|r| self.defect(layout::NODE, r));
        }
    }
}

fn array_defect(array: &SmallArray, rows: &[PatchRow], first: usize, count: usize) -> StoreDefect {
    let per_patch = array
        .document
        .dims
        .first()
        .is_some_and(|d| d == layout::DIM_PATCH);
    let row = rows.get(first / array.width().max(1));
    StoreDefect {
        object: array.document.path.clone(),
        patch: row.filter(|_| per_patch).map(|r| r.id.to_string()),
        reason: format!(
            "{count} elements, from element {first} on, differ from what {} says",
            layout::PATCHES
        ),
    }
}
