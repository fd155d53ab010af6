//! Who is served next when not everybody can be: by class, then by deadline.
//!
//! A class waits until the one above it is empty, but not for ever: who has waited long enough gains a class and stands there in a row
//! of its own, of which one is taken for every few of those that belong there. So the first of [`Terms::share`] takings goes to them
//! at most once while others of the class wait, however many there are, and they do go on however many others there are.
//!
//! ```
//! use slip_quota::line::{Class, Line, Terms};
//!
//! let (mut line, now) = (Line::new(Terms::default()), 1_795_305_600_000);
//! let batch = line.push(Class::Batch, i64::MAX, now).expect("room");
//! let late = line.push(Class::Interactive, now + 900, now).expect("room");
//! let soon = line.push(Class::Interactive, now + 300, now).expect("room");
//! assert_eq!(line.next(now + 100), Some(soon));
//! assert_eq!(line.expire(now + 900), [late]); // nobody came for it in time
//! assert_eq!(line.next(now + 900), Some(batch));
//! ```

#[cfg(test)]
mod laws;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What is urgent, what is not, and what nobody waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    #[default]
    Interactive,
    Batch,
    Background,
}

impl Class {
    pub const ALL: [Class; 3] = [Class::Interactive, Class::Batch, Class::Background];

    pub const fn name(self) -> &'static str {
        match self {
            Class::Interactive => "interactive",
            Class::Batch => "batch",
            Class::Background => "background",
        }
    }

    pub fn parse(name: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|c| c.name() == name)
    }

    const fn above(self) -> Option<Class> {
        match self {
            Class::Interactive => None,
            Class::Batch => Some(Class::Interactive),
            Class::Background => Some(Class::Batch),
        }
    }
}

/// How long the line may be, and how long anybody stands in it. Times in milliseconds; each array in the order of the classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// So many of a class may wait.
    pub most: [usize; 3],
    /// Nobody waits longer, whatever its deadline.
    pub longest_ms: [i64; 3],
    /// Who has waited so long in a class gains one. The first is of no use: there is none above.
    pub ages_ms: [i64; 3],
    /// Of so many takings from a class at most one goes to those who have aged into it, while others wait. At least two.
    pub share: u32,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms {
            most: [1_024, 4_096, 4_096],
            longest_ms: [30_000, 600_000, 3_600_000],
            ages_ms: [i64::MAX, 30_000, 120_000],
            share: 5,
        }
    }
}

/// A place in the line, never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// As many of a class wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    pub class: Class,
    pub limit: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no room in the line of {} requests: as many wait as may: {}", self.class.name(), self.limit)
    }
}

impl std::error::Error for Full {}

/// What is said of one whose turn it would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum May {
    Go,
    /// Not this one: what it waits for is not what the next one does.
    Pass,
    /// Nobody: whoever comes after it may not overtake it either.
    Nobody,
}

/// An instant and who: the order within a row, with ties by who came first.
type Turn = (i64, Ticket);

/// Those of one class.
#[derive(Debug, Default)]
struct Row {
    /// Who belongs here, by deadline.
    own: BTreeSet<Turn>,
    /// Who has aged into it, by when.
    aged: BTreeSet<Turn>,
    /// So many of its own were taken since one that has aged.
    since: u32,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// As it was pushed: what bounds count.
    class: Class,
    deadline: i64,
    /// Where it stands, and by which instant; nowhere when its time is up.
    stands: Option<(Class, i64)>,
    /// When it gains a class.
    ripe: Option<i64>,
}

/// The line. Every step takes time that grows with the logarithm of its length (and with how many expire or age by it); nothing
/// depends on chance.
#[derive(Debug)]
pub struct Line {
    terms: Terms,
    tickets: u64,
    waiting: BTreeMap<Ticket, Waiting>,
    rows: [Row; 3],
    deadlines: BTreeSet<Turn>,
    ripening: BTreeSet<Turn>,
    /// Whose time is up, until [`Line::expire`] tells.
    overdue: BTreeSet<Turn>,
    /// How many of a class wait or are overdue.
    counts: [usize; 3],
}

impl Line {
    pub fn new(terms: Terms) -> Line {
        Line {
            terms,
            tickets: 0,
            waiting: BTreeMap::new(),
            rows: Default::default(),
            deadlines: BTreeSet::new(),
            ripening: BTreeSet::new(),
            overdue: BTreeSet::new(),
            counts: [0; 3],
        }
    }

    /// How many of a class wait, those included whose time is up and of whom nobody was told yet.
    pub fn len(&self, class: Class) -> usize {
        self.counts[class as usize]
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Join the line. `deadline_ms` is the instant (Unix milliseconds) from which being served is of no use; the longest wait of
    /// the class comes before it if it is earlier.
    pub fn push(&mut self, class: Class, deadline_ms: i64, now_ms: i64) -> Result<Ticket, Full> {
        let limit = self.terms.most[class as usize];
        if self.counts[class as usize] >= limit {
            return Err(Full { class, limit });
        }
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        let deadline = deadline_ms.min(now_ms.saturating_add(self.terms.longest_ms[class as usize]));
        let ripe = self.ripens(class, now_ms);
        self.waiting.insert(ticket, Waiting { class, deadline, stands: Some((class, deadline)), ripe });
        self.rows[class as usize].own.insert((deadline, ticket));
        self.deadlines.insert((deadline, ticket));
        self.ripening.extend(ripe.map(|at| (at, ticket)));
        self.counts[class as usize] += 1;
        Ok(ticket)
    }

    /// From now on. Who waits keeps the deadline it came with.
    pub fn set_terms(&mut self, terms: Terms) {
        self.terms = terms;
    }

    /// Who is served now; leaves the line by it. Never one whose time is up.
    pub fn next(&mut self, now_ms: i64) -> Option<Ticket> {
        self.next_if(now_ms, |_, _| May::Go)
    }

    /// The same, of those of whom `may` says so. It is asked in the order in which they would be served, with the class they stand
    /// in, until one may go or nobody may.
    pub fn next_if(&mut self, now_ms: i64, mut may: impl FnMut(Ticket, Class) -> May) -> Option<Ticket> {
        self.pass(now_ms);
        let share = self.terms.share.max(2);
        for class in Class::ALL {
            let row = &mut self.rows[class as usize];
            let aged_first = row.own.is_empty() || (row.since >= share - 1 && !row.aged.is_empty());
            let (first, second) = if aged_first { (&row.aged, &row.own) } else { (&row.own, &row.aged) };
            let all = first.iter().map(|turn| (turn, aged_first)).chain(second.iter().map(|turn| (turn, !aged_first)));
            let mut chosen = None;
            for ((_, ticket), aged) in all {
                match may(*ticket, class) {
                    May::Go => {
                        chosen = Some((*ticket, aged));
                        break;
                    }
                    May::Pass => {}
                    May::Nobody => return None,
                }
            }
            if let Some((ticket, aged)) = chosen {
                row.since = if aged { 0 } else { row.since.saturating_add(1) };
                self.leave(ticket);
                return Some(ticket);
            }
        }
        None
    }

    /// Those whose time is up, the earliest first; they have left by it. Each is told once.
    pub fn expire(&mut self, now_ms: i64) -> Vec<Ticket> {
        self.pass(now_ms);
        let over: Vec<Ticket> = self.overdue.iter().map(|(_, ticket)| *ticket).collect();
        for ticket in &over {
            self.leave(*ticket);
        }
        over
    }

    /// The instant at which the next one's time is up, for whoever sets an alarm.
    pub fn expires_next(&self) -> Option<i64> {
        let first = |turns: &BTreeSet<Turn>| turns.first().map(|(at, _)| *at);
        first(&self.overdue).or_else(|| first(&self.deadlines))
    }

    /// When its time is up; `None` for one who has left.
    pub fn deadline(&self, ticket: Ticket) -> Option<i64> {
        self.waiting.get(&ticket).map(|waiting| waiting.deadline)
    }

    /// Leave the line. `false` for one who has left already.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        let Some(waiting) = self.waiting.remove(&ticket) else { return false };
        self.step_out(ticket, &waiting);
        self.overdue.remove(&(waiting.deadline, ticket));
        self.counts[waiting.class as usize] -= 1;
        true
    }

    /// What the passing of time does: deadlines, then ageing.
    fn pass(&mut self, now_ms: i64) {
        while let Some(turn) = self.deadlines.first().copied().filter(|(at, _)| *at <= now_ms) {
            let Some(waiting) = self.waiting.get_mut(&turn.1) else { break };
            let before = *waiting;
            (waiting.stands, waiting.ripe) = (None, None);
            self.step_out(turn.1, &before);
            self.overdue.insert(turn);
        }
        while let Some((at, ticket)) = self.ripening.first().copied().filter(|(at, _)| *at <= now_ms) {
            let Some(before) = self.waiting.get(&ticket).copied() else { break };
            self.step_out(ticket, &before);
            let Some(above) = before.stands.and_then(|(class, _)| class.above()) else { continue };
            // Counted from when it was ripe, not from when somebody looked.
            let ripe = self.ripens(above, at);
            self.waiting.insert(ticket, Waiting { stands: Some((above, at)), ripe, ..before });
            self.rows[above as usize].aged.insert((at, ticket));
            self.deadlines.insert((before.deadline, ticket));
            self.ripening.extend(ripe.map(|at| (at, ticket)));
        }
    }

    /// When one that comes to a class gains the next.
    fn ripens(&self, class: Class, from_ms: i64) -> Option<i64> {
        class.above().map(|_| from_ms.saturating_add(self.terms.ages_ms[class as usize].max(0)))
    }

    /// Out of every row and index but the list of who is there.
    fn step_out(&mut self, ticket: Ticket, waiting: &Waiting) {
        if let Some((class, at)) = waiting.stands {
            let row = &mut self.rows[class as usize];
            if !row.aged.remove(&(at, ticket)) {
                row.own.remove(&(at, ticket));
            }
        }
        self.deadlines.remove(&(waiting.deadline, ticket));
        if let Some(at) = waiting.ripe {
            self.ripening.remove(&(at, ticket));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Class::*;

    fn line(ages_ms: [i64; 3]) -> Line {
        Line::new(Terms { most: [3, 100, 100], longest_ms: [1_000, 10_000, 100_000], ages_ms, share: 3 })
    }

    #[test]
    fn classes_have_names() {
        for class in Class::ALL {
            assert_eq!(Class::parse(class.name()), Some(class));
        }
        assert_eq!(Class::parse("urgent"), None);
    }

    #[test]
    fn by_class_then_by_deadline_then_by_who_came_first() {
        let mut line = line([i64::MAX; 3]);
        let rows = [(Background, 5, 5), (Batch, 9, 3), (Batch, 9, 4), (Interactive, 900, 2), (Interactive, 800, 1)];
        let mut pushed: Vec<_> = rows
            .iter()
            .map(|(class, deadline, turn)| (*turn, line.push(*class, *deadline, 0).expect("room")))
            .collect();
        pushed.sort_unstable();
        for (turn, ticket) in pushed {
            assert_eq!(line.next(1), Some(ticket), "turn {turn}");
        }
        assert!(line.next(1).is_none() && line.is_empty());
    }

    #[test]
    fn a_class_is_full_until_one_leaves_or_is_told_that_its_time_is_up() {
        let mut line = line([i64::MAX; 3]);
        let first = line.push(Interactive, 500, 0).expect("room");
        let [second, third] = [(); 2].map(|()| line.push(Interactive, i64::MAX, 0).expect("room"));
        let full = Full { class: Interactive, limit: 3 };
        assert_eq!(line.push(Interactive, 500, 0), Err(full));
        assert!(line.push(Batch, 500, 0).is_ok(), "another class has room");
        assert!(line.leave(second) && !line.leave(second));
        assert!(line.push(Interactive, 2_000, 1).is_ok());
        assert_eq!((line.push(Interactive, 500, 600), line.expires_next()), (Err(full), Some(500)));
        assert_eq!(line.expire(600).first(), Some(&first));
        assert_eq!((line.len(Interactive), line.next(999)), (2, Some(third)));
        assert_eq!(
            (line.next(1_001), line.expire(1_001).len()),
            (None, 1),
            "the longest wait is up before its deadline"
        );
    }

    #[test]
    fn who_may_not_go_is_passed_over_or_holds_up_all_behind_it() {
        let mut line = line([i64::MAX, 100, i64::MAX]);
        let [first, second] = [(); 2].map(|()| line.push(Interactive, i64::MAX, 0).expect("room"));
        let third = line.push(Batch, i64::MAX, 0).expect("room");
        let mut asked = vec![];
        let none = line.next_if(1, |ticket, class| {
            asked.push((ticket, class));
            if ticket == second { May::Nobody } else { May::Pass }
        });
        assert_eq!((none, asked), (None, vec![(first, Interactive), (second, Interactive)]));
        let only = |wanted| move |ticket, _| if ticket == wanted { May::Go } else { May::Pass };
        assert_eq!(line.next_if(1, only(third)), Some(third));
        let aged = line.push(Batch, i64::MAX, 2).expect("room");
        assert_eq!(
            line.next_if(102, |ticket, class| {
                assert_eq!(class, Interactive, "it has aged");
                only(aged)(ticket, class)
            }),
            Some(aged)
        );
        assert_eq!((line.next(103), line.next(103), line.next(103)), (Some(first), Some(second), None));
    }

    #[test]
    fn who_waits_gains_a_class_and_one_taking_of_a_few() {
        let mut line = line([0, 100, 200]);
        let background = line.push(Background, i64::MAX, 0).expect("room");
        let batch = line.push(Batch, i64::MAX, 150).expect("room");
        let interactive = |line: &mut Line, now| line.push(Interactive, i64::MAX, now).expect("room");
        let mut taken = vec![];
        for now in [249, 249, 250, 251, 252, 300, 301, 302, 303] {
            let own = interactive(&mut line, now);
            let next = line.next(now).expect("somebody");
            taken.push(next);
            if next != own {
                line.leave(own);
            }
        }
        // Both are ripe for the first class, one at 250 and the other, by way of the second, at 300.
        let at = |ticket| taken.iter().position(|t| *t == ticket);
        assert_eq!((at(batch), at(background)), (Some(2), Some(5)));
        assert!(line.is_empty());
    }
}
