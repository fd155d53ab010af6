//! The address of a Postgres database: what of it may be shown, and what TLS is asked for.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// To open a connection, TLS and authentication included.
const CONNECT: Duration = Duration::from_secs(3);
/// A peer that says nothing at all for so long is gone.
const SILENCE: Duration = Duration::from_secs(10);

/// `postgres://user:password@host:port/database?…`. Holds a password, so neither `Display` nor `Debug` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

/// An address taken apart.
pub(super) struct Target {
    pub config: Config,
    /// The authority of the server's certificate, in the place of those of the system.
    pub authority: Option<PathBuf>,
    /// For people: without the password.
    pub shown: String,
}

impl DatabaseUrl {
    /// The error says what is wrong and quotes nothing.
    pub fn parse(text: &str) -> Result<DatabaseUrl, String> {
        let url = DatabaseUrl(text.trim().to_owned());
        url.target().map(|_| url)
    }

    /// Whether this is meant for Postgres at all.
    pub fn is_one(text: &str) -> bool {
        ["postgres://", "postgresql://"].iter().any(|scheme| text.trim_start().starts_with(scheme))
    }

    pub(super) fn target(&self) -> Result<Target, String> {
        if !DatabaseUrl::is_one(&self.0) {
            return Err("not the address of a Postgres database: postgres://user:password@host/database".to_owned());
        }
        let (mut mode, mut authority) = (None, None);
        let (address, query) = self.0.split_once('?').unwrap_or((&self.0, ""));
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => authority = Some(PathBuf::from(unescaped(value)?)),
                _ => rest.push(pair),
            }
        }
        let plain = if rest.is_empty() { address.to_owned() } else { format!("{address}?{}", rest.join("&")) };
        let mut config: Config = plain.parse().map_err(|e| {
            // It names the part it does not understand; a value, and so a password, it never quotes.
            let part = std::error::Error::source(&e).map(|why| format!(": {why}")).unwrap_or_default();
            format!("not an address Postgres' own programs would understand{part}")
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("names no host: postgres://user:password@host/database".to_owned());
        }
        config.ssl_mode(match mode {
            // A connection that never leaves this machine has nobody to hide from.
            None if config.get_hosts().iter().all(is_here) => SslMode::Disable,
            None | Some("prefer" | "allow") => SslMode::Prefer,
            Some("disable") => SslMode::Disable,
            Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
            Some(_) => return Err("sslmode is one of disable, prefer, require and verify-full".to_owned()),
        });
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
        }
        config.keepalives_idle(SILENCE).keepalives_interval(SILENCE / 4).keepalives_retries(3);
        if config.get_application_name().is_none() {
            config.application_name("slipswitch");
        }
        let shown = shown(&config);
        Ok(Target { config, authority, shown })
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.target().map_or_else(|_| "postgres://…".to_owned(), |target| target.shown))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

fn shown(config: &Config) -> String {
    let mut text = "postgres://".to_owned();
    if let Some(user) = config.get_user() {
        text.push_str(user);
        text.push('@');
    }
    for (at, host) in config.get_hosts().iter().enumerate() {
        text.push_str(if at > 0 { "," } else { "" });
        match host {
            Host::Tcp(name) => {
                text.push_str(name);
                if let Some(port) = config.get_ports().get(at).or_else(|| config.get_ports().first()) {
                    text.push_str(&format!(":{port}"));
                }
            }
            #[cfg(unix)]
            Host::Unix(path) => text.push_str(&path.display().to_string()),
        }
    }
    text.push('/');
    text.push_str(config.get_dbname().unwrap_or_default());
    text
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            let ip = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
            name == "localhost" || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// Undo `%2F` and the like.
fn unescaped(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |b: &u8| char::from(*b).to_digit(16);
                let (Some(high), Some(low)) = (digit(high), digit(low)) else {
                    return Err("a % is followed by two hex digits".to_owned());
                };
                bytes.push((high * 16 + low) as u8);
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        let rows = [
            ("postgres://me:s3cret@db.example:6432/slip", "postgres://me@db.example:6432/slip"),
            ("postgresql://me@h/slip?password=s3cret&sslmode=require", "postgres://me@h:5432/slip"),
            ("postgres://me:s3cret@h1:1,h2:2/slip?target_session_attrs=read-write", "postgres://me@h1:1,h2:2/slip"),
            ("postgres://me:s3cret@%2Fvar%2Frun%2Fpostgresql/slip", "postgres://me@/var/run/postgresql/slip"),
        ];
        for (text, want) in rows {
            let url = DatabaseUrl::parse(text).expect(text);
            assert_eq!((url.to_string(), format!("{url:?}")), (want.to_owned(), format!("DatabaseUrl({want})")));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_quoting_it() {
        let rows = [
            ("mysql://me:s3cret@h/db", "not the address of a Postgres database"),
            ("s3cret", "not the address of a Postgres database"),
            ("postgres://me:s3cret@/db", "names no host"),
            ("postgres://me:s3cret@h/db?sslmode=s3cret", "sslmode is one of"),
            ("postgres://me:s3cret@h:s3cret/db", "not an address"),
            ("postgres://me:s3cret@h/db?bogus=s3cret", "not an address"),
        ];
        for (text, want) in rows {
            let why = DatabaseUrl::parse(text).expect_err(text);
            assert!(why.starts_with(want) && !why.contains("s3cret"), "{text}: {why}");
        }
    }

    #[test]
    fn tls_is_asked_for_as_the_address_says_and_off_this_machine_by_itself() {
        let rows = [
            ("postgres://me@db.example/slip", SslMode::Prefer),
            ("postgres://me@db.example/slip?sslmode=disable", SslMode::Disable),
            ("postgres://me@db.example/slip?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem", SslMode::Require),
            ("postgres://me@localhost/slip", SslMode::Disable),
            ("postgres://me@127.0.0.1/slip?sslmode=require", SslMode::Require),
            ("postgres://me@%2Frun/slip", SslMode::Disable),
            ("postgres://me@localhost,db.example/slip", SslMode::Prefer),
        ];
        for (text, want) in rows {
            let target = DatabaseUrl::parse(text).and_then(|url| url.target()).expect(text);
            assert_eq!(target.config.get_ssl_mode(), want, "{text}");
            assert_eq!(target.authority.is_some(), text.contains("sslrootcert"), "{text}");
            assert!(target.config.get_connect_timeout().is_some(), "{text}: bounded");
        }
    }
}
