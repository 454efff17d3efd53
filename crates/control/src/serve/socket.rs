//! The unix socket in the data folder: the whole API, for root and for the user that runs the gate.

use super::{ACCEPT_PAUSE, Connections, Edge, Proxies, ServeError, Shutdown, connection, stopped};
use crate::api::Api;
use crate::guard::{Names, Surface};
use crate::input::Via;
use nix::unistd::geteuid;
use std::fs::{self, DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// Connections at once: command lines of people and scripts of one machine.
const CONNECTIONS: usize = 256;
/// The socket's name in the data folder.
const NAME: &str = "control.sock";

/// The open socket. Its file goes when this goes.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // A file that stays is taken for stale by the next start.
        let _ = fs::remove_file(&self.path);
    }
}

impl ControlSocket {
    /// Opens `control.sock` in `folder`: the folder is made, or narrowed, to mode 0700, the socket gets 0600,
    /// and a socket file that nobody answers at is removed. Must be called within a Tokio runtime, by who
    /// holds the data folder.
    ///
    /// # Errors
    /// When the folder belongs to somebody else, another process answers, or the system refuses (a path of
    /// more than 107 bytes among it).
    pub fn open(folder: &Path) -> Result<Self, ServeError> {
        private(folder)?;
        let path = folder.join(NAME);
        clear(&path)?;
        let failed = |error| ServeError::Io(path.clone(), error);
        // Between the two calls nobody else can reach the socket: the folder is private already.
        let listener = UnixListener::bind(&path).map_err(failed)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, path })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes `folder` with mode 0700, or narrows one that is ours.
fn private(folder: &Path) -> Result<(), ServeError> {
    let failed = |error| ServeError::Io(folder.to_owned(), error);
    match DirBuilder::new().recursive(true).mode(0o700).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    let facts = fs::metadata(folder).map_err(failed)?;
    if !facts.is_dir() || facts.uid() != geteuid().as_raw() {
        return Err(ServeError::Folder(folder.to_owned()));
    }
    if facts.mode() & 0o777 != 0o700 {
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

/// Removes a socket file at which nobody answers.
fn clear(path: &Path) -> Result<(), ServeError> {
    let facts = match fs::symlink_metadata(path) {
        Ok(facts) => facts,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ServeError::Io(path.to_owned(), error)),
    };
    if !facts.file_type().is_socket() {
        return Err(ServeError::InTheWay(path.to_owned()));
    }
    match BlockingStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| ServeError::Io(path.to_owned(), error))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // WHY: any other outcome (a full queue, no right to connect) means that somebody may live there.
        Ok(_) | Err(_) => Err(ServeError::Taken(path.to_owned())),
    }
}

/// Serves the socket until `shutdown`. Who is neither root nor the gate's own user is turned away before a
/// byte is read, and recorded.
pub async fn serve_socket(socket: ControlSocket, api: Api, mut shutdown: Shutdown) {
    let edge = Edge::new(api, None, Names::default(), Surface { authority: false, admin: true });
    let nobody = Arc::new(Proxies::default());
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = Connections::new(edge.api.clone());
    loop {
        let accepting = async {
            let permit = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((permit, socket.listener.accept().await))
        };
        let accepted = tokio::select! {
            () = stopped(&mut shutdown) => break,
            accepted = accepting => accepted,
        };
        match accepted {
            Some((permit, Ok((stream, _)))) => {
                let Some(uid) = known_peer(&stream, &edge.api) else { continue };
                let way = (Via::Socket { uid }, nobody.clone());
                let serving = connection(stream, edge.clone(), way, shutdown.clone());
                connections.spawn(permit, serving);
            }
            Some((_, Err(_))) => tokio::time::sleep(ACCEPT_PAUSE).await,
            None => break,
        }
    }
    drop(socket);
    connections.drain().await;
}

/// The peer's user id, when it may speak here.
fn known_peer(stream: &UnixStream, api: &Api) -> Option<u32> {
    let uid = stream.peer_cred().ok()?.uid();
    if may_speak(uid, geteuid().as_raw()) {
        return Some(uid);
    }
    api.witness.stranger(uid);
    None
}

fn may_speak(peer: u32, own: u32) -> bool {
    peer == 0 || peer == own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_own_user_may_speak() {
        assert!(may_speak(0, 1000) && may_speak(1000, 1000) && may_speak(0, 0));
        assert!(!may_speak(1001, 1000) && !may_speak(1000, 0) && !may_speak(u32::MAX, 0));
    }
}
