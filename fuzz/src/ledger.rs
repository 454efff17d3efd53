//! A small ledger in memory, whose files can be replaced.

use audit::disk::{Barrier, Disk, Entry, File, Guard};
use audit::{Reader, VerifierKey, VerifyReport, verify_with};
use base::Event;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const FIXTURE: [(&str, &[u8]); 5] = [
    ("checkpoint", include_bytes!("../fixtures/ledger/checkpoint")),
    ("keys", include_bytes!("../fixtures/ledger/keys")),
    ("lock", b""),
    (
        "segments/00000000000000000000.seg",
        include_bytes!("../fixtures/ledger/segments/00000000000000000000.seg"),
    ),
    ("tile/0/000.p/5", include_bytes!("../fixtures/ledger/tile/0/000.p/5")),
];

/// Its folder.
pub fn dir() -> &'static Path {
    Path::new("/ledger")
}

/// Its only segment.
pub fn segment() -> PathBuf {
    dir().join("segments").join(format!("{:020}.seg", 0))
}

type Content = Arc<Mutex<Vec<u8>>>;

/// Files in memory.
#[derive(Debug, Default, Clone)]
pub struct Files(Arc<Mutex<BTreeMap<PathBuf, Content>>>);

impl Files {
    /// Other files with the same content.
    pub fn copy(&self) -> Self {
        let files = self.0.lock().unwrap();
        let copy = files.iter().map(|(path, content)| {
            (path.clone(), Arc::new(Mutex::new(content.lock().unwrap().clone())))
        });
        Self(Arc::new(Mutex::new(copy.collect())))
    }

    /// Puts a file in its place.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        self.0.lock().unwrap().insert(path.to_owned(), Arc::new(Mutex::new(bytes.to_vec())));
    }

    /// Whether there is a file or a folder of this name, or a file in place of one of its folders.
    pub fn has(&self, path: &Path) -> bool {
        self.0.lock().unwrap().keys().any(|it| it.starts_with(path) || path.starts_with(it))
    }

    /// What a file holds.
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        self.read(path).ok()
    }

    fn content(&self, path: &Path) -> io::Result<Content> {
        self.0.lock().unwrap().get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for Files {
    fn create_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.put(path, &[]);
        Ok(Box::new(Handle(self.content(path)?)))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(self.content(path)?.lock().unwrap().clone())
    }

    fn read_range(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let content = self.content(path)?;
        let bytes = content.lock().unwrap();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        Ok(bytes[start..start.saturating_add(len).min(bytes.len())].to_vec())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let (mut all, mut found) = (BTreeSet::new(), path == dir());
        for name in self.0.lock().unwrap().keys() {
            let Ok(rest) = name.strip_prefix(path) else { continue };
            let mut parts = rest.iter();
            if let Some(first) = parts.next() {
                found = true;
                all.insert((first.to_string_lossy().into_owned(), parts.next().is_some()));
            }
        }
        if !found {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(all.into_iter().map(|(name, folder)| Entry { name, folder }).collect())
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(self.content(path)?.lock().unwrap().len() as u64)
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        self.content(path)?.lock().unwrap().truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let content = self.content(from)?;
        let mut files = self.0.lock().unwrap();
        files.remove(from);
        files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.lock().unwrap().remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn barrier(&self, _: &Path) -> io::Result<Box<dyn Barrier>> {
        Ok(Box::new(Always))
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Guard>> {
        self.create(path)?;
        Ok(Box::new(Locked))
    }
}

#[derive(Debug)]
struct Locked;

impl Guard for Locked {}

#[derive(Debug)]
struct Always;

impl Barrier for Always {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct Handle(Content);

impl File for Handle {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.lock().unwrap().truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }
}

/// A ledger of three requests, one of them denied and one completed later, and an administrative act, closed in
/// order. `examples/ledger.rs` wrote it; what it holds is fixed, so that an input means the same in each run.
#[derive(Debug)]
pub struct Original {
    /// Its files.
    pub files: Files,
    /// The key that signed it.
    pub key: VerifierKey,
    /// What a check of it says.
    pub report: VerifyReport,
    /// Its events.
    pub events: Vec<Event>,
}

impl Original {
    /// Reads it.
    pub fn read() -> Self {
        let files = Files::default();
        for (name, bytes) in FIXTURE {
            files.put(&dir().join(name), bytes);
        }
        let keys = files.bytes(&dir().join("keys")).expect("a key");
        let key = std::str::from_utf8(&keys).expect("text").trim().parse().expect("a key");
        let report = verify_with(&files, dir(), Some(&key)).expect("readable");
        let events = events(&files).expect("readable");
        assert!(
            report.ok && report.closed && report.entries == 5 && events.len() == 5,
            "{report:?}"
        );
        Self { files, key, report, events }
    }
}

/// All events, in order.
pub fn events(files: &Files) -> Option<Vec<Event>> {
    let reader = Reader::on(Arc::new(files.clone()), dir().to_owned());
    Some(reader.recent(usize::MAX, |_| true).ok()?.0)
}
