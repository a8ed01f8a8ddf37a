//! The data directory: locked by one process, it proves that every earlier process on it is gone.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use apex_storage::Node;
use apex_storage::clock::random_bytes;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

/// A locked data directory. The lock goes with the process, however it dies.
pub(crate) struct DataDir {
    path: PathBuf,
    installation: Uuid,
    _lock: File,
}

impl DataDir {
    /// Creates the directory if need be, and locks it.
    pub fn lock(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("cannot create the data directory {}", path.display()))?;
        let file = path.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&file)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "the data directory {} is in use by another apex; stop it, or set APEX_DATA_DIR to another folder",
                path.display()
            ),
            Err(TryLockError::Error(error)) => return Err(error).context("cannot lock the data directory"),
        }
        let installation = kept(path, "installation", || Uuid::new_v4().to_string())?.trim().parse()?;
        Ok(Self { path: path.to_owned(), installation, _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A new node of this directory.
    pub fn node(&self, address: String) -> Node {
        Node { id: format!("{}:{}", self.installation, Uuid::now_v7()), address }
    }

    /// The secret that was set, or one that is made once and kept here: good for development, refused in production.
    pub fn secret(&self, set: Option<&SecretString>, name: &str) -> anyhow::Result<SecretString> {
        if let Some(secret) = set {
            return Ok(secret.expose_secret().to_owned().into());
        }
        Ok(kept(&self.path, name, || URL_SAFE.encode(random_bytes::<32>()))?.trim().to_owned().into())
    }
}

/// The secret that was set, or the one that a server has kept in this folder. Makes none.
pub(crate) fn kept_secret(
    folder: &Path,
    set: Option<&SecretString>,
    name: &str,
) -> anyhow::Result<Option<SecretString>> {
    if let Some(secret) = set {
        return Ok(Some(secret.expose_secret().to_owned().into()));
    }
    let path = folder.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned().into())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The text of a file, written on first use and readable by its owner only.
fn kept(folder: &Path, name: &str, make: impl FnOnce() -> String) -> anyhow::Result<String> {
    let path = folder.join(name);
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
    let text = make();
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::{DataDir, kept_secret};

    #[test]
    fn a_look_at_a_kept_secret_makes_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(kept_secret(folder.path(), None, "kms-key").unwrap().is_none());
        assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
        let made = DataDir::lock(folder.path()).unwrap().secret(None, "kms-key").unwrap();
        let kept = kept_secret(folder.path(), None, "kms-key").unwrap().unwrap();
        assert_eq!(kept.expose_secret(), made.expose_secret());
        let set = kept_secret(folder.path(), Some(&"other".into()), "kms-key").unwrap().unwrap();
        assert_eq!(set.expose_secret(), "other");
    }

    #[test]
    fn a_directory_has_one_user_at_a_time_and_its_nodes_outlive_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataDir::lock(folder.path()).unwrap();
        assert!(DataDir::lock(folder.path()).is_err());
        let earlier = first.node("a".into());
        let secret = first.secret(None, "jwt-secret").unwrap();
        drop(first);
        let second = DataDir::lock(folder.path()).unwrap();
        assert!(second.node("b".into()).outlived(&earlier.id));
        assert_eq!(second.secret(None, "jwt-secret").unwrap().expose_secret(), secret.expose_secret());
    }
}
