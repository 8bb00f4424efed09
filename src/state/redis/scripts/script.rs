//! One script, by its hash, and in full where the server doesn't know it yet.

use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, ServerErrorKind};

use crate::state::redis::connect::Connection;

#[derive(Debug)]
pub(super) struct Script {
    code: &'static str,
    hash: String,
}

impl Script {
    pub(super) fn new(code: &'static str) -> Self {
        Self {
            code,
            hash: redis::Script::new(code).get_hash().to_owned(),
        }
    }

    /// Runs it at the server of these keys. Not by `SCRIPT LOAD`, which a cluster's client sends to all servers: one that
    /// is down would keep the others from learning it.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        connection: &mut Connection,
        keys: &[Vec<u8>],
        arguments: &[Vec<u8>],
    ) -> RedisResult<T> {
        let question = |command: &str, script: &str| -> Cmd {
            let mut question = redis::cmd(command);
            question.arg(script).arg(keys.len());
            for word in keys.iter().chain(arguments) {
                question.arg(word.as_slice());
            }
            question
        };
        let answer = question("EVALSHA", &self.hash).query_async(connection).await;
        let unknown =
            |error: &redis::RedisError| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript);
        match answer {
            Err(error) if unknown(&error) => question("EVAL", self.code).query_async(connection).await,
            answer => answer,
        }
    }
}
