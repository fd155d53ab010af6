//! A laboratory for routing: simulated traffic over simulated providers, minute for minute in milliseconds, to see which policy
//! gets the most answers for the least money and waiting.
//!
//! Pure like the code it judges: no clock, no I/O, no threads; time is a number on an [`agenda`], chance is a seed, traces come as
//! text. The strategies of `slip-route` take part through the gateway's own code (`policies/ours.rs`); beside them stand the rules
//! that other balancers publish. Start reading at [`run`], then [`site`] and [`scenario`].
//!
//! The same clock and the same code replay what really happened: [`past`] answers as a decision log shows that providers answered,
//! and [`compare`] says by how much two runs differ, and how sure that is. [`cache`] replays streams of requests against the
//! policies of `slip-cache`.

pub mod agenda;
pub mod cache;
pub mod compare;
pub mod dice;
pub mod past;
pub mod policies;
pub mod policy;
pub mod report;
pub mod run;
pub mod scenario;
pub mod score;
pub mod site;
pub mod tally;
pub mod traffic;
pub mod turning;

pub use policies::{Entry, POLICIES};
pub use policy::{Policy, Step};
pub use run::{Outcome, Terms, run, run_on};
pub use scenario::{SCENARIOS, Scenario};
pub use site::Site;
pub use tally::Tally;
pub use traffic::{Call, Library, Trace};
