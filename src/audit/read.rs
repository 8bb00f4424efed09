//! A journal's files, read in the order of their lines, plain or compressed.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::chain::Sealed;
use super::place::Place;

/// How often the list of files is read again because one was renamed in the meantime.
const ATTEMPTS: usize = 5;

/// A file of a journal, opened.
pub struct Source {
    /// Where it was found.
    pub path: PathBuf,
    lines: Box<dyn BufRead + Send>,
    /// Its first line, read before to put the files in order, and whether it has an end.
    peeked: Option<io::Result<Option<Line>>>,
    order: u64,
    /// Device and inode.
    identity: (u64, u64),
}

/// One line, without its newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its text.
    pub text: Vec<u8>,
    /// Whether a newline followed.
    pub ended: bool,
}

impl Source {
    /// Opens one file.
    ///
    /// # Errors
    /// It can't be opened or read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let found = file.metadata()?;
        let mut plain = BufReader::new(file);
        let packed = plain.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let lines: Box<dyn BufRead + Send> = if packed {
            Box::new(BufReader::new(MultiGzDecoder::new(plain)))
        } else {
            Box::new(plain)
        };
        let mut source = Self {
            path: path.to_owned(),
            lines,
            peeked: None,
            order: u64::MAX,
            identity: (found.dev(), found.ino()),
        };
        // What can't be decompressed is told when its lines are asked for.
        let first = source.read_line();
        if let Ok(Some(line)) = &first
            && let Some(sealed) = Sealed::read(&line.text)
        {
            source.order = sealed.link.seq;
        }
        source.peeked = Some(first);
        Ok(source)
    }

    /// The next line.
    ///
    /// # Errors
    /// It can't be read or decompressed.
    pub fn next_line(&mut self) -> io::Result<Option<Line>> {
        match self.peeked.take() {
            Some(first) => first,
            None => self.read_line(),
        }
    }

    /// The number of its first line; of one that has none yet, more than any.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.order
    }

    /// Whether its path leads to another file by now.
    #[must_use]
    pub fn was_replaced(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|here| (here.dev(), here.ino()) != self.identity)
    }

    fn read_line(&mut self) -> io::Result<Option<Line>> {
        let mut text = Vec::new();
        if self.lines.read_until(b'\n', &mut text)? == 0 {
            return Ok(None);
        }
        let ended = text.last() == Some(&b'\n');
        if ended {
            text.pop();
        }
        Ok(Some(Line { text, ended }))
    }
}

/// All files of a journal, in the order of their lines.
///
/// # Errors
/// One can't be opened, or they are renamed faster than they are opened.
pub fn journal(place: &Place) -> io::Result<Vec<Source>> {
    let mut attempts = ATTEMPTS;
    loop {
        attempts = attempts.saturating_sub(1);
        match open_all(place) {
            // Put aside or compressed since the folder was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound && attempts > 0 => {}
            result => return result,
        }
    }
}

fn open_all(place: &Place) -> io::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for old in place.old_files()? {
        let mut source = Source::open(&old.path)?;
        // A first line that was tampered with doesn't move its file.
        source.order = source.order.min(old.first);
        sources.push(source);
    }
    for path in place.moved_files()? {
        sources.push(Source::open(&path)?);
    }
    match Source::open(place.current()) {
        Ok(source) => sources.push(source),
        // Between two files of a rotation there is none; a journal without any file is none.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !sources.is_empty() => {}
        Err(error) => return Err(error),
    }
    sources.sort_by_key(|source| source.order);
    Ok(sources)
}
