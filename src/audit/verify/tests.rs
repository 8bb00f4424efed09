//! Each way to tamper with a journal is seen, and the line is named.

use std::fs;
use std::path::Path;

use super::super::event::Event;
use super::super::place::Place;
use super::super::read;
use super::*;
use crate::clock;

/// A journal of three files: lines 1 to 5, 6 to 10, and 11 to 15 in the current one.
struct Written {
    folder: tempfile::TempDir,
    place: Place,
    files: Vec<PathBuf>,
    links: Vec<Link>,
}

fn record(id: u64) -> Vec<u8> {
    format!("{{\"decision_id\":\"{id}\",\"outcome\":\"allowed\"}}").into_bytes()
}

fn written() -> Written {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(&folder.path().join("audit.jsonl"));
    let (mut files, mut links, mut link) = (Vec::new(), Vec::new(), Link::NONE);
    for (first, last) in [(1, 5), (6, 10), (11, 15)] {
        let mut text = Vec::new();
        for seq in first..=last {
            let line = if seq == first {
                Event::opened(link).to_line(clock::now())
            } else {
                record(seq)
            };
            link = link.seal(&line, &mut text);
            links.push(link);
        }
        let path = if last == 15 {
            place.current().to_owned()
        } else {
            place.old(first, last, clock::now())
        };
        fs::write(&path, text).unwrap();
        files.push(path);
    }
    Checkpoint(link).write(&place, clock::now()).unwrap();
    Written {
        folder,
        place,
        files,
        links,
    }
}

impl Written {
    fn verify(&self) -> Report {
        let checkpoints: Vec<_> = Checkpoint::of(&self.place).unwrap().into_iter().collect();
        verify(read::journal(&self.place).unwrap(), &checkpoints, true)
    }

    /// Changes a file's lines.
    fn change(&self, file: usize, change: impl FnOnce(&mut Vec<String>)) {
        let text = fs::read_to_string(&self.files[file]).unwrap();
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        change(&mut lines);
        fs::write(&self.files[file], lines.concat()).unwrap();
    }

    /// What is broken: file, line, fault.
    fn broken(&self) -> (usize, u64, Fault) {
        let report = self.verify();
        let broken = report.broken.unwrap();
        let file = self.files.iter().position(|path| *path == broken.file).unwrap();
        (file, broken.line, broken.fault)
    }
}

#[test]
fn a_journal_as_it_was_written_holds_also_compressed() {
    let journal = written();
    let report = journal.verify();
    assert_eq!(report.broken, None);
    assert_eq!((report.first, report.last, report.lines), (Some(1), Some(15), 15));
    assert_eq!(report.hash, Some(journal.links[14].hash.to_string()));
    let plain = fs::read(&journal.files[1]).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packed, &plain).unwrap();
    fs::write(
        format!("{}.gz", journal.files[1].display()),
        packed.finish().unwrap(),
    )
    .unwrap();
    // Both are there for a moment, and count once.
    assert_eq!(journal.verify().broken, None);
    fs::remove_file(&journal.files[1]).unwrap();
    assert_eq!(journal.verify().broken, None);
}

#[test]
#[expect(clippy::too_many_lines, clippy::type_complexity, reason = "a table")]
fn the_first_line_that_was_tampered_with_is_named() {
    type Change = fn(&mut Vec<String>);
    let cases: [(&str, usize, Change, (usize, u64, Fault)); 10] = [
        (
            "a text",
            1,
            |lines| lines[2] = lines[2].replace("allowed", "denied "),
            (1, 3, Fault::Changed),
        ),
        (
            "the end of a line",
            1,
            |lines| lines[2] = lines[2].replace("\"hash\":\"", "\"hash\":\"0"),
            (1, 3, Fault::NotSealed),
        ),
        (
            "a hash",
            1,
            |lines| {
                let kept = lines[2].len() - 67;
                lines[2].truncate(kept);
                lines[2].extend(["0".repeat(64), "\"}\n".to_owned()]);
            },
            (1, 3, Fault::Changed),
        ),
        (
            "a line is gone",
            1,
            |lines| drop(lines.remove(2)),
            (1, 3, Fault::Missing),
        ),
        (
            "two are swapped",
            1,
            |lines| lines.swap(2, 3),
            (1, 3, Fault::Missing),
        ),
        (
            "one is there twice",
            1,
            |lines| lines.insert(2, lines[1].clone()),
            (1, 3, Fault::Repeated),
        ),
        (
            "a foreign line",
            0,
            |lines| lines.insert(1, "{}\n".to_owned()),
            (0, 2, Fault::NotSealed),
        ),
        (
            "the first line of all",
            0,
            |lines| drop(lines.remove(0)),
            (0, 1, Fault::HeadMissing),
        ),
        (
            "the end of an old file",
            0,
            |lines| lines.truncate(3),
            (1, 1, Fault::Missing),
        ),
        (
            "half a line of an old file",
            0,
            |lines| {
                lines[4].truncate(10);
            },
            (0, 5, Fault::Torn),
        ),
    ];
    for (name, file, change, expected) in cases {
        let journal = written();
        journal.change(file, change);
        assert_eq!(journal.broken(), expected, "{name}");
    }
}

#[test]
fn a_tail_that_was_cut_off_is_missed_by_the_checkpoint() {
    let journal = written();
    journal.change(2, |lines| lines.truncate(3));
    assert_eq!(journal.broken(), (2, 4, Fault::TailMissing));
    fs::remove_file(&journal.files[2]).unwrap();
    assert_eq!(journal.broken(), (1, 6, Fault::TailMissing));
}

#[test]
fn a_journal_that_was_written_anew_is_seen_by_a_checkpoint_kept_elsewhere() {
    let journal = written();
    let known = Checkpoint(journal.links[7]);
    // Whoever can write everything makes a chain that holds.
    let other = written();
    for (from, to) in other.files.iter().zip(&journal.files) {
        fs::copy(from, to).unwrap();
    }
    fs::copy(other.place.checkpoint(), journal.place.checkpoint()).unwrap();
    assert_eq!(journal.verify().broken, None);
    let report = verify(read::journal(&journal.place).unwrap(), &[known], true);
    let broken = report.broken.unwrap();
    assert_eq!(
        (broken.file, broken.line, broken.fault),
        (journal.files[1].clone(), 3, Fault::Rewritten)
    );
}

#[test]
fn old_files_are_missed_unless_retention_removed_them() {
    let journal = written();
    fs::remove_file(&journal.files[0]).unwrap();
    assert_eq!(journal.broken(), (1, 1, Fault::Missing));
    let mut text = fs::read(&journal.files[2]).unwrap();
    let retired = |through| {
        Event::Retired {
            through,
            files: Vec::new(),
        }
        .to_line(clock::now())
    };
    let link = journal.links[14].seal(&retired(4), &mut text);
    fs::write(&journal.files[2], &text).unwrap();
    assert_eq!(journal.broken(), (1, 1, Fault::Missing));
    let _ = link.seal(&retired(5), &mut text);
    fs::write(&journal.files[2], &text).unwrap();
    let report = journal.verify();
    assert_eq!((report.broken, report.first), (None, Some(6)));
    assert_eq!(report.notes, ["lines 1 to 5 are removed by retention"]);
}

#[test]
fn one_file_alone_holds_with_a_note_and_without_its_head_it_does_not() {
    let journal = written();
    let one = |path: &Path| verify(vec![Source::open(path).unwrap()], &[], false);
    let report = one(&journal.files[1]);
    assert_eq!((report.broken, report.lines), (None, 5));
    assert_eq!(report.notes, ["lines 1 to 5 are not in these files"]);
    journal.change(1, |lines| drop(lines.remove(0)));
    assert_eq!(one(&journal.files[1]).broken.unwrap().fault, Fault::HeadMissing);
}

#[test]
fn a_torn_last_line_is_no_tampering() {
    let journal = written();
    journal.change(2, |lines| lines.push("{\"time\":".to_owned()));
    let report = journal.verify();
    assert_eq!((report.broken, report.lines), (None, 15));
    assert!(
        report.notes[0].contains("the next start mends it"),
        "{:?}",
        report.notes
    );
}

#[test]
fn a_damaged_compressed_file_is_named() {
    let journal = written();
    fs::write(&journal.files[1], [0x1f, 0x8b, 8, 0, 1, 2, 3]).unwrap();
    assert_eq!(journal.broken(), (1, 1, Fault::Unreadable));
}

#[test]
fn files_of_another_rotation_are_found_and_put_in_order() {
    let journal = written();
    let moved = |number: u8| journal.folder.path().join(format!("audit.jsonl.{number}"));
    fs::rename(&journal.files[0], moved(2)).unwrap();
    fs::rename(&journal.files[1], moved(1)).unwrap();
    let report = journal.verify();
    assert_eq!((report.broken, report.lines), (None, 15));
    assert_eq!(report.files, [moved(2), moved(1), journal.files[2].clone()]);
}
