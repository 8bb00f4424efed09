//! Lines that a write broke off are mended.

use std::sync::{Arc, Mutex};

use super::*;

/// Holds what was written; takes `room` more bytes, then fails.
#[derive(Debug, Clone, Default)]
struct Tight(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    text: Vec<u8>,
    room: usize,
    can_cut: bool,
    can_sync: bool,
    syncs: usize,
}

impl Sink for Tight {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.0.lock().unwrap();
        let count = bytes.len().min(inner.room);
        if count == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        inner.room = inner.room.saturating_sub(count);
        inner.text.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn cut(&mut self, tail: &[u8]) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        if !inner.can_cut {
            return Err(io::ErrorKind::Unsupported.into());
        }
        assert!(inner.text.ends_with(tail));
        let shorter = inner.text.len().saturating_sub(tail.len());
        inner.text.truncate(shorter);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        inner.syncs = inner.syncs.saturating_add(1);
        if inner.can_sync {
            Ok(())
        } else {
            Err(io::ErrorKind::Other.into())
        }
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        Ok((0, 0))
    }
}

/// Writes two lines into a sink with room for the first and a part of the second.
fn fill(can_cut: bool) -> (Tight, Target) {
    let tight = Tight::default();
    *tight.0.lock().unwrap() = Inner {
        room: 7,
        can_cut,
        ..Inner::default()
    };
    let mut target = Target::new(Box::new(tight.clone()), None);
    assert!(target.write(b"one\nseventeen\n").is_err());
    (tight, target)
}

#[test]
fn what_did_not_fit_is_cut_off_again() {
    let (tight, mut target) = fill(true);
    assert_eq!(tight.0.lock().unwrap().text, b"");
    assert!(!target.has_begun());
    tight.0.lock().unwrap().room = 100;
    target.write(b"one\nseventeen\nthree\n").unwrap();
    assert_eq!(tight.0.lock().unwrap().text, b"one\nseventeen\nthree\n");
}

#[test]
fn what_cannot_be_cut_off_is_continued_where_it_stopped() {
    let (tight, mut target) = fill(false);
    assert_eq!(tight.0.lock().unwrap().text, b"one\nsev");
    tight.0.lock().unwrap().room = 2;
    assert!(target.has_begun());
    target.write(b"one\nseventeen\n").unwrap_err();
    assert_eq!(tight.0.lock().unwrap().text, b"one\nseven");
    tight.0.lock().unwrap().room = 100;
    target.write(b"one\nseventeen\n").unwrap();
    assert!(!target.has_begun());
    target.write(b"three\n").unwrap();
    assert_eq!(tight.0.lock().unwrap().text, b"one\nseventeen\nthree\n");
}

#[test]
fn what_a_failed_fsync_may_have_dropped_is_written_again_and_never_believed() {
    let (tight, mut target) = fill(true);
    tight.0.lock().unwrap().room = 100;
    target.write(b"one\n").unwrap();
    tight.0.lock().unwrap().can_cut = false;
    target.sync(b"one\n").unwrap_err();
    // A disk that takes no cut either: nothing more is written until it does.
    tight.0.lock().unwrap().can_sync = true;
    target.write(b"one\n").unwrap_err();
    assert_eq!(tight.0.lock().unwrap().text, b"one\n");
    tight.0.lock().unwrap().can_cut = true;
    target.write(b"one\n").unwrap();
    target.sync(b"one\n").unwrap();
    assert_eq!(tight.0.lock().unwrap().text, b"one\n");
    assert_eq!(tight.0.lock().unwrap().syncs, 2);
}

#[test]
fn only_our_own_half_line_is_cut_off_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let (mut file, ..) = open_file(&Place::new(&path), &mut None).unwrap();
    file.write(b"one\nhal").unwrap();
    file.cut(b"hal").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"one\n");
    assert!(file.cut(b"xy\n").is_err());
    assert!(file.cut(b"longer than all of it\n").is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"one\n");
}
