//! What goes wrong, from when until when.

/// One kind of trouble. Shares are of the calls that come in while it lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble {
    /// Nobody listens.
    Refuses,
    /// Status 500.
    Errors(f64),
    /// Everything takes so many times as long, and a share are errors.
    BrownOut { slow: f64, errors: f64 },
    /// The call is taken, and no content ever comes.
    Hangs(f64),
    /// Status 200, and then an error in place of content.
    SaysError(f64),
    /// The answer breaks off after its first content.
    Cuts(f64),
    /// Back again, at first so many times as slow, at the end as ever.
    WarmsUp { slow: f64 },
    /// It bills so many times its list price.
    Dearer(f64),
}

/// From, until, what.
pub type Row = (u64, u64, Trouble);

/// In milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Script(pub Vec<Row>);

impl Script {
    /// Times in seconds.
    pub fn of(rows: &[Row]) -> Script {
        Script(rows.iter().map(|(from, to, what)| (from * 1000, to * 1000, *what)).collect())
    }

    fn now(&self, now_ms: u64) -> impl Iterator<Item = (f64, &Trouble)> {
        let on = move |(from, to, _): &&Row| (*from..*to).contains(&now_ms);
        self.0.iter().filter(on).map(move |(from, to, what)| ((now_ms - from) as f64 / (to - from).max(1) as f64, what))
    }

    pub fn any(&self, now_ms: u64, what: impl Fn(&Trouble) -> bool) -> bool {
        self.now(now_ms).any(|(_, t)| what(t))
    }

    /// The largest share that any trouble of the moment has, where it has one.
    pub fn share(&self, now_ms: u64, of: impl Fn(&Trouble) -> Option<f64>) -> f64 {
        self.now(now_ms).filter_map(|(_, t)| of(t)).fold(0.0, f64::max)
    }

    pub fn errors(&self, now_ms: u64) -> f64 {
        self.share(now_ms, |t| match t {
            Trouble::Errors(share) | Trouble::BrownOut { errors: share, .. } => Some(*share),
            _ => None,
        })
    }

    pub fn slowness(&self, now_ms: u64) -> f64 {
        let of = |(done, t): (f64, &Trouble)| match t {
            Trouble::BrownOut { slow, .. } => *slow,
            Trouble::WarmsUp { slow } => slow + (1.0 - slow) * done,
            _ => 1.0,
        };
        self.now(now_ms).map(of).product()
    }

    pub fn dearness(&self, now_ms: u64) -> f64 {
        self.now(now_ms).map(|(_, t)| if let Trouble::Dearer(factor) = t { *factor } else { 1.0 }).product()
    }

    /// The spells in which nobody should be sent here: from, until. Spells that touch or overlap are one.
    pub fn outages(&self) -> Vec<(u64, u64)> {
        let grave = |t: &Trouble| match t {
            Trouble::Refuses => true,
            Trouble::Errors(s) | Trouble::Hangs(s) | Trouble::SaysError(s) | Trouble::Cuts(s) => *s > 0.5,
            Trouble::BrownOut { .. } | Trouble::WarmsUp { .. } | Trouble::Dearer(_) => false,
        };
        let mut spells: Vec<(u64, u64)> =
            self.0.iter().filter(|(_, _, t)| grave(t)).map(|(a, b, _)| (*a, *b)).collect();
        spells.sort_unstable();
        spells.dedup_by(|next, last| {
            let joined = next.0 <= last.1;
            if joined {
                last.1 = last.1.max(next.1);
            }
            joined
        });
        spells
    }
}
