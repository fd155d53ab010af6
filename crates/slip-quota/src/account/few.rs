//! A few accounts in the order they are locked in: nested scopes are a handful, and holding money allocates nothing for them.

use super::{Account, Books};
use crate::sync::{Arc, MutexGuard};
use std::cmp::Reverse;

/// More than this many are kept on the heap.
const INLINE: usize = 8;

type Accounts = [Option<Arc<Account>>];

/// Each account once, the youngest first, with where it stood in the caller's list.
///
/// One order for everybody is what makes a deadlock impossible. That it is this one keeps the busiest lock the shortest: the
/// accounts that many share are born before those of few, and what is locked last is held least.
pub(super) enum Few {
    Inline { accounts: [Option<Arc<Account>>; INLINE], stood: [u8; INLINE] },
    Heap { accounts: Vec<Option<Arc<Account>>>, stood: Vec<usize> },
}

impl Few {
    pub fn of(all: &[Arc<Account>]) -> Few {
        if all.len() > INLINE {
            let mut order: Vec<usize> = (0..all.len()).collect();
            order.sort_by_key(|at| (Reverse(all[*at].id), *at));
            order.dedup_by_key(|at| all[*at].id);
            return Few::Heap { accounts: order.iter().map(|at| Some(all[*at].clone())).collect(), stood: order };
        }
        let (mut accounts, mut stood) = ([const { None }; INLINE], [0; INLINE]);
        for (at, account) in all.iter().enumerate() {
            let id = |place: &Option<Arc<Account>>| place.as_ref().map(|account| account.id);
            // There are as many places as accounts.
            let Some(place) = accounts.iter().position(|a| id(a).is_none_or(|id| id <= account.id)) else { continue };
            if id(&accounts[place]) == Some(account.id) {
                continue;
            }
            if accounts[place].is_some() {
                accounts[place..].rotate_right(1);
                stood[place..].rotate_right(1);
            }
            (accounts[place], stood[place]) = (Some(account.clone()), at as u8);
        }
        Few::Inline { accounts, stood }
    }

    fn accounts(&self) -> &Accounts {
        match self {
            Few::Inline { accounts, .. } => accounts,
            Few::Heap { accounts, .. } => accounts,
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.accounts().iter().map_while(Option::as_ref)
    }

    /// Where one stood in the caller's list, by its place in this order.
    pub fn stood(&self, place: usize) -> usize {
        match self {
            Few::Inline { stood, .. } => stood.get(place).copied().unwrap_or_default().into(),
            Few::Heap { stood, .. } => stood.get(place).copied().unwrap_or_default(),
        }
    }

    /// Lock them all, so that what is done to them is done in one step.
    pub fn lock(&self) -> Locked<'_> {
        match self {
            Few::Inline { accounts, .. } => {
                let mut all = [const { None }; INLINE];
                for (books, account) in all.iter_mut().zip(accounts) {
                    let Some(account) = account else { break };
                    *books = Some(account.lock());
                }
                Locked::Inline(all)
            }
            Few::Heap { accounts, .. } => Locked::Heap(accounts.iter().flatten().map(|a| Some(a.lock())).collect()),
        }
    }
}

type Lock<'a> = Option<MutexGuard<'a, Books>>;

/// A few accounts, all of them locked.
pub(super) enum Locked<'a> {
    Inline([Lock<'a>; INLINE]),
    Heap(Vec<Lock<'a>>),
}

impl<'a> Locked<'a> {
    pub fn iter(&self) -> impl Iterator<Item = &Books> {
        let all: &[Lock<'a>] = match self {
            Locked::Inline(all) => all,
            Locked::Heap(all) => all,
        };
        all.iter().map_while(|books| books.as_deref())
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Books> {
        let all: &mut [Lock<'a>] = match self {
            Locked::Inline(all) => all,
            Locked::Heap(all) => all,
        };
        all.iter_mut().map_while(|books| books.as_deref_mut())
    }
}
