//! An object sent in parts while it is made. It is there when the last request has completed it, whole; an
//! upload that is never completed is no object to anybody.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path as Key;
use object_store::{MultipartUpload, ObjectStoreExt as _, PutMultipartOptions, PutPayload};
use tokio::task::JoinHandle;

use super::super::Growing;
use super::explain::explain;
use super::traffic::{BYTES_OUT, count};
use super::{Remote, key, runtime};
use crate::fault::{Point, pass};

/// Bytes of a part. Stores ask for 5 MiB at least, and for parts of the same size.
const PART: usize = 8 << 20;

/// Parts of one object that are under way while the next one is filled.
const UNDER_WAY: usize = 2;

/// How long a given-up upload is waited for to be taken back; a rule of the bucket does it otherwise.
const TAKE_BACK: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Upload {
    remote: Arc<Remote>,
    path: PathBuf,
    key: Key,
    buffer: Vec<u8>,
    /// Begun when there is more than one part.
    parts: Option<Box<dyn MultipartUpload>>,
    under_way: VecDeque<JoinHandle<object_store::Result<()>>>,
}

impl Upload {
    pub(super) fn new(remote: Arc<Remote>, path: &Path) -> io::Result<Self> {
        Ok(Self {
            remote,
            path: path.to_owned(),
            key: key(path)?,
            buffer: Vec::new(),
            parts: None,
            under_way: VecDeque::new(),
        })
    }

    fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        while self.under_way.len() >= UNDER_WAY {
            self.wait_for_one()?;
        }
        count(&BYTES_OUT, bytes.len());
        let mut parts = match self.parts.take() {
            Some(parts) => parts,
            None => self.start()?,
        };
        let runtime = runtime::handle()?;
        let _inside = runtime.enter();
        let part = parts.put_part(PutPayload::from(bytes));
        self.parts = Some(parts);
        self.under_way.push_back(runtime.spawn(part));
        Ok(())
    }

    fn start(&self) -> io::Result<Box<dyn MultipartUpload>> {
        let (remote, key) = (Arc::clone(&self.remote), self.key.clone());
        let options = PutMultipartOptions::default();
        let started = async move { remote.client.put_multipart_opts(&key, options).await };
        runtime::wait(started)?.map_err(|e| explain(&e))
    }

    fn wait_for_one(&mut self) -> io::Result<()> {
        let Some(part) = self.under_way.pop_front() else {
            return Ok(());
        };
        match runtime::wait(part)? {
            Ok(sent) => sent.map_err(|e| explain(&e)),
            Err(e) => Err(io::Error::other(e)),
        }
    }
}

impl Growing for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        pass(Point::WriteTemporary, &self.path)?;
        self.buffer.extend_from_slice(bytes);
        while self.buffer.len() >= PART {
            let rest = self.buffer.split_off(PART);
            let part = std::mem::replace(&mut self.buffer, rest);
            self.send(part)?;
        }
        Ok(())
    }

    fn publish(mut self: Box<Self>) -> io::Result<()> {
        let last = std::mem::take(&mut self.buffer);
        if self.parts.is_none() {
            pass(Point::Publish, &self.path)?;
            count(&BYTES_OUT, last.len());
            let (remote, key) = (Arc::clone(&self.remote), self.key.clone());
            let put = async move { remote.client.put(&key, PutPayload::from(last)).await };
            runtime::wait(put)?.map_err(|e| explain(&e))?;
        } else {
            if !last.is_empty() {
                self.send(last)?;
            }
            while !self.under_way.is_empty() {
                self.wait_for_one()?;
            }
            pass(Point::Publish, &self.path)?;
            if let Some(mut parts) = self.parts.take() {
                let completed = runtime::wait(async move { parts.complete().await })?;
                completed.map_err(|e| explain(&e))?;
            }
        }
        pass(Point::Published, &self.path)?;
        pass(Point::Done, &self.path)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.under_way.iter().for_each(JoinHandle::abort);
        if let Some(mut parts) = self.parts.take() {
            let _ = runtime::wait(async move {
                let _ = tokio::time::timeout(TAKE_BACK, parts.abort()).await;
            });
        }
    }
}
