//! Which tools a reply called and with what, so that it can be judged afterwards whether a caller could use it. Bounded: a reply with
//! more than fits here is not judged.

/// Calls of one reply, and bytes of all their names and arguments.
const MAX_CALLS: usize = 64;
const MAX_BYTES: usize = 64 * 1024;

/// One call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Called {
    pub name: String,
    /// As they came: of JSON, if all is well. Nothing is no arguments.
    pub arguments: String,
}

/// All calls of a reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    all: Vec<Called>,
    /// The choice and block each stands in.
    at: Vec<(u32, u32)>,
    bytes: usize,
    /// There was more.
    over: bool,
}

impl Calls {
    /// `None` when no tool was called, or not all that was said is known.
    pub fn told(self) -> Option<Vec<Called>> {
        (!self.over && !self.all.is_empty()).then_some(self.all)
    }

    /// A tool was called, or something that could not be told from it.
    pub fn any(&self) -> bool {
        self.over || !self.all.is_empty()
    }

    pub(crate) fn open(&mut self, at: (u32, u32), name: &str) {
        self.over |= self.all.len() >= MAX_CALLS;
        if self.takes(name.len()) {
            self.all.push(Called { name: name.to_owned(), arguments: String::new() });
            self.at.push(at);
        }
    }

    pub(crate) fn argue(&mut self, at: (u32, u32), piece: &str) {
        let Some(open) = self.at.iter().rposition(|place| *place == at) else { return };
        if self.takes(piece.len())
            && let Some(called) = self.all.get_mut(open)
        {
            called.arguments.push_str(piece);
        }
    }

    pub(crate) fn whole(&mut self, called: Option<Called>) {
        match called {
            Some(called) => {
                let at = (0, self.all.len() as u32);
                self.open(at, &called.name);
                self.argue(at, &called.arguments);
            }
            None => self.over = true,
        }
    }

    fn takes(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        self.over |= self.bytes > MAX_BYTES;
        !self.over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_side_by_side_are_kept_apart() {
        let mut calls = Calls::default();
        assert_eq!(calls.clone().told(), None);
        calls.open((0, 1), "f");
        calls.open((0, 2), "g");
        for (block, piece) in [(1, "{\"a\""), (2, "{}"), (1, ":1}"), (9, "lost")] {
            calls.argue((0, block), piece);
        }
        let called = |name: &str, arguments: &str| Called { name: name.into(), arguments: arguments.into() };
        assert_eq!(calls.told(), Some(vec![called("f", "{\"a\":1}"), called("g", "{}")]));
    }

    #[test]
    fn more_than_fits_is_not_judged() {
        let mut many = Calls::default();
        (0..=MAX_CALLS as u32).for_each(|n| many.open((0, n), "f"));
        assert_eq!(many.told(), None);
        let mut long = Calls::default();
        long.open((0, 0), "f");
        (0..1_000).for_each(|_| long.argue((0, 0), &"x".repeat(1_000)));
        assert!(long.all.iter().all(|called| called.arguments.len() <= MAX_BYTES));
        assert_eq!(long.told(), None);
    }
}
