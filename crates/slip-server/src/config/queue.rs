//! The rules for lines: how many of a class may wait, and how long.

use super::check::Checker;
use super::raw;
use super::tree::Path;
use slip_quota::Class;
use slip_quota::line::Terms;
use std::time::Duration;

impl Checker<'_> {
    /// `None` when something is missing or wrong.
    pub(super) fn queue(&mut self, raw: Option<&raw::Queue>) -> Option<Terms> {
        let raw = raw?;
        let mut terms = Terms::default();
        let mut whole = true;
        for (class, row) in Class::ALL.into_iter().zip([&raw.interactive, &raw.batch, &raw.background]) {
            let at = Path::of(&["queue", class.name()]);
            let said = row.as_ref();
            let length = said.and_then(|row| row.length);
            let wait = self.wait(&at.key("wait"), said.and_then(|row| row.wait.as_deref()));
            let ages = self.wait(&at.key("ages"), said.and_then(|row| row.ages.as_deref()));
            if class == Class::Interactive && said.is_some_and(|row| row.ages.is_some()) {
                self.bad(&at.key("ages"), "no class is above this one", None);
            }
            let (Some(length), Some(wait)) = (length, wait) else {
                whole = false;
                continue;
            };
            let at = class as usize;
            terms.most[at] = length as usize;
            terms.longest_ms[at] = ms(wait);
            terms.ages_ms[at] = ages.map_or(i64::MAX, ms);
        }
        whole.then_some(terms)
    }
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
