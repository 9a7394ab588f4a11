//! Compression of chunks, as zarrs' codecs do it. Every chunk ends in a crc32c of its own.

use std::borrow::Cow;
use std::cell::RefCell;
use std::num::NonZeroU64;

use chipmill_schemas::band::Resolution;
use chipmill_schemas::manifest::Codec;
use serde_json::{Value, json};
use zarrs::array::codec::CodecChain;
use zarrs::array::codec::api::{ArrayToBytesCodecTraits, CodecOptions};
use zarrs::array::{ArrayBytes, DataType, FillValue};
use zarrs::metadata::v3::MetadataV3;
use zstd::bulk::{Compressor, Decompressor};

use crate::blosc;

/// Bytes of the crc32c at the end of a chunk.
pub(crate) const CRC_BYTES: usize = 4;

/// Level of Blosc's LZ4, for pixels.
const BLOSC_LEVEL: u8 = 5;

/// Level of Zstandard, for pixels (where chosen) and for all small arrays.
const ZSTD_LEVEL: i32 = 3;

/// A chunk could not be encoded or decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// Shorter than a checksum.
    #[error("the chunk has {found} bytes, too few for its checksum")]
    TooShort {
        /// Its length.
        found: usize,
    },
    /// The checksum does not hold: the bytes are not those that were written.
    #[error("the chunk is corrupt: its crc32c is {found:08x}, expected {expected:08x}")]
    Checksum {
        /// Of the bytes read.
        found: u32,
        /// Stored behind them.
        expected: u32,
    },
    /// Not as many bytes as pixels ask for.
    #[error("the chunk decodes to {found} bytes, expected {expected}")]
    Length {
        /// Bytes decoded.
        found: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// The compression library refused.
    #[error("{codec}: {reason}")]
    Codec {
        /// The codec.
        codec: &'static str,
        /// What it said.
        reason: String,
    },
}

/// The `codecs` of a chunk of pixels of so many bytes each, as they stand in `zarr.json`.
pub(crate) fn pixel_codecs(codec: Codec, size: usize) -> Value {
    let bytes = json!({"name": "bytes", "configuration": {"endian": "little"}});
    let compressor = match codec {
        Codec::Lz4 => Some(json!({"name": "blosc", "configuration": {
            "cname": "lz4", "clevel": BLOSC_LEVEL, "shuffle": "bitshuffle", "typesize": size, "blocksize": 0,
        }})),
        Codec::Zstd => Some(zstd_codec()),
        Codec::None => None,
    };
    let chain = [Some(bytes), compressor, Some(crc32c_codec())];
    chain.into_iter().flatten().collect()
}

/// The `codecs` of the small arrays, by the codec that makes bytes of their elements.
pub(crate) fn small_codecs(to_bytes: Value) -> Value {
    Value::Array(vec![to_bytes, zstd_codec(), crc32c_codec()])
}

pub(crate) fn crc32c_codec() -> Value {
    json!({"name": "crc32c"})
}

fn zstd_codec() -> Value {
    json!({"name": "zstd", "configuration": {"level": ZSTD_LEVEL, "checksum": false}})
}

/// Encodes chunks of one kind through zarrs.
#[derive(Debug)]
pub(crate) struct ChunkEncoder {
    chain: CodecChain,
    data_type: DataType,
    fill: FillValue,
    options: CodecOptions,
}

impl ChunkEncoder {
    /// From the very `codecs` that the array's metadata show, so that the two agree.
    pub(crate) fn new(
        codecs: &Value,
        data_type: DataType,
        fill: FillValue,
    ) -> Result<Self, ChunkError> {
        let refused = |reason: String| ChunkError::Codec {
            codec: "zarrs",
            reason,
        };
        let codecs: Vec<MetadataV3> =
            serde_json::from_value(codecs.clone()).map_err(|e| refused(e.to_string()))?;
        let chain = CodecChain::from_metadata(&codecs).map_err(|e| refused(e.to_string()))?;
        Ok(Self {
            chain,
            data_type,
            fill,
            options: CodecOptions::default(),
        })
    }

    pub(crate) fn encode(
        &self,
        values: ArrayBytes<'_>,
        shape: &[NonZeroU64],
    ) -> Result<Vec<u8>, ChunkError> {
        self.chain
            .encode(values, shape, &self.data_type, &self.fill, &self.options)
            .map(Cow::into_owned)
            .map_err(|e| ChunkError::Codec {
                codec: "zarrs",
                reason: e.to_string(),
            })
    }
}

/// Encodes pixels: the bytes that zarrs' chain of [`pixel_codecs`] would make, without its copy for every
/// codec.
#[derive(Debug)]
pub(crate) struct PixelEncoder {
    codec: Codec,
}

impl PixelEncoder {
    pub(crate) const fn new(codec: Codec) -> Self {
        Self { codec }
    }

    /// Appends the chunk of one group of one patch.
    pub(crate) fn append(
        &self,
        resolution: Resolution,
        values: &[u16],
        out: &mut Vec<u8>,
    ) -> Result<(), ChunkError> {
        let (found, expected) = (values.len(), resolution.chunk_len());
        if found != expected {
            let [found, expected] = [found, expected].map(|n| n * size_of::<u16>());
            return Err(ChunkError::Length { found, expected });
        }
        self.append_bytes(&little_endian(values), size_of::<u16>(), out)
    }

    /// Appends the Sentinel-1 chunk of one patch.
    pub(crate) fn append_s1(&self, values: &[f32], out: &mut Vec<u8>) -> Result<(), ChunkError> {
        let bytes: Cow<'_, [u8]> = if cfg!(target_endian = "little") {
            Cow::Borrowed(bytemuck::cast_slice(values))
        } else {
            Cow::Owned(values.iter().flat_map(|v| v.to_le_bytes()).collect())
        };
        self.append_bytes(&bytes, size_of::<f32>(), out)
    }

    fn append_bytes(&self, bytes: &[u8], size: usize, out: &mut Vec<u8>) -> Result<(), ChunkError> {
        let start = out.len();
        match self.codec {
            Codec::Lz4 => blosc::encode(BLOSC_LEVEL, bytes, size, out)?,
            Codec::Zstd => encode_zstd(bytes, out)?,
            Codec::None => out.extend_from_slice(bytes),
        }
        let crc = crc32c(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
        Ok(())
    }
}

fn little_endian(values: &[u16]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        Cow::Borrowed(bytemuck::cast_slice(values))
    } else {
        Cow::Owned(values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }
}

fn encode_zstd(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ChunkError> {
    thread_local! {
        static CONTEXT: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    }
    CONTEXT.with_borrow_mut(|context| {
        let context = match context {
            Some(context) => context,
            none => none.insert(Compressor::new(ZSTD_LEVEL).map_err(zstd_error)?),
        };
        out.extend_from_slice(&context.compress(bytes).map_err(zstd_error)?);
        Ok(())
    })
}

pub(crate) fn blosc_error(reason: &str) -> ChunkError {
    ChunkError::Codec {
        codec: "blosc",
        reason: reason.to_owned(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "maps errors")]
fn zstd_error(error: std::io::Error) -> ChunkError {
    ChunkError::Codec {
        codec: "zstd",
        reason: error.to_string(),
    }
}

/// CRC-32C (Castagnoli, RFC 3720), by carry-less multiplication where the processor has it: half the time of
/// its crc32 instruction.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// Of parts that follow each other.
pub(crate) fn crc32c_of(parts: &[&[u8]]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    for part in parts {
        digest.update(part);
    }
    // The crate counts in 64 bits whatever the width.
    u32::try_from(digest.finalize()).unwrap_or_default()
}

/// The bytes before a chunk's checksum, if it holds.
pub(crate) fn checked(chunk: &[u8]) -> Result<&[u8], ChunkError> {
    let Some((payload, stored)) = chunk.split_last_chunk::<CRC_BYTES>() else {
        return Err(ChunkError::TooShort { found: chunk.len() });
    };
    compare(crc32c(payload), *stored)?;
    Ok(payload)
}

/// Whether a crc32c is the one that is stored behind the bytes.
pub(crate) fn compare(found: u32, stored: [u8; CRC_BYTES]) -> Result<(), ChunkError> {
    let expected = u32::from_le_bytes(stored);
    if found == expected {
        Ok(())
    } else {
        Err(ChunkError::Checksum { found, expected })
    }
}

/// Stored values are little-endian; nothing to do where the machine is as well.
pub(crate) fn to_native(values: &mut [u16]) {
    if cfg!(target_endian = "big") {
        values.iter_mut().for_each(|v| *v = u16::from_le(*v));
    }
}

/// Checks a chunk's crc32c and decodes it into `into`, which must have the group's length.
///
/// zarrs' chain would copy once for every codec; here the checksum is compared in place, and every codec
/// decodes straight into the target. The chunk's own bytes serve as a work area.
pub(crate) fn decode_pixels(
    codec: Codec,
    chunk: &mut [u8],
    into: &mut [u16],
) -> Result<(), ChunkError> {
    decode_bytes(codec, chunk, bytemuck::cast_slice_mut(into))?;
    to_native(into);
    Ok(())
}

/// As [`decode_pixels`], for a Sentinel-1 chunk.
pub(crate) fn decode_s1(
    codec: Codec,
    chunk: &mut [u8],
    into: &mut [f32],
) -> Result<(), ChunkError> {
    decode_bytes(codec, chunk, bytemuck::cast_slice_mut(into))?;
    if cfg!(target_endian = "big") {
        let swapped = |v: &mut f32| *v = f32::from_bits(u32::from_le(v.to_bits()));
        into.iter_mut().for_each(swapped);
    }
    Ok(())
}

fn decode_bytes(codec: Codec, chunk: &mut [u8], target: &mut [u8]) -> Result<(), ChunkError> {
    let payload = checked(chunk)?.len();
    let payload = &mut chunk[..payload];
    match codec {
        Codec::Lz4 => blosc::decode(payload, target),
        Codec::Zstd => decode_zstd(payload, target),
        Codec::None => copy_exactly(payload, target),
    }
}

fn decode_zstd(payload: &[u8], target: &mut [u8]) -> Result<(), ChunkError> {
    thread_local! {
        static CONTEXT: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }
    CONTEXT.with_borrow_mut(|context| {
        let context = match context {
            Some(context) => context,
            none => none.insert(Decompressor::new().map_err(zstd_error)?),
        };
        let found = context
            .decompress_to_buffer(payload, target)
            .map_err(zstd_error)?;
        let expected = target.len();
        (found == expected)
            .then_some(())
            .ok_or(ChunkError::Length { found, expected })
    })
}

fn copy_exactly(source: &[u8], target: &mut [u8]) -> Result<(), ChunkError> {
    if source.len() != target.len() {
        return Err(ChunkError::Length {
            found: source.len(),
            expected: target.len(),
        });
    }
    target.copy_from_slice(source);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chipmill_schemas::s1::S1_LEN;
    use proptest::prelude::*;
    use zarrs::array::data_type;

    const CODECS: [Codec; 3] = [Codec::Lz4, Codec::Zstd, Codec::None];

    fn texture(resolution: Resolution, seed: u32) -> Vec<u16> {
        let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 20) ^ seed;
        let length = u32::try_from(resolution.chunk_len()).unwrap();
        (0..length)
            .map(|i| value(i).to_le_bytes())
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
            .collect()
    }

    fn encoded(codec: Codec, group: Resolution, values: &[u16]) -> Result<Vec<u8>, ChunkError> {
        let mut chunk = b"before".to_vec();
        PixelEncoder::new(codec).append(group, values, &mut chunk)?;
        Ok(chunk.split_off(6))
    }

    /// As the codecs in the metadata say, through zarrs.
    fn by_the_metadata(codec: Codec, group: Resolution, values: &[u16]) -> Vec<u8> {
        let fill = FillValue::from(0u16);
        let chain = ChunkEncoder::new(&pixel_codecs(codec, 2), data_type::uint16(), fill).unwrap();
        let side = group.side() as u64;
        let shape = [1, group.bands().len() as u64, side, side];
        let shape = shape.map(|n| NonZeroU64::new(n).unwrap());
        let bytes: &[u8] = bytemuck::cast_slice(values);
        chain.encode(ArrayBytes::new_flen(bytes), &shape).unwrap()
    }

    #[test]
    fn chunks_are_those_of_the_codecs_in_the_metadata() {
        for codec in CODECS {
            for group in Resolution::ALL {
                let (noise, flat) = (texture(group, 7), vec![3; group.chunk_len()]);
                for values in [noise, flat] {
                    let expected = by_the_metadata(codec, group, &values);
                    assert!(encoded(codec, group, &values).unwrap() == expected);
                }
            }
        }
    }

    #[test]
    fn chunks_of_sentinel_1_are_those_of_the_codecs_in_the_metadata_and_come_back() {
        let noise = texture(Resolution::M10, 7);
        let noisy = noise.iter().map(|&v| f32::from(v) / -931.0);
        let noisy: Vec<f32> = noisy.take(S1_LEN).collect();
        for codec in CODECS {
            for values in [noisy.clone(), vec![f32::NAN; S1_LEN]] {
                let mut chunk = Vec::new();
                let encoder = PixelEncoder::new(codec);
                encoder.append_s1(&values, &mut chunk).unwrap();
                let codecs = pixel_codecs(codec, 4);
                let fill = FillValue::from(f32::NAN);
                let chain = ChunkEncoder::new(&codecs, data_type::float32(), fill).unwrap();
                let shape = [1, 2, 120, 120].map(|n| NonZeroU64::new(n).unwrap());
                let bytes: &[u8] = bytemuck::cast_slice(&values);
                let expected = chain.encode(ArrayBytes::new_flen(bytes), &shape).unwrap();
                assert!(chunk == expected, "{codec:?}");
                let mut back = vec![0.0; S1_LEN];
                decode_s1(codec, &mut chunk, &mut back).unwrap();
                assert!(bytemuck::cast_slice::<f32, u8>(&back) == bytes, "{codec:?}");
            }
        }
    }

    #[test]
    fn every_codec_gives_back_every_group() {
        for codec in CODECS {
            for resolution in Resolution::ALL {
                let values = texture(resolution, 7);
                let mut chunk = encoded(codec, resolution, &values).unwrap();
                let mut back = vec![0; resolution.chunk_len()];
                decode_pixels(codec, &mut chunk, &mut back).unwrap();
                assert_eq!(back, values);
            }
        }
    }

    #[test]
    fn a_group_of_another_length_is_refused_by_all_codecs() {
        for codec in CODECS {
            let values = texture(Resolution::M60, 7);
            let mut chunk = encoded(codec, Resolution::M60, &values).unwrap();
            for length in [values.len() - 1, values.len() + 1] {
                assert!(decode_pixels(codec, &mut chunk, &mut vec![0; length]).is_err());
            }
            assert!(encoded(codec, Resolution::M60, &values[1..]).is_err());
        }
    }

    #[test]
    fn the_checksum_is_crc32c_at_every_length_and_alignment() {
        // RFC 3720, B.4: 32 bytes of zeros, and the nine digits of the catalogue of parametrised CRCs.
        assert_eq!(
            (crc32c(&[0; 32]), crc32c(b"123456789")),
            (0x8A91_36AA, 0xE306_9283)
        );
        let noise: Vec<u8> = texture(Resolution::M60, 9)
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        for start in 0..17 {
            for end in (start..noise.len()).step_by(3) {
                let bytes = &noise[start..end];
                assert_eq!(crc32c(bytes), crc32c::crc32c(bytes));
                let (head, tail) = bytes.split_at(bytes.len() / 3);
                assert_eq!(crc32c_of(&[head, tail]), crc32c(bytes));
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_decoding_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), seal in any::<bool>()) {
            if seal {
                let crc = crc32c(&bytes);
                bytes.extend_from_slice(&crc.to_le_bytes());
            }
            for codec in CODECS {
                let mut into = vec![0; Resolution::M60.chunk_len()];
                prop_assert!(decode_pixels(codec, &mut bytes.clone(), &mut into).is_err());
            }
        }
    }
}
