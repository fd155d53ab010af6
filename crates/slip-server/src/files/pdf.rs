//! PDFs are read by a process of their own: whatever a file does to its reader (endless recursion, a gigabyte out of a kilobyte, a
//! panic), it does it there, and is ended after a while.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// The command line's word for [`child`].
pub const WORD: &str = "read-pdf";
/// At once, in this process.
static READERS: Semaphore = Semaphore::const_new(2);
const PATIENCE: Duration = Duration::from_secs(15);
/// For a place.
const QUEUE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(5);
/// Resident memory of a reader.
const MAX_MEMORY: u64 = 512 * 1024 * 1024;
/// What a reader may say, and of how many pages.
const MAX_SAID: u64 = 16 * 1024 * 1024;
const MAX_PAGES: usize = 1000;

/// The text of each page.
pub async fn read(bytes: Vec<u8>) -> Result<Vec<String>, String> {
    let Ok(Ok(place)) = timeout(QUEUE, READERS.acquire()).await else {
        return Err("no reader is free; try again".to_owned());
    };
    let done = spawn_blocking(move || {
        // Kept by the work and not by who waits for it: a caller who leaves frees no place.
        let _place = place;
        parent(&bytes)
    });
    done.await.unwrap_or_else(|_| Err("its reader broke".to_owned()))
}

fn parent(bytes: &[u8]) -> Result<Vec<String>, String> {
    // The running binary, even when its file has been replaced since.
    let own =
        if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe().unwrap_or_default() };
    let mut command = Command::new(own);
    command.arg(WORD).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|_| "its reader could not be started".to_owned())?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // It may end before it has read everything.
            let _ = stdin.map(|mut stdin| stdin.write_all(bytes));
        });
        let hearing = scope.spawn(move || {
            let mut said = Vec::new();
            let heard = stdout.map(|stdout| stdout.take(MAX_SAID).read_to_end(&mut said));
            heard.is_some_and(|heard| heard.is_ok()).then_some(said)
        });
        let ended = watch(&mut child);
        // Whoever still runs holds the pipes open.
        let _ = child.kill();
        let _ = child.wait();
        let said = hearing.join().ok().flatten().unwrap_or_default();
        ended?;
        serde_json::from_slice(&said).map_err(|_| "it is not a PDF that can be read".to_owned())
    })
}

fn watch(child: &mut Child) -> Result<(), String> {
    let mut left = PATIENCE;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(_)) | Err(_) => return Err("it is not a PDF that can be read".to_owned()),
            Ok(None) => {}
        }
        if memory(child.id()).is_some_and(|bytes| bytes > MAX_MEMORY) {
            return Err("reading it takes too much memory".to_owned());
        }
        left =
            left.checked_sub(LOOK).ok_or_else(|| format!("reading it takes longer than {} s", PATIENCE.as_secs()))?;
        std::thread::sleep(LOOK);
    }
}

/// Resident bytes of a process, where the system tells.
fn memory(pid: u32) -> Option<u64> {
    const PAGE: u64 = 4096;
    let told = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    Some(told.split(' ').nth(1)?.parse::<u64>().ok()? * PAGE)
}

/// The reader: a PDF on standard input, its pages as a list of strings on standard output.
pub fn child() -> ExitCode {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(super::MAX_BYTES as u64 + 1).read_to_end(&mut bytes);
    let pages = match read {
        Ok(_) => pdf_extract::extract_text_from_mem_by_pages(&bytes),
        Err(_) => return ExitCode::FAILURE,
    };
    let Ok(pages) = pages else { return ExitCode::FAILURE };
    let pages: Vec<&str> = pages.iter().take(MAX_PAGES).map(|page| page.trim()).collect();
    let said = serde_json::to_vec(&pages).unwrap_or_default();
    match std::io::stdout().lock().write_all(&said) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
