//! A real Redis of a test's own: started, stopped, restarted, asked.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::*;

/// A `redis-server` on a socket in a folder of its own.
pub(super) struct Server {
    child: Option<Child>,
    folder: tempfile::TempDir,
    arguments: Vec<String>,
}

impl Server {
    pub(super) fn start() -> Self {
        let server = Self::with(&[]);
        server.wait();
        server
    }

    /// Without waiting until it can be asked.
    pub(super) fn with(arguments: &[String]) -> Self {
        let mut server = Self::not_started(arguments);
        server.again();
        server
    }

    pub(super) fn not_started(arguments: &[String]) -> Self {
        Self {
            child: None,
            folder: tempfile::tempdir().unwrap(),
            arguments: arguments.to_vec(),
        }
    }

    /// Starts it, also after [`Server::kill`]: with the snapshot that it saved, if it did.
    pub(super) fn again(&mut self) {
        let folder = self.folder.path();
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(self.socket())
            .arg("--dir")
            .arg(folder)
            .args(&self.arguments)
            .stdout(Stdio::null())
            .spawn()
            .expect("`redis-server` is needed: install the package `redis-server` (`apt-get install redis-server`)");
        self.child = Some(child);
    }

    /// Until it takes connections.
    #[expect(
        clippy::disallowed_methods,
        reason = "a server says nothing when it takes connections"
    )]
    pub(super) fn wait(&self) {
        for _ in 0..3000 {
            if UnixStream::connect(self.socket()).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("redis-server takes no connections");
    }

    /// At once: nothing more is written.
    pub(super) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// It hears and says nothing more.
    pub(super) fn freeze(&self) {
        self.signal("STOP");
    }

    pub(super) fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(sent.unwrap().success());
    }

    /// An operator's command.
    pub(super) fn command(&self, words: &str) -> String {
        let output = Command::new("redis-cli")
            .arg("-s")
            .arg(self.socket())
            .args(words.split(' '))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && !text.starts_with("ERR"),
            "{words}: {text}"
        );
        text
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub(super) fn settings(&self) -> RedisSettings {
        settings(&format!("redis+unix://{}", self.socket().display()))
    }

    /// One more replica of ours.
    pub(super) fn replica(&self) -> Arc<dyn Store> {
        Arc::new(Redis::start(self.settings(), Limits::default()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Patient ones: tests run on loaded machines.
pub(super) fn settings(url: &str) -> RedisSettings {
    RedisSettings {
        url: url.to_owned(),
        prefix: "test:".to_owned(),
        user: None,
        password_file: None,
        ca_file: None,
        timeout: Duration::from_secs(2),
        propagation: Duration::from_secs(8),
    }
}
