//! A few accounts in the order they are locked in: nested scopes are a handful, and holding money allocates nothing for them.

use super::{Account, Books};
use crate::sync::{Arc, MutexGuard};
use std::cmp::Reverse;

/// More than this many are kept on the heap.
const INLINE: usize = 8;

/// An account and where it stood in the caller's list.
pub(super) type Entry = (Arc<Account>, usize);

/// Each account once, the youngest first.
///
/// One order for everybody is what makes a deadlock impossible. That it is this one keeps the busiest lock the shortest: the
/// accounts that many share are born before those of few, and what is locked last is held least.
#[derive(Default)]
pub(super) struct Few {
    inline: [Option<Entry>; INLINE],
    heap: Vec<Entry>,
}

impl Few {
    pub fn of(accounts: &[Arc<Account>]) -> Few {
        let mut few = Few::default();
        if accounts.len() > INLINE {
            few.heap = accounts.iter().enumerate().map(|(at, account)| (account.clone(), at)).collect();
            few.heap.sort_by_key(|(account, at)| (Reverse(account.id), *at));
            few.heap.dedup_by_key(|(account, _)| account.id);
            return few;
        }
        for (at, account) in accounts.iter().enumerate() {
            let id = |entry: &Option<Entry>| entry.as_ref().map(|(account, _)| account.id);
            let Some(place) = few.inline.iter().position(|entry| id(entry).is_none_or(|id| id <= account.id)) else {
                continue; // as many places as accounts: there is one
            };
            if id(&few.inline[place]) != Some(account.id) {
                few.inline[place..].rotate_right(1);
                few.inline[place] = Some((account.clone(), at));
            }
        }
        few
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.inline.iter().map_while(Option::as_ref).chain(&self.heap)
    }

    /// Lock them all, so that what is done to them is done in one step.
    pub fn lock(&self) -> Locked<'_> {
        let mut inline = [const { None }; INLINE];
        for (guard, entry) in inline.iter_mut().zip(&self.inline) {
            match entry {
                Some((account, at)) => *guard = Some((account.lock(), *at)),
                None => break,
            }
        }
        Locked { inline, heap: self.heap.iter().map(|(account, at)| (account.lock(), *at)).collect() }
    }
}

/// A few accounts, all of them locked.
pub(super) struct Locked<'a> {
    inline: [Option<(MutexGuard<'a, Books>, usize)>; INLINE],
    heap: Vec<(MutexGuard<'a, Books>, usize)>,
}

impl<'a> Locked<'a> {
    pub fn iter(&self) -> impl Iterator<Item = (&Books, usize)> {
        self.inline.iter().map_while(Option::as_ref).chain(&self.heap).map(|(books, at)| (&**books, *at))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut MutexGuard<'a, Books>> {
        self.inline.iter_mut().map_while(Option::as_mut).chain(&mut self.heap).map(|(books, _)| books)
    }
}
