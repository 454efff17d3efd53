//! The socket file.

use crate::client::OnSocket;
use control::{ControlSocket, ServeError};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::Ordering;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn folder_and_socket_are_for_their_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let fresh = folder.path().join("a/b");
    let socket = ControlSocket::open(&fresh).unwrap();
    assert_eq!((mode(&fresh), mode(socket.path())), (0o700, 0o600));
    drop(socket);

    let wide = folder.path().join("wide");
    fs::create_dir(&wide).unwrap();
    fs::set_permissions(&wide, fs::Permissions::from_mode(0o755)).unwrap();
    let _socket = ControlSocket::open(&wide).unwrap();
    assert_eq!(mode(&wide), 0o700);
}

#[tokio::test]
async fn a_stale_socket_is_removed_and_a_live_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a socket that nobody answers at stays as a file");
    let first = ControlSocket::open(folder.path()).unwrap();
    let second = ControlSocket::open(folder.path());
    assert!(matches!(second, Err(ServeError::Taken(_))), "{second:?}");
    drop(first);
    assert!(!path.exists());
    ControlSocket::open(folder.path()).unwrap();
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    fs::write(&path, "precious").unwrap();
    assert!(matches!(ControlSocket::open(folder.path()), Err(ServeError::InTheWay(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    fs::remove_file(&path).unwrap();
    // A link could lead the removal elsewhere.
    std::os::unix::fs::symlink("/dev/null", &path).unwrap();
    assert!(matches!(ControlSocket::open(folder.path()), Err(ServeError::InTheWay(_))));
}

#[tokio::test]
async fn the_file_goes_with_the_loop() {
    let edge = OnSocket::start().await;
    assert_eq!(edge.get("/livez").await.status, 200);
    edge.stop.send(true).unwrap();
    edge.task.await.unwrap();
    assert!(!edge.path.exists());
    assert!(edge.folder.path().exists());
}

#[tokio::test]
async fn a_path_that_is_too_long_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("x".repeat(120));
    assert!(matches!(ControlSocket::open(&deep), Err(ServeError::Io(..))));
}

/// Needs root, to become somebody else; without, there is nobody else to be.
#[tokio::test]
async fn another_user_is_turned_away_and_recorded() {
    const NOBODY: u32 = 65_534;
    let edge = OnSocket::start().await;
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    // The modes are opened on purpose: the check of the peer must hold by itself.
    fs::set_permissions(edge.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&edge.path, fs::Permissions::from_mode(0o666)).unwrap();
    let ask = async |uid: u32| {
        let mut curl = tokio::process::Command::new("curl");
        curl.args(["--silent", "--max-time", "10", "--unix-socket"]).arg(&edge.path);
        curl.arg("http://localhost/livez").uid(uid).gid(uid).current_dir("/").output().await
    };
    let Ok(root) = ask(0).await else { return };
    assert!(root.status.success(), "{root:?}");
    assert_eq!(edge.world.witness.strangers.load(Ordering::SeqCst), 0);
    let stranger = ask(NOBODY).await.unwrap();
    assert!(!stranger.status.success() && stranger.stdout.is_empty(), "{stranger:?}");
    assert_eq!(edge.world.witness.strangers.load(Ordering::SeqCst), 1);
    assert_eq!(edge.get("/livez").await.status, 200);
}
