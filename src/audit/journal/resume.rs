//! Where a journal stopped: read off the end of its files, and mended there.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::fs::FileExt as _;

use jiff::Timestamp;

use crate::audit::chain::{Link, Sealed};
use crate::audit::checkpoint::Checkpoint;
use crate::audit::event::Read;
use crate::audit::place::Place;

/// How much of a file's end is looked at: room for many lines.
const WINDOW: u64 = 1 << 20;

/// What a file says of where it begins and ends.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Its last line of the chain.
    pub(super) last: Option<Link>,
    /// Its first line: number and time.
    pub(super) first: Option<(u64, Timestamp)>,
    /// What follows its last newline.
    pub(super) torn: Vec<u8>,
}

impl Ends {
    /// Reads both ends; the middle is not looked at.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let begin = length.saturating_sub(WINDOW);
        let size = usize::try_from(length.saturating_sub(begin)).map_err(io::Error::other)?;
        let mut tail = vec![0; size];
        file.read_exact_at(&mut tail, begin)?;
        let whole = tail
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end.saturating_add(1));
        let mut torn = tail.split_off(whole);
        if whole == 0 && begin > 0 {
            // No line of ours is as long: whatever this is, it is not a line that we broke off.
            torn.clear();
        }
        let last = tail
            .rsplit(|byte| *byte == b'\n')
            .find_map(Sealed::read)
            .map(|line| line.link);
        Ok(Self {
            last,
            first: first(file, length)?,
            torn,
        })
    }
}

fn first(file: &File, length: u64) -> io::Result<Option<(u64, Timestamp)>> {
    let size = usize::try_from(length.min(WINDOW)).map_err(io::Error::other)?;
    let mut head = vec![0; size];
    file.read_exact_at(&mut head, 0)?;
    let Some(line) = head.split(|byte| *byte == b'\n').next() else {
        return Ok(None);
    };
    let sealed = Sealed::read(line);
    Ok(sealed.and_then(|sealed| Some((sealed.link.seq, Read::line(line).time?))))
}

/// How far the journal was before its current file: by its checkpoint, and by the last file that was put aside.
pub(super) fn before(place: &Place) -> io::Result<Link> {
    let checkpoint = Checkpoint::of(place).unwrap_or_else(|error| {
        tracing::warn!(%error, path = %place.checkpoint().display(), "the audit's checkpoint can't be read");
        None
    });
    let mut link = checkpoint.map_or(Link::NONE, |checkpoint| checkpoint.0);
    let old = place.old_files()?.into_iter().map(|old| old.path);
    for path in old.rev().take(1).chain(place.moved_files()?) {
        if let Some(last) = last_of(&path)?.filter(|last| last.seq > link.seq) {
            link = last;
        }
    }
    Ok(link)
}

/// The last line of a file that is not compressed. One that is was put aside long enough ago for a checkpoint.
fn last_of(path: &std::path::Path) -> io::Result<Option<Link>> {
    let file = match File::open(path) {
        Ok(file) => file,
        // Compressed or removed in the meantime.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let packed = BufReader::new(&file).fill_buf()?.starts_with(&[0x1f, 0x8b]);
    if packed || !file.metadata()?.is_file() {
        return Ok(None);
    }
    Ok(Ends::of(&file)?.last)
}
