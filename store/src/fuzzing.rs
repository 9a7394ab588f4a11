//! Readers of what comes from a disk, for the fuzz targets in `fuzz/` alone: they are private for good
//! reasons, and each is given bytes, asserts what it promises, and gives nothing back.

use std::path::Path;

use crate::codec;
use crate::encode::EncodedPatch;
use crate::root::Root;
use crate::shard;

/// The root's metadata: a shape that cannot be is refused.
pub fn root(bytes: &[u8]) {
    if let Ok(root) = Root::parse(Path::new("fuzzed"), bytes) {
        let shape = root.shape();
        assert!(shape.shard_patches > 0 && u32::try_from(shape.patches).is_ok());
    }
}

/// A shard's index. The first two bytes are the numbers of slots and of patches; the checksum is put
/// right, as no fuzzer would guess it.
pub fn shard_index(bytes: &[u8]) {
    let [slots, chunks, index @ ..] = bytes else {
        return;
    };
    let (slots, chunks) = (usize::from(*slots) + 1, usize::from(*chunks));
    let mut index = index.to_vec();
    index.resize(shard::index_bytes(slots) - size_of::<u32>(), 0xff);
    index.extend_from_slice(&codec::crc32c(&index).to_le_bytes());
    let object = index.len() as u64 + 100_000;
    if let Ok(spans) = shard::parse_index(&index, shard::longest_chunk(43_200), chunks, object) {
        assert_eq!(spans.len(), chunks);
        assert!(spans.iter().all(|s| s.offset + s.bytes as u64 <= 100_000));
    }
}

/// A patch as it is spooled.
pub fn spooled(bytes: &[u8]) {
    if let Ok(patch) = EncodedPatch::from_bytes(bytes) {
        assert_eq!(patch.to_bytes(), bytes);
    }
}
