//! Tool call ids as an upstream wants them: mapped the same way in calls and results.

use crate::quirks::ToolIds;
use std::collections::VecDeque;

/// Maps the ids of one conversation, in order. A call without an id gets one, and the result that follows for the same tool
/// gets the same.
pub(crate) struct Ids {
    shape: ToolIds,
    minted: usize,
    /// Calls that had no id: `(tool name, minted id)`, not yet answered.
    open: VecDeque<(String, String)>,
}

impl Ids {
    pub(crate) fn new(shape: ToolIds) -> Ids {
        Ids { shape, minted: 0, open: VecDeque::new() }
    }

    pub(crate) fn call(&mut self, id: &str, name: &str) -> String {
        if !id.is_empty() {
            return shaped(id, self.shape);
        }
        let id = self.mint();
        self.open.push_back((name.to_owned(), id.clone()));
        id
    }

    pub(crate) fn result(&mut self, id: &str, name: Option<&str>) -> String {
        if !id.is_empty() {
            return shaped(id, self.shape);
        }
        let same = self.open.iter().position(|(open, _)| Some(open.as_str()) == name).unwrap_or(0);
        match self.open.remove(same) {
            Some((_, id)) => id,
            None => self.mint(),
        }
    }

    fn mint(&mut self) -> String {
        self.minted += 1;
        shaped(&format!("call_{}", self.minted), self.shape)
    }
}

fn shaped(id: &str, shape: ToolIds) -> String {
    match shape {
        ToolIds::Any => id.to_owned(),
        ToolIds::Alnum9 if id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric()) => id.to_owned(),
        ToolIds::Alnum9 => letters(id, 9),
        ToolIds::Word64 => {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            if id.len() <= 64 && id.chars().all(fits) {
                return id.to_owned();
            }
            // The readable part helps people; the hash keeps different ids different.
            let readable: String = id.chars().filter(|c| fits(*c)).take(40).collect();
            format!("{readable}_{}", letters(id, 11))
        }
    }
}

/// A stable hash in letters and digits (64-bit FNV-1a): the same id always maps alike, in this process and the next.
fn letters(id: &str, count: usize) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ b as u64).wrapping_mul(0x0100_0000_01b3));
    let mut text = String::with_capacity(count);
    for _ in 0..count {
        text.push(DIGITS[(hash % 62) as usize] as char);
        hash /= 62;
    }
    text
}
