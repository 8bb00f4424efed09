//! A file in memory, for disks that are asleep, full or dead.

use std::io;
use std::sync::{Condvar, Mutex};

use super::super::target::Sink;
use super::*;

/// Its `fsync` waits or fails, and its writes fail, as it is told.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<(Mutex<Inner>, Condvar)>);

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
struct Inner {
    text: Vec<u8>,
    asleep: bool,
    fails: bool,
    full: bool,
    syncs: usize,
    syncing: bool,
}

impl Disk {
    fn change(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    pub(super) fn sleep(&self) {
        self.change(|disk| disk.asleep = true);
    }

    pub(super) fn wake(&self) {
        self.change(|disk| disk.asleep = false);
    }

    pub(super) fn fails(&self, fails: bool) {
        self.change(|disk| disk.fails = fails);
    }

    /// Waits until something is written.
    pub(super) async fn until_written(&self) {
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        while self.0.0.lock().unwrap().text.is_empty() {
            tick.tick().await;
        }
    }

    /// Waits until so many `fsync`s are over.
    pub(super) async fn until_synced(&self, syncs: usize) {
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        while self.syncs() < syncs {
            tick.tick().await;
        }
    }

    /// Waits until the writer waits for the disk.
    pub(super) async fn until_syncing(&self) {
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        while !self.0.0.lock().unwrap().syncing {
            tick.tick().await;
        }
    }

    pub(super) fn full(&self, full: bool) {
        self.change(|disk| disk.full = full);
    }

    pub(super) fn syncs(&self) -> usize {
        self.0.0.lock().unwrap().syncs
    }

    /// The decisions in it: id, outcome, reason.
    pub(super) fn decisions(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.0.lock().unwrap().text.clone()).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines
            .filter(|line| line["decision_id"].is_string())
            .map(|line| {
                let of = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
                format!(
                    "{} {} {} {}",
                    of("decision_id"),
                    of("outcome"),
                    of("reason"),
                    of("corrects")
                )
            })
            .collect()
    }
}

impl Sink for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut disk = self.0.0.lock().unwrap();
        if disk.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn cut(&mut self, tail: &[u8]) -> io::Result<()> {
        let mut disk = self.0.0.lock().unwrap();
        assert!(disk.text.ends_with(tail));
        let shorter = disk.text.len().saturating_sub(tail.len());
        disk.text.truncate(shorter);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.0.0.lock().unwrap();
        disk.syncing = true;
        self.0.1.notify_all();
        let mut disk = self.0.1.wait_while(disk, |disk| disk.asleep).unwrap();
        disk.syncing = false;
        disk.syncs = disk.syncs.saturating_add(1);
        // EIO, as a dead disk has it.
        if disk.fails {
            Err(io::Error::from_raw_os_error(5))
        } else {
            Ok(())
        }
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        Ok((0, 0))
    }
}
