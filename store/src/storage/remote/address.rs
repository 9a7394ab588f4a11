//! Addresses: `scheme://place/key`.

use std::io;
use std::path::Path;

use object_store::path::Path as Key;

/// Which kind of object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Scheme {
    S3,
    Gs,
    Az,
    /// Plain HTTP, with TLS or, on this machine itself, without. For reading alone.
    Http,
    /// Of this process, for tests.
    Memory,
}

/// An address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) scheme: Scheme,
    /// Scheme and bucket, container or host, such as `s3://bucket`.
    pub(super) place: String,
    /// Bucket, container or host.
    pub(super) name: String,
    pub(super) key: Key,
}

/// Whether a path is an address and not the path of a file.
pub(crate) fn is_address(path: &Path) -> bool {
    let Some((scheme, _)) = path.to_str().and_then(|text| text.split_once("://")) else {
        return false;
    };
    let mut letters = scheme.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && letters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

impl Address {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let text = path.to_str().unwrap_or_default();
        let wrong = |reason: &str| {
            let text = format!("{} is no address: {reason}", path.display());
            io::Error::new(io::ErrorKind::InvalidInput, text)
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("no scheme"))?;
        let (name, key) = rest.split_once('/').unwrap_or((rest, ""));
        let scheme = match scheme {
            "s3" => Scheme::S3,
            "gs" => Scheme::Gs,
            "az" => Scheme::Az,
            "https" => Scheme::Http,
            "http" if is_loopback(name) => Scheme::Http,
            "http" => {
                return Err(wrong(
                    "http:// is for this machine alone; use https://, where nobody can alter what is read",
                ));
            }
            "memory" => Scheme::Memory,
            "file" => return Err(wrong("give a folder as a plain path, without file://")),
            _ => {
                return Err(wrong(
                    "known are s3://, gs://, az:// and https:// (or the path of a folder)",
                ));
            }
        };
        if name.is_empty() {
            return Err(wrong("expected a bucket, container or host after ://"));
        }
        if name.contains('@') || text.contains(['?', '#']) {
            // The reason must not repeat what may be a secret.
            let reason = "an address holds no credentials, query or fragment; they come from the \
                          environment (docs/object-stores.md)";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        let key = Key::parse(key.trim_end_matches('/')).map_err(|e| wrong(&e.to_string()))?;
        let place = text[..text.len() - rest.len() + name.len()].to_owned();
        Ok(Self {
            scheme,
            place,
            name: name.to_owned(),
            key,
        })
    }
}

fn is_loopback(host: &str) -> bool {
    let without_port = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(without_port, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_paths_and_taken_apart() {
        for path in [
            "ben.zarr",
            "/a/s3:/b",
            "s3:/bucket",
            "://x",
            "1a://x",
            "a b://c",
        ] {
            assert!(!is_address(Path::new(path)), "{path}");
        }
        for (text, scheme, place, key) in [
            ("s3://b/x/ben.zarr", Scheme::S3, "s3://b", "x/ben.zarr"),
            ("gs://b", Scheme::Gs, "gs://b", ""),
            ("az://c/x/", Scheme::Az, "az://c", "x"),
            ("https://h:8/x", Scheme::Http, "https://h:8", "x"),
            (
                "http://127.0.0.1:8/x",
                Scheme::Http,
                "http://127.0.0.1:8",
                "x",
            ),
        ] {
            let address = Address::of(Path::new(text)).unwrap();
            assert!(is_address(Path::new(text)));
            assert_eq!((address.scheme, &*address.place), (scheme, place));
            assert_eq!(address.key.as_ref(), key);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_would_be_one() {
        for (text, expected) in [
            ("ftp://h/x", "known are s3://"),
            ("http://example.org/x", "use https://"),
            ("file:///x", "plain path"),
            ("s3:///x", "expected a bucket"),
            ("s3://b/x//y", "Path"),
            ("https://me:secret@h/x", "environment"),
            ("https://h/x?sig=secret", "environment"),
        ] {
            let error = Address::of(Path::new(text)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
