//! A real Redis of a test's own: started, stopped, restarted, asked. Also a part of the black-box tests.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A `redis-server` on a socket in a folder of its own.
pub(crate) struct Server {
    child: Option<Child>,
    folder: tempfile::TempDir,
    arguments: Vec<String>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let server = Self::with(&[]);
        server.wait();
        server
    }

    /// Without waiting until it can be asked.
    pub(crate) fn with(arguments: &[String]) -> Self {
        let mut server = Self::not_started(arguments);
        server.again();
        server
    }

    pub(crate) fn not_started(arguments: &[String]) -> Self {
        Self {
            child: None,
            folder: tempfile::tempdir().unwrap(),
            arguments: arguments.to_vec(),
        }
    }

    /// Starts it, also after [`Server::kill`]: with the snapshot that it saved, if it did.
    pub(crate) fn again(&mut self) {
        let folder = self.folder.path();
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(self.socket())
            .arg("--dir")
            .arg(folder)
            .args(&self.arguments)
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("`apt-get install redis-server`: {error}"));
        self.child = Some(child);
    }

    /// Until it takes connections.
    #[expect(
        clippy::disallowed_methods,
        reason = "a server says nothing when it takes connections"
    )]
    pub(crate) fn wait(&self) {
        for _ in 0..3000 {
            if UnixStream::connect(self.socket()).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("redis-server takes no connections");
    }

    /// At once: nothing more is written.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// It hears and says nothing more.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(sent.unwrap().success());
    }

    /// An operator's command.
    pub(crate) fn command(&self, words: &str) -> String {
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

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
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
