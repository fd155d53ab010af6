//! Members of a request body that are addressed to this house and not to a provider, in every dialect.

/// Routing, plugins and bookkeeping, by OpenRouter's names. A dialect may know more of its own.
pub const MEMBERS: [&str; 11] = [
    "provider",
    "models",
    "fallbacks",
    "route",
    "plugins",
    "transforms",
    "preset",
    "session_id",
    "trace",
    "debug",
    "stop_server_tools_when",
];

pub fn is_ours(member: &str) -> bool {
    MEMBERS.contains(&member)
}
