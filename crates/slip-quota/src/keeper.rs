//! How a limit that several processes spend from is lent out to them: what is settled, and what is lent and not settled yet, never come
//! to more than the limit by what is granted here.
//!
//! Whoever has money left may ask for more before it is gone, and gets a slice: a share of what is left, so that the slices get
//! smaller as the end comes near. Whoever has a request waiting gets what that needs as long as there is any.
//!
//! ```
//! use slip_ir::Nano;
//! use slip_quota::keeper::{Ask, Lent, Whole, lend};
//!
//! let whole = Whole { limit: Nano(1_000), settled: Nano(400), gateways: 2 };
//! let other = Lent { allowed: Nano(300), used: Nano(120), settled: Nano(100) }; // 200 of it may still come
//! let told = lend(whole, &[other], Lent::default(), &Ask::waiting(Nano(150), Nano(150), Nano(150)));
//! assert_eq!(told.allowed, Nano(150)); // of the three hundred and odd that are neither settled nor out
//! let told = lend(whole, &[other], Lent::default(), &Ask::waiting(Nano(450), Nano(450), Nano(450)));
//! assert_eq!((told.allowed, told.beyond), (Nano(0), Nano(580))); // not as it stands, but the other has some it does not use
//! ```

use slip_ir::Nano;

type Wide = i128;

/// A slice is at most this much, and at most one part in so many of the limit.
const LARGEST: Wide = 5_000_000_000;
const PARTS: Wide = 20;

/// A limit, and how many spend under it.
#[derive(Clone, Copy, Debug)]
pub struct Whole {
    pub limit: Nano,
    /// In the period, by whomever.
    pub settled: Nano,
    pub gateways: u32,
}

/// What one of them has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lent {
    /// What it may have spent and hold, together, since its lease began.
    pub allowed: Nano,
    /// What it had spent and held when it last said so.
    pub used: Nano,
    /// What of that is in the ledger.
    pub settled: Nano,
}

impl Lent {
    /// What may still come to the ledger from it.
    fn out(&self) -> Wide {
        (wide(self.allowed.max(self.used)) - wide(self.settled)).max(0)
    }

    /// What will come to it, as far as that is known.
    fn pending(&self) -> Wide {
        (wide(self.used) - wide(self.settled)).max(0)
    }
}

/// What one of them wants beside what it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// With less nobody is served who waits.
    pub least: Nano,
    /// The largest that is waited for.
    pub most: Nano,
    /// All that is waited for.
    pub crowd: Nano,
    /// Something to go on with before anybody has to wait.
    pub spare: bool,
}

impl Ask {
    pub const fn waiting(least: Nano, most: Nano, crowd: Nano) -> Ask {
        Ask { least, most, crowd, spare: false }
    }

    pub const fn spare() -> Ask {
        Ask { least: Nano(0), most: Nano(0), crowd: Nano(0), spare: true }
    }

    /// Two who ask, as one.
    pub fn with(self, other: Ask) -> Ask {
        if other.most.0 <= 0 {
            return Ask { spare: self.spare || other.spare, ..self };
        }
        if self.most.0 <= 0 {
            return Ask { spare: self.spare || other.spare, ..other };
        }
        Ask {
            least: self.least.min(other.least),
            most: self.most.max(other.most),
            crowd: self.crowd + other.crowd,
            spare: self.spare || other.spare,
        }
    }

    pub const fn is_waiting(&self) -> bool {
        self.most.0 > 0
    }
}

/// What it is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub allowed: Nano,
    /// What the limit leaves beside what it has itself: unspent, lent to nobody or to others.
    pub beyond: Nano,
    /// It did not get what is waited for, and others have what they may not need.
    pub short: bool,
    /// What it gets when it asks for something to go on with.
    pub slice: Nano,
}

/// Grant what is asked for, as far as there is enough. `mine` is what the one who asks has and has used; what it gave back is not in it.
pub fn lend(whole: Whole, others: &[Lent], mine: Lent, ask: &Ask) -> Told {
    let unsettled = wide(whole.limit) - wide(whole.settled);
    let rest = (unsettled - others.iter().map(Lent::out).sum::<Wide>() - mine.out()).max(0);
    let gateways = Wide::from(whole.gateways.max(1));
    let slice = (rest / (2 * gateways)).min(LARGEST).min(wide(whole.limit).max(0) / PARTS);
    let has = wide(mine.allowed.max(mine.used));
    let room = has - wide(mine.used);
    let mut give = if ask.spare { (slice - room).max(0) } else { 0 };
    if ask.is_waiting() && room + rest >= wide(ask.least) {
        let share = wide(ask.crowd).min(rest / gateways);
        give = give.max(wide(ask.most).max(share).max(slice) - room).min(rest);
    }
    let pending = others.iter().map(Lent::pending).sum::<Wide>() + mine.pending();
    let free = (unsettled - pending).max(0);
    let beyond = (free - room - give).max(0);
    let short = ask.is_waiting() && room + give < wide(ask.most) && beyond > 0;
    Told { allowed: nano(has + give), beyond: nano(beyond), short, slice: nano(slice) }
}

fn wide(nano: Nano) -> Wide {
    Wide::from(nano.0)
}

fn nano(wide: Wide) -> Nano {
    Nano(i64::try_from(wide.max(0)).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
