//! A parser of the one TIFF layout that BigEarthNet's band files have, and of nothing else.
//!
//! Classic little-endian TIFF, one directory, one sample (unsigned of 16 bits, or Sentinel-1's float of
//! 32), uncompressed strips. Every
//! offset and size is checked. Whatever is not exactly this is [`NotStrict::Foreign`] and left to
//! GDAL; what is this but cannot be right is [`NotStrict::Broken`].

use chipmill_schemas::patch::Georeference;

/// Why the strict parser gave no pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotStrict {
    /// Another layout: not this parser's to judge.
    Foreign(&'static str),
    /// The right layout, and wrong: found and expected, in words.
    Broken(String),
}

use NotStrict::{Broken, Foreign};

const HEADER: usize = 8;
const ENTRY: usize = 12;
const USER_DEFINED: u16 = 32_767;

mod tag {
    pub(super) const WIDTH: u16 = 256;
    pub(super) const LENGTH: u16 = 257;
    pub(super) const BITS: u16 = 258;
    pub(super) const COMPRESSION: u16 = 259;
    pub(super) const PHOTOMETRIC: u16 = 262;
    pub(super) const STRIP_OFFSETS: u16 = 273;
    pub(super) const SAMPLES: u16 = 277;
    pub(super) const ROWS_PER_STRIP: u16 = 278;
    pub(super) const STRIP_BYTES: u16 = 279;
    pub(super) const PLANAR: u16 = 284;
    pub(super) const SAMPLE_FORMAT: u16 = 339;
    pub(super) const PIXEL_SCALE: u16 = 33_550;
    pub(super) const TIEPOINT: u16 = 33_922;
    pub(super) const GEO_KEYS: u16 = 34_735;
    /// Tags that change nothing about pixels or position: `GeoDoubleParams`, `GeoAsciiParams`,
    /// `GDAL_METADATA`, `GDAL_NODATA`.
    pub(super) const INERT: [u16; 4] = [34_736, 34_737, 42_112, 42_113];
    pub(super) const KNOWN: [u16; 14] = [
        WIDTH,
        LENGTH,
        BITS,
        COMPRESSION,
        PHOTOMETRIC,
        STRIP_OFFSETS,
        SAMPLES,
        ROWS_PER_STRIP,
        STRIP_BYTES,
        PLANAR,
        SAMPLE_FORMAT,
        PIXEL_SCALE,
        TIEPOINT,
        GEO_KEYS,
    ];
}

/// A type of pixels that band files have.
pub(crate) trait Sample: Copy {
    /// `BitsPerSample` and `SampleFormat`.
    const KIND: (u32, u32);
    /// GDAL's name of the type.
    const NAME: &'static str;
    /// Bytes of a pixel.
    const BYTES: usize;

    /// A pixel from its bytes, little-endian; there are [`Self::BYTES`] of them.
    fn from_le(bytes: &[u8]) -> Self;
}

impl Sample for u16 {
    const KIND: (u32, u32) = (16, 1);
    const NAME: &'static str = "UInt16";
    const BYTES: usize = 2;

    fn from_le(bytes: &[u8]) -> Self {
        u16_at(bytes, 0)
    }
}

impl Sample for f32 {
    const KIND: (u32, u32) = (32, 3);
    const NAME: &'static str = "Float32";
    const BYTES: usize = 4;

    fn from_le(bytes: &[u8]) -> Self {
        Self::from_bits(u32_at(bytes, 0))
    }
}

/// Reads a square raster.
///
/// # Shapes
/// `out`: `[side, side]`, values as in the file.
pub(crate) fn read<T: Sample>(
    bytes: &[u8],
    side: usize,
    out: &mut [T],
) -> Result<Option<Georeference>, NotStrict> {
    let directory = Directory::parse(bytes)?;
    directory.check_kind::<T>(side)?;
    directory.copy_strips(side, out)?;
    directory.georeference()
}

struct Directory<'a> {
    bytes: &'a [u8],
    entries: &'a [u8],
}

/// One directory entry: type, count, and the four bytes that are the value or where it lies.
struct Entry<'a> {
    kind: u16,
    count: usize,
    value: &'a [u8],
}

impl<'a> Directory<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, NotStrict> {
        let len = bytes.len();
        if len < HEADER {
            return Err(Broken(format!(
                "has {len} bytes, too few for a TIFF header of 8"
            )));
        }
        match &bytes[..4] {
            b"II*\0" => {}
            b"MM\0*" | b"II+\0" | b"MM\0+" => return Err(Foreign("big-endian or BigTIFF")),
            head => {
                return Err(Broken(format!(
                    "begins with bytes {head:02x?}, which is no TIFF"
                )));
            }
        }
        let at = u32_at(bytes, 4) as usize;
        let cut = || {
            Broken(format!(
                "has its directory at byte {at}, but ends at byte {len}"
            ))
        };
        let count = bytes.get(at..).and_then(|b| b.get(..2)).ok_or_else(cut)?;
        let size = usize::from(u16_at(count, 0)) * ENTRY;
        let entries = bytes[at + 2..].get(..size + 4).ok_or_else(cut)?;
        let (entries, next) = entries.split_at(size);
        if next != [0; 4] {
            return Err(Foreign("more than one directory"));
        }
        let tags = entries.chunks_exact(ENTRY).map(|e| u16_at(e, 0));
        if !tags.clone().is_sorted_by(|a, b| a < b) {
            return Err(Foreign("tags out of order"));
        }
        if tags
            .clone()
            .any(|t| !tag::KNOWN.contains(&t) && !tag::INERT.contains(&t))
        {
            return Err(Foreign("a tag that band files do not have"));
        }
        Ok(Self { bytes, entries })
    }

    fn check_kind<T: Sample>(&self, side: usize) -> Result<(), NotStrict> {
        if self.single(tag::COMPRESSION, Some(1))? != 1 {
            return Err(Foreign("compressed"));
        }
        if self.single(tag::PHOTOMETRIC, None)? != 1 || self.single(tag::PLANAR, Some(1))? != 1 {
            return Err(Foreign("another photometric or planar configuration"));
        }
        let (width, length) = (
            self.single(tag::WIDTH, None)?,
            self.single(tag::LENGTH, None)?,
        );
        if (width as usize, length as usize) != (side, side) {
            return Err(Broken(format!(
                "is {width} x {length} pixels, expected {side} x {side}"
            )));
        }
        let samples = self.single(tag::SAMPLES, Some(1))?;
        if samples != 1 {
            return Err(Broken(format!("has {samples} samples a pixel, expected 1")));
        }
        let bits = self.single(tag::BITS, Some(1))?;
        let format = self.single(tag::SAMPLE_FORMAT, Some(1))?;
        if (bits, format) != T::KIND {
            let (found, expected) = (super::type_name(bits, format), T::NAME);
            return Err(Broken(format!(
                "has pixels of type {found}, expected {expected}"
            )));
        }
        Ok(())
    }

    fn copy_strips<T: Sample>(&self, side: usize, out: &mut [T]) -> Result<(), NotStrict> {
        let rows = self.single(tag::ROWS_PER_STRIP, Some(u32::MAX))? as usize;
        let rows = rows.min(side);
        if rows == 0 {
            return Err(Broken("has strips of 0 rows".to_owned()));
        }
        let count = side.div_ceil(rows);
        let offsets = self.entry(tag::STRIP_OFFSETS).ok_or(Foreign("no strips"))?;
        let lengths = self
            .entry(tag::STRIP_BYTES)
            .ok_or(Foreign("strips without lengths"))?;
        if offsets.count != count || lengths.count != count {
            return Err(Foreign("an unusual number of strips"));
        }
        for (strip, target) in out.chunks_mut(rows * side).enumerate() {
            let offset = self.integer(&offsets, strip)? as usize;
            let length = self.integer(&lengths, strip)? as usize;
            if length != target.len() * T::BYTES || offset < HEADER {
                return Err(Foreign("an unusual strip"));
            }
            let source = self
                .bytes
                .get(offset..offset.saturating_add(length))
                .ok_or_else(|| {
                    let (end, len) = (offset.saturating_add(length), self.bytes.len());
                    Broken(format!(
                        "is cut short: pixels reach to byte {end}, the file has {len}"
                    ))
                })?;
            for (value, bytes) in target.iter_mut().zip(source.chunks_exact(T::BYTES)) {
                *value = T::from_le(bytes);
            }
        }
        Ok(())
    }

    /// From scale, tie point and projected CRS; `None` when any of them is absent.
    fn georeference(&self) -> Result<Option<Georeference>, NotStrict> {
        let (Some(scale), Some(tie), Some(epsg)) = (
            self.doubles::<3>(tag::PIXEL_SCALE)?,
            self.doubles::<6>(tag::TIEPOINT)?,
            self.epsg()?,
        ) else {
            return Ok(None);
        };
        let [i, j, _, x, y, _] = tie;
        Ok(Some(Georeference {
            epsg,
            ulx: x - i * scale[0],
            uly: y + j * scale[1],
        }))
    }

    /// `ProjectedCSType` of the geo keys. A raster whose pixels are points is GDAL's to place.
    fn epsg(&self) -> Result<Option<u32>, NotStrict> {
        let Some(entry) = self.entry(tag::GEO_KEYS) else {
            return Ok(None);
        };
        let keys = self.data(&entry, 3, 2)?;
        let mut epsg = None;
        for key in keys.chunks_exact(8).skip(1) {
            let (id, location, value) = (u16_at(key, 0), u16_at(key, 2), u16_at(key, 6));
            match (id, location) {
                (1025, 0) if value != 1 => return Err(Foreign("pixels are points")),
                (3072, 0) if is_utm(value) => epsg = Some(u32::from(value)),
                (3072, 0) if value != USER_DEFINED => return Err(Foreign("no UTM zone")),
                (1024 | 1025 | 3072, 1..) => return Err(Foreign("unusual geo keys")),
                _ => {}
            }
        }
        Ok(epsg)
    }

    fn entry(&self, tag: u16) -> Option<Entry<'a>> {
        let entry = self
            .entries
            .chunks_exact(ENTRY)
            .find(|e| u16_at(e, 0) == tag)?;
        Some(Entry {
            kind: u16_at(entry, 2),
            count: u32_at(entry, 4) as usize,
            value: &entry[8..],
        })
    }

    fn single(&self, tag: u16, default: Option<u32>) -> Result<u32, NotStrict> {
        match (self.entry(tag), default) {
            (Some(entry), _) if entry.count == 1 => self.integer(&entry, 0),
            (Some(_), _) => Err(Foreign("several values where band files have one")),
            (None, Some(value)) => Ok(value),
            (None, None) => Err(Foreign("a required tag is absent")),
        }
    }

    fn integer(&self, entry: &Entry<'a>, index: usize) -> Result<u32, NotStrict> {
        match entry.kind {
            3 => Ok(u32::from(u16_at(self.data(entry, 3, 2)?, index * 2))),
            4 => Ok(u32_at(self.data(entry, 4, 4)?, index * 4)),
            _ => Err(Foreign("an unusual type of a tag")),
        }
    }

    fn doubles<const N: usize>(&self, tag: u16) -> Result<Option<[f64; N]>, NotStrict> {
        let Some(entry) = self.entry(tag) else {
            return Ok(None);
        };
        if entry.count != N {
            return Err(Foreign("an unusual georeference"));
        }
        let data = self.data(&entry, 12, 8)?;
        let value = |i: usize| -> f64 {
            let mut raw = [0; 8];
            raw.copy_from_slice(&data[i * 8..i * 8 + 8]);
            f64::from_le_bytes(raw)
        };
        let values = std::array::from_fn(value);
        Ok(values.iter().all(|v| v.is_finite()).then_some(values))
    }

    /// All bytes of an entry's values: in the entry itself when they fit into four.
    fn data(&self, entry: &Entry<'a>, kind: u16, size: usize) -> Result<&'a [u8], NotStrict> {
        if entry.kind != kind || entry.count == 0 {
            return Err(Foreign("an unusual type of a tag"));
        }
        let length = entry.count.saturating_mul(size);
        if length <= 4 {
            return Ok(&entry.value[..length]);
        }
        let (offset, len) = (u32_at(entry.value, 0) as usize, self.bytes.len());
        self.bytes
            .get(offset..offset.saturating_add(length))
            .ok_or_else(|| {
                let end = offset.saturating_add(length);
                Broken(format!(
                    "is cut short: a tag reaches to byte {end}, the file has {len}"
                ))
            })
    }
}

/// WGS 84 / UTM, north and south: what Sentinel-2 comes in. Whether another code exists, GDAL knows.
fn is_utm(code: u16) -> bool {
    matches!(code, 32_601..=32_660 | 32_701..=32_760)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
