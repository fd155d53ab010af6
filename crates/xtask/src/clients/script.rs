//! Running one script of checks and counting what it reports.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Settings of the caller that would send a library to another address, or make it say something else.
const FOREIGN: &[&str] = &[
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "OPENAI_LOG",
    "OPENROUTER_API_KEY",
    "OPENROUTER_API_BASE",
    "OPENROUTER_BASE_URL",
    "LITELLM_LOG",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
    "AWS_BEARER_TOKEN_BEDROCK",
    "NODE_OPTIONS",
    "PYTHONPATH",
];

#[derive(Default)]
pub struct Tally {
    pub passed: u32,
    pub failed: u32,
}

impl Tally {
    pub fn check(&mut self, name: &str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => {
                println!("ok {name}");
                self.passed += 1;
            }
            Err(why) => {
                println!("FAIL {name}: {why}");
                self.failed += 1;
            }
        }
    }
}

pub struct Script {
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(&'static str, &'static str)>,
    dir: Option<PathBuf>,
}

/// How a program ended, with what it printed.
pub struct Ended {
    pub lines: Vec<String>,
    /// Why it counts as a failure, if it does.
    pub trouble: Option<String>,
}

impl Script {
    pub fn new(name: &str, program: impl Into<PathBuf>) -> Script {
        Script { name: name.to_owned(), program: program.into(), args: Vec::new(), env: Vec::new(), dir: None }
    }

    pub fn arg(mut self, arg: impl Into<OsString>) -> Script {
        self.args.push(arg.into());
        self
    }

    pub fn env(mut self, name: &'static str, value: &'static str) -> Script {
        self.env.push((name, value));
        self
    }

    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Script {
        self.dir = Some(dir.into());
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Run it, repeat what it says, and count its checks. It fails as a whole when it ends badly without having said which check
    /// failed, and when it checks nothing.
    pub fn run(&self, env: &[(&str, &str)], limit: Duration, tally: &mut Tally) {
        let (mut passed, mut failed, mut skipped) = (0, 0, false);
        let ended = self.execute(env, limit, |line| {
            println!("{line}");
            passed += u32::from(line.starts_with("ok "));
            failed += u32::from(line.starts_with("FAIL "));
            skipped |= line.starts_with("skipped: ");
        });
        tally.passed += passed;
        tally.failed += failed;
        match ended.trouble {
            Some(why) if failed == 0 => tally.check(&self.name, Err(why)),
            None if passed + failed == 0 && !skipped => tally.check(&self.name, Err("it checked nothing".to_owned())),
            _ => {}
        }
    }

    /// Run it to its end, or to the end of its time.
    pub fn execute(&self, env: &[(&str, &str)], limit: Duration, mut each: impl FnMut(&str)) -> Ended {
        let mut lines = Vec::new();
        let trouble = match self.spawn(env) {
            Err(e) => Some(format!("{} could not be started: {e}", self.program.display())),
            Ok(mut child) => self.follow(&mut child, limit, |line| {
                each(&line);
                lines.push(line);
            }),
        };
        Ended { lines, trouble }
    }

    fn spawn(&self, env: &[(&str, &str)]) -> std::io::Result<Child> {
        let mut command = Command::new(&self.program);
        for name in FOREIGN {
            command.env_remove(name);
        }
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command.args(&self.args).envs(env.iter().copied()).envs(self.env.iter().copied());
        // A group of its own, so that whatever it started ends with it.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0).spawn()
    }

    fn follow(&self, child: &mut Child, limit: Duration, mut each: impl FnMut(String)) -> Option<String> {
        let Some(out) = child.stdout.take() else { return Some("it has no standard output".to_owned()) };
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).split(b'\n').map_while(Result::ok) {
                let _ = send.send(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
        });
        let end = now() + limit;
        loop {
            match receive.recv_timeout(end.saturating_duration_since(now())) {
                Ok(line) => each(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => return Some(kill(child, limit)),
            }
        }
        match until(end.saturating_duration_since(now()), || child.try_wait().ok().flatten()) {
            Some(status) if status.success() => None,
            Some(status) => Some(format!("it ended with {status}")),
            None => Some(kill(child, limit)),
        }
    }
}

fn kill(child: &mut Child, limit: Duration) -> String {
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
    let _ = child.kill();
    let _ = child.wait();
    format!("it did not end within {} s", limit.as_secs())
}

/// What `ready` gives once it gives something, or nothing after that time.
pub fn until<T>(limit: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let end = now() + limit;
    loop {
        if let Some(value) = ready() {
            return Some(value);
        }
        if now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[allow(clippy::disallowed_methods, reason = "a deadline for other programs; nothing is tested with it")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(shell: &str) -> (u32, u32) {
        let mut tally = Tally::default();
        Script::new("test", "sh").arg("-c").arg(shell).run(&[], Duration::from_secs(2), &mut tally);
        (tally.passed, tally.failed)
    }

    #[test]
    fn checks_are_counted_and_so_is_whatever_goes_wrong() {
        for (shell, expected) in [
            ("echo ok one; echo ok two", (2, 0)),
            ("echo ok one; echo FAIL two: why; exit 1", (1, 1)),
            ("echo ok one; echo crash; exit 3", (1, 1)),
            ("echo nothing checked", (0, 1)),
            ("echo 'skipped: no contract'", (0, 0)),
            ("echo ok one; kill -9 $$", (1, 1)),
            ("echo ok one; sleep 60", (1, 1)),
            ("echo ok one; sleep 60 & wait", (1, 1)),
        ] {
            assert_eq!(counted(shell), expected, "{shell}");
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_a_failure() {
        let mut tally = Tally::default();
        Script::new("test", "/nowhere/at/all").run(&[], Duration::from_secs(2), &mut tally);
        assert_eq!((tally.passed, tally.failed), (0, 1));
    }
}
