//! Files that are too large for rows: call recordings, under `blobs` in the data directory.
//!
//! A key is made of ids only, so it never leaves the directory and names nobody.

use std::fmt;
use std::path::Path as Directory;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::model::{OrgId, ProjectId};

/// The longest segment of a key, in bytes.
const LONGEST_SEGMENT: usize = 64;

/// Why a file could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The key could point outside its directory, or is no key.
    #[error("{0:?} is no blob key")]
    BadKey(String),
    /// The directory cannot be made.
    #[error("blob directory cannot be opened")]
    Open(#[source] std::io::Error),
    /// Reading or writing failed.
    #[error("blob store failed")]
    Store(#[from] object_store::Error),
}

/// Where a file lies: segments of plain characters. Its text is stored in rows and read back with [`str::parse`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BlobKey(String);

impl BlobKey {
    /// The recording of a call: `recordings/{org}/{project}/{sid}.wav`.
    ///
    /// # Errors
    ///
    /// [`BlobError::BadKey`] when the provider's `sid` is not made of letters and digits.
    pub fn recording(org: OrgId, project: ProjectId, sid: &str) -> Result<Self, BlobError> {
        if sid.is_empty() || !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(BlobError::BadKey(sid.to_owned()));
        }
        format!("recordings/{org}/{project}/{sid}.wav").parse()
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn path(&self) -> Path {
        Path::from(self.0.as_str())
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BlobKey {
    type Err = BlobError;

    fn from_str(text: &str) -> Result<Self, BlobError> {
        if text.split('/').all(is_plain) { Ok(Self(text.to_owned())) } else { Err(BlobError::BadKey(text.to_owned())) }
    }
}

/// No empty, hidden, relative or oversized segment, and nothing that a path or a URL would read otherwise.
fn is_plain(segment: &str) -> bool {
    (1..=LONGEST_SEGMENT).contains(&segment.len())
        && !segment.starts_with('.')
        && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// The files of this installation. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Blobs(Arc<dyn ObjectStore>);

impl Blobs {
    /// Opens `blobs` under the data directory and makes it if it is not there.
    ///
    /// # Errors
    ///
    /// [`BlobError::Open`] when the directory cannot be made, [`BlobError::Store`] when it cannot be used.
    pub fn open(root: &Directory) -> Result<Self, BlobError> {
        let directory = root.join("blobs");
        std::fs::create_dir_all(&directory).map_err(BlobError::Open)?;
        Ok(Self(Arc::new(LocalFileSystem::new_with_prefix(directory)?.with_fsync(true))))
    }

    /// Keeps a file; what stood under the key is replaced as a whole. On return it is on disk.
    ///
    /// # Errors
    ///
    /// [`BlobError::Store`] when it cannot be written; then nothing has changed.
    #[tracing::instrument(name = "storage.blob.put", skip_all, fields(blob.key = %key, blob.bytes = bytes.len()))]
    pub async fn put(&self, key: &BlobKey, bytes: Bytes) -> Result<(), BlobError> {
        self.0.put(&key.path(), bytes.into()).await?;
        Ok(())
    }

    /// The file, or `None`.
    ///
    /// # Errors
    ///
    /// [`BlobError::Store`] when it is there and cannot be read.
    #[tracing::instrument(name = "storage.blob.get", skip_all, fields(blob.key = %key))]
    pub async fn get(&self, key: &BlobKey) -> Result<Option<Bytes>, BlobError> {
        match self.0.get(&key.path()).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the file; one that is not there is removed already.
    ///
    /// # Errors
    ///
    /// [`BlobError::Store`] when it cannot be removed.
    #[tracing::instrument(name = "storage.blob.delete", skip_all, fields(blob.key = %key))]
    pub async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        match self.0.delete(&key.path()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> BlobKey {
        BlobKey::recording(OrgId::new(), ProjectId::new(), "RE0123456789abcdef0123456789abcdef").unwrap()
    }

    #[tokio::test]
    async fn a_file_is_kept_replaced_and_removed() {
        let root = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(root.path()).unwrap();
        let key = key();
        assert_eq!(blobs.get(&key).await.unwrap(), None);
        blobs.put(&key, Bytes::from_static(b"first")).await.unwrap();
        blobs.put(&key, Bytes::from_static(b"again")).await.unwrap();
        let reopened = Blobs::open(root.path()).unwrap();
        assert_eq!(reopened.get(&key).await.unwrap().as_deref(), Some(&b"again"[..]));
        assert!(root.path().join("blobs").join(key.as_str()).is_file());
        blobs.delete(&key).await.unwrap();
        blobs.delete(&key).await.unwrap();
        assert_eq!(blobs.get(&key).await.unwrap(), None);
    }

    #[test]
    fn a_key_survives_its_text_and_never_leaves_the_directory() {
        let key = key();
        assert_eq!(key.to_string().parse::<BlobKey>().unwrap(), key);
        assert_eq!(key.path().as_ref(), key.as_str());
        for text in ["", "/", "a//b", "../a", "a/../b", ".a", "a\\b", "a b", "a%2e", "a/", "/a", "ä", "a\0"] {
            assert!(text.parse::<BlobKey>().is_err(), "{text:?}");
        }
        for sid in ["", "../../etc/passwd", "RE/1", "RE.1", "RE 1", &"a".repeat(61)] {
            assert!(BlobKey::recording(OrgId::new(), ProjectId::new(), sid).is_err(), "{sid:?}");
        }
    }
}
