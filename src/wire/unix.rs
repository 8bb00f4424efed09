//! The Unix socket: permissions before the first connection, no socket of another's taken, none left behind.

use std::fs::{self, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tokio::net::{UnixListener, UnixSocket, UnixStream};

use super::error::WireError;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// The file of a socket that we made; removed when dropped, if it is still ours.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: Identity,
    owner: u32,
}

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The user id of whoever made it.
    pub(crate) fn owner(&self) -> u32 {
        self.owner
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|found| identity(&found) == self.identity);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the socket could not be removed");
        }
    }
}

/// Device, inode and time of birth: a successor's socket is readily given the inode that just became free.
type Identity = (u64, u64, Option<SystemTime>);

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino(), metadata.created().ok())
}

/// Makes a socket with these permissions and listens on it.
pub(crate) async fn bind(path: &Path, mode: u32) -> Result<(UnixListener, SocketFile), WireError> {
    make_way(path).await?;
    listen(path, mode).map_err(|source| WireError::Unix {
        path: path.to_owned(),
        source,
    })
}

fn listen(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let made = fs::symlink_metadata(path)?;
    let file = SocketFile {
        path: path.to_owned(),
        identity: identity(&made),
        owner: made.uid(),
    };
    // A bound socket refuses connections until it listens: nobody slips in under the umask's permissions.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok((socket.listen(BACKLOG)?, file))
}

/// Removes a socket that nobody serves any more; anything else stays.
async fn make_way(path: &Path) -> Result<(), WireError> {
    let failed = |source| WireError::Unix {
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(WireError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // Somebody answers, or we may not even ask (another user's socket).
        Ok(_) | Err(_) => Err(WireError::UnixInUse(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sets_the_mode_and_removes_the_socket_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        for mode in [0o600, 0o660, 0o666] {
            let (listener, file) = bind(&path, mode).await.unwrap();
            let found = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(found & 0o7777, mode, "{mode:04o}");
            drop((listener, file));
            assert!(!path.exists());
        }
    }

    #[tokio::test]
    async fn replaces_a_socket_that_nobody_serves() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        assert!(bind(&path, 0o600).await.is_ok());
    }

    #[tokio::test]
    async fn leaves_a_served_socket_to_its_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let _served = bind(&path, 0o600).await.unwrap();
        let refused = bind(&path, 0o600).await.unwrap_err();
        assert!(matches!(refused, WireError::UnixInUse(_)), "{refused}");
        assert!(path.exists());
    }

    #[tokio::test]
    async fn leaves_a_file_that_is_no_socket_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        fs::write(&path, "precious").unwrap();
        let refused = bind(&path, 0o600).await.unwrap_err();
        assert!(matches!(refused, WireError::NotASocket(_)), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn does_not_remove_the_socket_of_its_successor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let (listener, file) = bind(&path, 0o600).await.unwrap();
        drop(listener);
        let successor = bind(&path, 0o600).await.unwrap();
        drop(file);
        assert!(path.exists());
        drop(successor);
        assert!(!path.exists());
    }
}
