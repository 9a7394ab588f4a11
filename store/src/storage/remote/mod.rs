//! Object stores: requests that are bounded in number and time, and a cache beside them.

mod address;
mod cache;
mod connect;
mod explain;
mod parts;
mod profile;
mod runtime;
pub(crate) mod testing;
mod traffic;
mod upload;

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
};
use tokio::sync::Semaphore;

use super::{Content, Growing, Object, Part, Place, Storage, Wanted};
use crate::fault::{Point, pass};
use crate::object::Creation;
pub(crate) use address::is_address;
use address::{Address, Scheme};
pub use cache::use_cache;
use explain::{explain, is_interrupted};
pub use traffic::Traffic;
use traffic::{BYTES_IN, BYTES_OUT, count};

/// Requests to one bucket that are under way at once.
const AT_ONCE: usize = 64;

/// Times that something is asked for whose answer broke off. The client itself tries again where no answer
/// came at all.
const TRIES: u32 = 4;

/// One bucket, container or host.
#[derive(Debug)]
struct Remote {
    client: Arc<dyn ObjectStore>,
    scheme: Scheme,
    gate: Semaphore,
    /// Only of tests: a store that says to create an object and replaces it.
    lies: bool,
}

/// One bucket as the callers see it.
#[derive(Debug, Clone)]
struct Bucket(Arc<Remote>);

static BUCKETS: LazyLock<Mutex<HashMap<String, Bucket>>> = LazyLock::new(Mutex::default);

/// The object store of an address.
pub(super) fn storage(path: &Path) -> io::Result<Arc<dyn Storage>> {
    Ok(Arc::new(bucket(&Address::of(path)?)?))
}

/// Clients are kept: they hold connections and credentials.
fn bucket(address: &Address) -> io::Result<Bucket> {
    let mut buckets = BUCKETS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bucket) = buckets.get(&address.place) {
        return Ok(bucket.clone());
    }
    // Clients look for credentials, which may begin tasks.
    let _runtime = runtime::handle()?.enter();
    let client = connect::client(address)?;
    let bucket = Bucket::new(client, address.scheme, false);
    buckets.insert(address.place.clone(), bucket.clone());
    Ok(bucket)
}

impl Bucket {
    fn new(client: Arc<dyn ObjectStore>, scheme: Scheme, lies: bool) -> Self {
        Self(Arc::new(Remote {
            client,
            scheme,
            gate: Semaphore::new(AT_ONCE),
            lies,
        }))
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.0.scheme == Scheme::Http {
            let text = "https:// is for reading alone; write to a folder, s3://, gs:// or az://";
            return Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, text));
        }
        Ok(())
    }

    fn put(&self, path: &Path, bytes: &[u8], mode: PutMode) -> io::Result<()> {
        self.check_writable()?;
        pass(Point::Publish, path)?;
        let (remote, key) = (Arc::clone(&self.0), key(path)?);
        let payload = PutPayload::from(Bytes::copy_from_slice(bytes));
        count(&BYTES_OUT, bytes.len());
        let put = runtime::wait(async move {
            let _turn = remote.gate.acquire().await;
            let put = || {
                let options = PutOptions::from(mode.clone());
                remote.client.put_opts(&key, payload.clone(), options)
            };
            patiently(put).await
        })?;
        put.map_err(|e| explain(&e))?;
        pass(Point::Published, path)?;
        pass(Point::Done, path)
    }
}

/// Tries again, a few times, where an answer broke off.
async fn patiently<T, F>(ask: impl Fn() -> F) -> object_store::Result<T>
where
    F: Future<Output = object_store::Result<T>>,
{
    let mut pause = Duration::from_millis(100);
    let mut tries = TRIES;
    loop {
        match ask().await {
            Err(e) if tries > 1 && is_interrupted(&e) => {
                tries -= 1;
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            answer => return answer,
        }
    }
}

fn key(path: &Path) -> io::Result<Key> {
    Ok(Address::of(path)?.key)
}

impl Remote {
    /// A part of an object, or all of it, whole.
    async fn get(&self, key: &Key, range: Option<GetRange>) -> object_store::Result<Part> {
        patiently(|| self.get_once(key, range.clone())).await
    }

    async fn get_once(&self, key: &Key, range: Option<GetRange>) -> object_store::Result<Part> {
        let _turn = self.gate.acquire().await;
        let options = GetOptions::new().with_range(range);
        let answer = self.client.get_opts(key, options).await?;
        let (length, range) = (answer.meta.size, answer.range.clone());
        let bytes = answer.bytes().await?;
        count(&BYTES_IN, bytes.len());
        if bytes.len() as u64 != range.end - range.start {
            return Err(object_store::Error::Generic {
                store: "object store",
                source: format!("{} bytes came, expected {range:?}", bytes.len()).into(),
            });
        }
        Ok(Part {
            bytes,
            length: Some(length),
        })
    }

    /// The last bytes. Where a store cannot count from the end, its length is asked for first.
    async fn tail(&self, key: &Key, bytes: u64) -> object_store::Result<Part> {
        if self.scheme == Scheme::Az {
            let length = patiently(|| self.client.head(key)).await?.size;
            let range = length.saturating_sub(bytes)..length;
            return self.get(key, Some(GetRange::Bounded(range))).await;
        }
        self.get(key, Some(GetRange::Suffix(bytes))).await
    }
}

impl Storage for Bucket {
    fn open(&self, path: &Path, content: Option<Content<'_>>) -> io::Result<Box<dyn Object>> {
        Ok(Box::new(RemoteObject {
            bucket: self.clone(),
            path: path.to_owned(),
            content: content.map(|c| (c.digest.to_owned(), c.object.to_owned())),
        }))
    }

    fn read_parts(&self, wanted: &[Wanted<'_>]) -> Option<Vec<io::Result<Part>>> {
        Some(parts::read(&self.0, wanted))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        pass(Point::Request, path)?;
        let (remote, key) = (Arc::clone(&self.0), key(path)?);
        let got = runtime::wait(async move { remote.get(&key, None).await })?;
        got.map(|part| part.bytes.into()).map_err(|e| explain(&e))
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        pass(Point::Request, path)?;
        let (remote, key) = (Arc::clone(&self.0), key(path)?);
        let head = runtime::wait(async move {
            let _turn = remote.gate.acquire().await;
            patiently(|| remote.client.head(&key)).await
        })?;
        head.map(|meta| meta.size).map_err(|e| explain(&e))
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        // Whoever lists is about to write, and plain servers have no lists.
        self.check_writable()?;
        pass(Point::Request, folder)?;
        let (remote, key) = (Arc::clone(&self.0), key(folder)?);
        let prefix = key.clone();
        let listed = runtime::wait(async move {
            let _turn = remote.gate.acquire().await;
            patiently(|| remote.client.list_with_delimiter(Some(&key))).await
        })?;
        let listed = listed.map_err(|e| explain(&e))?;
        let objects = listed.objects.into_iter().map(|o| o.location);
        let below = objects.chain(listed.common_prefixes);
        let name = |key: Key| {
            key.prefix_match(&prefix)?
                .next()
                .map(|p| p.as_ref().to_owned())
        };
        Ok(below.filter_map(name).collect())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.put(path, bytes, PutMode::Overwrite)
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<Creation> {
        let mode = if self.0.lies {
            PutMode::Overwrite
        } else {
            PutMode::Create
        };
        match self.put(path, bytes, mode) {
            Ok(()) => Ok(Creation::Created),
            // Or created by this very call, if the first answer was lost: who needs to know reads it.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(Creation::AlreadyThere),
            Err(e) => Err(e),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.check_writable()?;
        pass(Point::Remove, path)?;
        let (remote, key) = (Arc::clone(&self.0), key(path)?);
        let removed = runtime::wait(async move { patiently(|| remote.client.delete(&key)).await })?;
        match removed {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            removed => removed.map_err(|e| explain(&e)),
        }
    }

    fn begin(&self, path: &Path) -> io::Result<Box<dyn Growing>> {
        self.check_writable()?;
        pass(Point::CreateTemporary, path)?;
        Ok(Box::new(upload::Upload::new(Arc::clone(&self.0), path)?))
    }

    /// What a killed writer leaves is an upload that was never completed: no object.
    fn clear(&self, _: &Path) -> io::Result<usize> {
        Ok(0)
    }

    fn make_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// An object of a bucket; nothing is asked of the bucket before something is read.
#[derive(Debug)]
struct RemoteObject {
    bucket: Bucket,
    path: PathBuf,
    content: Option<(String, String)>,
}

impl RemoteObject {
    fn part(&self, place: Place) -> io::Result<Part> {
        let content = self.content.as_ref();
        let wanted = Wanted {
            path: &self.path,
            content: content.map(|(digest, object)| Content { digest, object }),
            place,
        };
        let part = parts::read(&self.bucket.0, &[wanted]).into_iter().next();
        part.unwrap_or_else(|| Err(io::Error::other("nothing was read")))
    }
}

impl Object for RemoteObject {
    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        let part = self.part(Place::Range(offset..offset + into.len() as u64))?;
        into.copy_from_slice(&part.bytes);
        Ok(())
    }

    fn tail(&self, bytes: usize) -> io::Result<Part> {
        self.part(Place::Tail(bytes))
    }

    /// Puts it into the cache, if there is one.
    fn will_need(&self, range: Range<u64>) {
        if let Some((digest, object)) = &self.content {
            let content = Content { digest, object };
            parts::ahead(&self.bucket.0, &self.path, content, range);
        }
    }
}
