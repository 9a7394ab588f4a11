//! How an archive is compressed, by its first bytes.

use std::io::{self, BufReader, Read};

use super::input::Input;
use crate::catalog::is_metadata;

/// Compression of a tar archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// Plain `.tar`.
    None,
    /// `.tar.gz`, of one or several gzip members.
    Gzip,
    /// `.tar.zst`.
    Zstd,
}

/// Enough of a file to tell: one tar header.
const HEAD: usize = 512;
const INPUT_BUFFER: usize = 1 << 20;

/// What inflate gives at once: with every call it copies up to 32 KiB more, so calls should be few.
const INFLATED: usize = 1 << 18;

/// For headers, names and small files; larger ones are read past it, straight into their memory.
const SMALL: usize = 1 << 14;

impl Compression {
    /// Looks at the first bytes; the name does not matter. The error says what was found instead.
    pub(crate) fn recognise(input: &Input) -> io::Result<Result<Self, String>> {
        let head = input.head(HEAD)?;
        Ok(Self::of_head(&head).ok_or_else(|| describe(&head)))
    }

    fn of_head(head: &[u8]) -> Option<Self> {
        if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Some(Self::Zstd)
        } else if head.starts_with(&[0x1f, 0x8b]) {
            Some(Self::Gzip)
        } else if is_tar_header(head) {
            Some(Self::None)
        } else {
            None
        }
    }

    /// The tar stream of an archive.
    pub(crate) fn open(self, input: &Input) -> io::Result<Box<dyn Read + Send>> {
        self.decoder(input.open()?)
    }

    /// The tar stream of an archive, from its bytes.
    pub(crate) fn decoder(self, file: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
        let input = |file| BufReader::with_capacity(INPUT_BUFFER, file);
        Ok(match self {
            Self::None => Box::new(BufReader::with_capacity(SMALL, file)),
            Self::Gzip => {
                let decoder = flate2::bufread::MultiGzDecoder::new(input(file));
                Box::new(BufReader::with_capacity(INFLATED, decoder))
            }
            Self::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(input(file))?;
                Box::new(BufReader::with_capacity(SMALL, decoder))
            }
        })
    }
}

/// The checksum in bytes 148..156 is the sum of all bytes with itself as eight spaces.
fn is_tar_header(head: &[u8]) -> bool {
    if head.len() < HEAD {
        return false;
    }
    let sum: u32 = head[..148]
        .iter()
        .chain(&head[156..HEAD])
        .map(|&b| u32::from(b))
        .sum();
    let field = head[148..156]
        .split(|&b| b == 0 || b == b' ')
        .find(|f| !f.is_empty());
    let stored = field.and_then(|f| u32::from_str_radix(std::str::from_utf8(f).ok()?, 8).ok());
    stored == Some(sum + 8 * u32::from(b' '))
}

fn describe(head: &[u8]) -> String {
    if head.is_empty() {
        return "an empty file".to_owned();
    }
    if is_metadata(head) {
        return "a metadata file, which is given as --metadata FILE, each with its own --metadata"
            .to_owned();
    }
    let bytes: Vec<String> = head.iter().take(4).map(|b| format!("{b:02x}")).collect();
    format!("a file that begins with the bytes {}", bytes.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_recognised_by_content_and_not_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("misnamed.csv");
        let recognise = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Compression::recognise(&Input::Files(vec![path.clone()])).unwrap()
        };
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        tar.append_data(&mut header, "a/b", &b"xyz"[..]).unwrap();
        let tar = tar.into_inner().unwrap();
        assert_eq!(recognise(&tar), Ok(Compression::None));
        let zstd = zstd::encode_all(&tar[..], 1).unwrap();
        assert_eq!(recognise(&zstd), Ok(Compression::Zstd));
        let list = recognise(b"S2A_MSIL2A_20170617T113321_4_55\n").unwrap_err();
        assert!(list.contains("--metadata FILE"), "{list}");
        let text = recognise(b"patch_id,split\n").unwrap_err();
        assert!(text.contains("70 61 74 63"), "{text}");
    }
}
