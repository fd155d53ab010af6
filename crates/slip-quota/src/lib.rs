//! What a caller may spend, how fast, how many at once, and who goes first when not everybody can. Pure: time is an argument.
//!
//! | Module | Holds | Unit |
//! |---|---|---|
//! | [`account`] | money spent and held, against caps of a day, a week, a month or for ever | [`Nano`](slip_ir::Nano), 10⁻⁹ USD |
//! | [`rate`] | requests or tokens a minute | requests, tokens |
//! | [`window`] | requests or tokens in any minute, wherever it begins | requests, tokens |
//! | [`gate`] | how many at once | requests under way |
//! | [`quota`] | all of these of nested scopes (key, member, workspace, instance), taken together or not at all | |
//! | [`keeper`] | how a limit is lent out to several processes | |
//! | [`mod@line`] | who waits, and who is next | |
//! | [`period`], [`sums`] | days, weeks and months of UTC, and sums over them | days since 1970-01-01 |
//!
//! Times are Unix milliseconds. Amounts are integers; no float, no rounding, nothing overflows. Nothing here waits, but for a
//! mutex that is held while a few integers are added.
//!
//! ```
//! use slip_ir::Nano;
//! use slip_quota::{Account, Cap, Caps, Reset, hold};
//! use std::sync::Arc;
//!
//! let (workspace, key) = (Arc::new(Account::new()), Arc::new(Account::new()));
//! key.set_caps(Caps::none().with(Some(Reset::Daily), Cap { limit: Nano(1_000_000_000), include_byok: false }));
//! let now = 1_795_305_600_000;
//! // A request that may cost two cents, and is worth sending for one:
//! let held = hold(&[key.clone(), workspace.clone()], Nano(20_000_000), Nano(10_000_000), false, now).expect("within a dollar");
//! assert_eq!(held.amount(), Nano(20_000_000));
//! // It cost three quarters of a cent.
//! held.settle(Nano(7_500_000), Nano(0), now);
//! assert_eq!(workspace.usage(now).daily, Nano(7_500_000));
//! ```

pub mod account;
#[cfg(not(loom))]
pub mod gate;
#[cfg(not(loom))]
pub mod keeper;
#[cfg(not(loom))]
pub mod line;
pub mod moment;
pub mod period;
#[cfg(not(loom))]
pub mod quota;
#[cfg(not(loom))]
pub mod rate;
pub mod sums;
mod sync;
#[cfg(not(loom))]
pub mod window;

pub use account::{Account, Cap, Caps, Denied, Held, Lease, LeaseUse, Left, hold};
#[cfg(not(loom))]
pub use gate::{Gate, Inside};
#[cfg(not(loom))]
pub use line::{Class, Line, May, Ticket};
pub use moment::Moment;
pub use period::{Reset, day_of};
#[cfg(not(loom))]
pub use quota::{Kind, Pass, Quota, Refused, Scope};
#[cfg(not(loom))]
pub use rate::{Rate, Wait};
pub use sums::{Sums, Usage};
#[cfg(not(loom))]
pub use window::Window;
