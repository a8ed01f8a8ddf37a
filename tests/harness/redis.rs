//! A private Redis on a free port that keeps nothing on disk.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

use crate::leftovers::{self, Stop};
use crate::program::signal;
use crate::wait;

/// A running Redis.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    folder: TempDir,
    child: Option<Child>,
}

impl Redis {
    /// The server that the tests of this process share; none of them may stop or flush it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Redis> = OnceLock::new();
        SHARED.get_or_init(Self::private)
    }

    /// A server of one's own, for a test that stops or flushes it.
    ///
    /// # Panics
    ///
    /// When no Redis is installed or it does not start.
    pub fn private() -> Self {
        let folder = leftovers::folder("redis");
        let mut redis = Self { port: leftovers::free_port(), folder, child: None };
        for _ in 0..5 {
            if redis.launch() {
                return redis;
            }
            redis.port = leftovers::free_port(); // somebody took it in between
        }
        panic!("Redis does not start: {}", redis.log())
    }

    /// Where it listens, also while it is stopped.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Kills it: connections break, and everything it knew is gone.
    ///
    /// # Panics
    ///
    /// When the process cannot be waited for.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("our own child");
            child.wait().expect("our own child");
            leftovers::release(child.id());
        }
    }

    /// Starts it again, empty, on the same port.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start(&mut self) {
        self.stop();
        assert!(self.launch(), "Redis does not start again: {}", self.log());
    }

    /// Freezes it: connections stay open and nothing answers.
    ///
    /// # Panics
    ///
    /// When it is not running.
    pub fn freeze(&self) {
        signal(&[self.pid()], "STOP");
    }

    /// Goes on after [`Self::freeze`], with all that was sent to it meanwhile.
    ///
    /// # Panics
    ///
    /// When it is not running.
    pub fn thaw(&self) {
        signal(&[self.pid()], "CONT");
    }

    fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running Redis").id()
    }

    /// Forgets every key, as an operator's FLUSHALL does.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub fn flush(&self) {
        assert_eq!(self.command("FLUSHALL").as_deref(), Some("+OK"), "FLUSHALL");
    }

    /// The text under a key; `None` when there is none, or nobody answers.
    pub fn get(&self, key: &str) -> Option<String> {
        let (length, mut stream) = self.ask(&format!("GET {key}"))?;
        let mut text = vec![0; length.strip_prefix('$')?.parse().ok()?]; // $-1: not there
        stream.read_exact(&mut text).ok()?;
        String::from_utf8(text).ok()
    }

    /// Sends one inline command and returns the first line of the answer; `None` when nobody answers.
    pub fn command(&self, words: &str) -> Option<String> {
        self.ask(words).map(|(line, _)| line)
    }

    /// The first line of an answer, and where the rest comes from.
    fn ask(&self, words: &str) -> Option<(String, TcpStream)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(format!("{words}\r\n").as_bytes()).ok()?;
        let mut line = Vec::new();
        let mut byte = [0_u8];
        while stream.read(&mut byte).ok()? == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        Some((String::from_utf8_lossy(&line).trim_end().to_owned(), stream))
    }

    /// False when the process ended before it answered: the port was taken.
    fn launch(&mut self) -> bool {
        let mut child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--logfile", "log", "--dir"])
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is not installed: tests/run installs it");
        leftovers::adopt(child.id(), Stop::Kill);
        let answered = wait::blocking(wait::PATIENCE, || {
            if child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return Some(false);
            }
            (self.command("PING").as_deref() == Some("+PONG")).then_some(true)
        });
        self.child = Some(child);
        let up = answered == Some(true);
        if !up {
            self.stop();
        }
        up
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_else(|error| format!("no log: {error}"))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_server_comes_back_empty_on_the_same_port() {
        let mut redis = Redis::private();
        let url = redis.url();
        assert_eq!(redis.command("SET key value").as_deref(), Some("+OK"));
        redis.stop();
        assert_eq!(redis.command("PING"), None);
        redis.start();
        assert_eq!(redis.url(), url);
        assert_eq!(redis.command("EXISTS key").as_deref(), Some(":0"));
        redis.command("SET key value");
        redis.flush();
        assert_eq!(redis.command("DBSIZE").as_deref(), Some(":0"));
    }
}
