//! Ids of items. Clients tell items apart by them, and a server of this dialect refuses one of the wrong kind, so that each kind
//! has its prefix; `tmp` says that nobody keeps the item.

use crate::anthropic::ids::letters;

/// Length of the part that tells one id from another.
const MINTED: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Message,
    Reasoning,
    Function,
    Custom,
    Image,
}

/// The id of the item at `place` of the reply `seed`: the same in every event about it.
pub fn item(kind: Kind, seed: &str, place: usize) -> String {
    let prefix = match kind {
        Kind::Message => "msg_tmp",
        Kind::Reasoning => "rs_tmp",
        Kind::Function => "fc_tmp",
        Kind::Custom => "ctc_tmp",
        Kind::Image => "ig_tmp",
    };
    format!("{prefix}_{}", letters(seed, place as u64, MINTED))
}

/// Whether an item's id was minted by a house like this one: no provider knows it.
pub fn is_minted(id: &str) -> bool {
    id.contains("_tmp_")
}

/// What a call goes by whose provider gave it no id.
pub fn call(seed: &str, place: usize) -> String {
    format!("call_{}", letters(seed, place as u64, MINTED))
}
