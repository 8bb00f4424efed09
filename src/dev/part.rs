//! A part that runs as a process of its own: started, watched until it is ready, stopped by its process id.

use std::fs::File;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

/// How long a part may take to be ready on a busy machine.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// How long a part may take to end once it is told to.
const STOPPED_WITHIN: Duration = Duration::from_secs(10);

/// How often it is asked.
const POLL: Duration = Duration::from_millis(20);

/// Runs the part and ends it when the one who started it is gone, however that happened: our end of the pipe on
/// its stdin closes even if we are killed. Ends it by its process id, with TERM first.
const GUARD: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
part=$!
{
  read -r _
  kill -TERM "$part"
  tries=0
  while kill -0 "$part" && [ "$tries" -lt 50 ]; do tries=$((tries + 1)); sleep 0.1; done
  kill -KILL "$part"
} <&3 >/dev/null 2>&1 &
exec 3<&-
wait "$part"
"#;

/// Why a part isn't there.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// It can't be started.
    #[error("can't start {name}: {source}")]
    Start {
        /// Which.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ended by itself.
    #[error("{name} ended ({status}); the end of its log `{log}`:\n{tail}")]
    Ended {
        /// Which.
        name: String,
        /// How.
        status: ExitStatus,
        /// Where it wrote its log.
        log: PathBuf,
        /// The last lines.
        tail: String,
    },
    /// It isn't ready in time.
    #[error("{name} is not ready after {} s; the end of its log `{log}`:\n{tail}", READY_WITHIN.as_secs())]
    NotReady {
        /// Which.
        name: String,
        /// Where it wrote its log.
        log: PathBuf,
        /// The last lines.
        tail: String,
    },
    /// No port can be had.
    #[error("no free port on loopback")]
    NoPort,
    /// The issuer can't listen.
    #[error("can't listen on loopback: {0}")]
    Listen(std::io::Error),
}

/// A running process; it ends when this is dropped.
#[derive(Debug)]
pub struct Part {
    name: String,
    child: Child,
    /// Closing it ends the part.
    lifeline: Option<ChildStdin>,
    log: PathBuf,
}

impl Part {
    /// Starts a program; what it writes goes to `log`.
    ///
    /// # Errors
    /// [`PartError::Start`].
    pub fn start(name: &str, program: &Command, log: &Path) -> Result<Self, PartError> {
        let failed = |source| PartError::Start {
            name: name.to_owned(),
            source,
        };
        let output = File::create(log).map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        let mut command = Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(GUARD)
            .arg(name)
            .arg(program.get_program())
            .args(program.get_args());
        for (key, value) in program.get_envs() {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        if let Some(directory) = program.get_current_dir() {
            command.current_dir(directory);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(failed)?;
        let lifeline = child.stdin.take();
        Ok(Self {
            name: name.to_owned(),
            child,
            lifeline,
            log: log.to_owned(),
        })
    }

    /// Waits until `ready` says so: asked again and again, with the log in the error if it never does.
    ///
    /// # Errors
    /// [`PartError`] if the process ends or the time is over.
    pub async fn ready<F>(&mut self, mut ready: impl FnMut() -> F) -> Result<(), PartError>
    where
        F: Future<Output = bool>,
    {
        let mut ticks = ticks();
        let deadline = deadline(READY_WITHIN);
        loop {
            if let Some(status) = self.ended()? {
                return Err(PartError::Ended {
                    name: self.name.clone(),
                    status,
                    log: self.log.clone(),
                    tail: self.log_tail(),
                });
            }
            if let Ok(true) = tokio::time::timeout_at(deadline, ready()).await {
                return Ok(());
            }
            if tokio::time::timeout_at(deadline, ticks.tick()).await.is_err() {
                return Err(PartError::NotReady {
                    name: self.name.clone(),
                    log: self.log.clone(),
                    tail: self.log_tail(),
                });
            }
        }
    }

    /// Tells it to end and waits until it did.
    pub async fn stop(&mut self) {
        self.lifeline = None;
        let mut ticks = ticks();
        let deadline = deadline(STOPPED_WITHIN);
        while matches!(self.ended(), Ok(None)) {
            if tokio::time::timeout_at(deadline, ticks.tick()).await.is_err() {
                return;
            }
        }
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// [`PartError::Start`] if the system doesn't say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, PartError> {
        let failed = |source| PartError::Start {
            name: self.name.clone(),
            source,
        };
        self.child.try_wait().map_err(failed)
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines that it wrote.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let mut text = Vec::new();
        let _ = File::open(&self.log).and_then(|mut file| file.read_to_end(&mut text));
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines
            .get(lines.len().saturating_sub(30)..)
            .unwrap_or_default()
            .join("\n")
    }
}

/// So many free TCP ports on loopback, none of them handed out twice by this process.
///
/// Below what systems hand out for port 0 and for outgoing connections: until a part binds its port, nobody else is
/// given it by chance.
///
/// # Errors
/// [`PartError::NoPort`].
pub fn free_ports<const N: usize>() -> Result<[u16; N], PartError> {
    let mut ports = [0; N];
    for port in &mut ports {
        *port = free_port().ok_or(PartError::NoPort)?;
    }
    Ok(ports)
}

/// The ports that are tried, and how many there are.
const FIRST_PORT: u32 = 20_000;
const PORTS: u32 = 12_000;

fn free_port() -> Option<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes side by side begin at different places.
    let start = std::process::id().wrapping_mul(97);
    (0..PORTS)
        .map(|_| start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)))
        .filter_map(|count| u16::try_from(FIRST_PORT.wrapping_add(count.checked_rem(PORTS)?)).ok())
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
}

/// Whether something accepts connections there.
pub async fn accepts(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    tokio::net::TcpStream::connect(address).await.is_ok()
}

/// Whether an HTTP server on loopback answers 200 there.
pub async fn answers_ok(port: u16, path: &str) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else {
        return false;
    };
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: close\r\n\r\n");
    let mut answer = [0; 12];
    stream.write_all(request.as_bytes()).await.is_ok()
        && stream.read_exact(&mut answer).await.is_ok()
        && &answer == b"HTTP/1.1 200"
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn deadline(after: Duration) -> Instant {
    let now = Instant::from_std(crate::clock::instant());
    now.checked_add(after).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn says_how_a_part_ended_and_shows_its_log() {
        let directory = tempfile::tempdir().unwrap();
        let mut program = Command::new("/bin/sh");
        program.args(["-c", "echo out of luck; exit 3"]);
        let mut part = Part::start("luckless", &program, &directory.path().join("log")).unwrap();
        let error = part.ready(async || false).await.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("luckless ended (exit status: 3)"), "{text}");
        assert!(text.ends_with("out of luck"), "{text}");
    }

    #[tokio::test]
    async fn a_stopped_part_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut program = Command::new("/bin/sh");
        program.args(["-c", "echo $$; exec sleep 60"]);
        let mut part = Part::start("sleeper", &program, &log).unwrap();
        part.ready(async || std::fs::read_to_string(&log).is_ok_and(|text| text.ends_with('\n')))
            .await
            .unwrap();
        let pid = part.log_tail();
        part.stop().await;
        assert!(part.ended().unwrap().is_some());
        assert!(!Path::new("/proc").join(pid).exists());
    }
}
