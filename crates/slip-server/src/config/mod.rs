//! The configuration: defaults, a file, the environment and flags become one tree; the tree is held against the schema, then
//! against the rules; what comes out is [`Checked`], or every problem at once.
//!
//! Nothing here reads a file or the environment: both are arguments. Start reading at [`load`].

mod check;
mod checked;
mod cloud;
mod env;
mod expand;
mod parse;
mod problem;
mod provider;
mod queue;
mod raw;
mod route;
mod shape;
mod show;
#[cfg(test)]
mod tests;
mod tree;
mod veil;
mod words;

use serde::Deserialize;
use shape::Shape;
use tree::{Entry, Node, Origin, Path, Value};
use veil::Veil;

pub use check::Facts;
pub use checked::{
    AccountLimits, After, Aws, AwsKeys, CacheConf, CacheScope, Checked, Credential, DecisionLog, Entra, EntraWho,
    Fetch, Google, Hedge, HouseConf, LOG_LEVELS, Limits, ModelConf, Patience, Policy, Proof, ProviderConf,
    ProviderKind, Secret, SimConf, Timeouts, mask,
};
pub use cloud::{google_from, surroundings};
pub use problem::{Problem, Problems};
pub use words::{duration, size};

/// A look into the environment.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Everything a configuration is made from.
pub struct Sources<'a> {
    /// Name (its suffix tells TOML from YAML) and text.
    pub file: Option<(&'a str, &'a str)>,
    /// The whole environment. Twins are found by their prefix, `${VAR}` by name.
    pub env: &'a [(String, String)],
    /// Reads the file of a `${file:/path}`.
    pub read: &'a dyn Fn(&str) -> Option<String>,
    /// Where data goes when nobody says.
    pub data_dir: &'a str,
    /// Flags that stand for a member: path, value, and the flag as typed. They outrank everything.
    pub flags: &'a [(&'a [&'a str], &'a str, &'a str)],
}

/// A configuration in effect.
pub struct Loaded {
    pub checked: Checked,
    tree: Node,
    file: Option<(String, String)>,
}

impl Loaded {
    /// As TOML, with a comment per value saying where it came from, secrets masked.
    pub fn effective(&self) -> String {
        show::show(&self.tree, self.file.as_ref().map(|(name, text)| (name.as_str(), text.as_str())))
    }
}

/// The tree holds secrets as they are; what was understood of it masks them.
impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.checked.fmt(f)
    }
}

/// Read, lay over each other, and check.
pub fn load(sources: &Sources<'_>, facts: &Facts<'_>) -> Result<Loaded, Problems> {
    let shape = Shape::new(raw::schema());
    let mut problems = Vec::new();
    let mut secrets = Veil::default();

    let mut tree = defaults(sources.data_dir);
    if let Some((name, text)) = sources.file {
        match parse::Format::of(name) {
            Some(format) => {
                let file = parse::parse(text, format, &mut problems);
                secrets = Veil::over(text, &file, &shape, problems.is_empty());
                if matches!(file.value, Value::Table(_) | Value::Null) {
                    tree.merge(file);
                } else {
                    problems.push(Problem::new(file.origin, Path::default(), "a configuration is a table of members"));
                }
            }
            None => problems.push(Problem::new(
                Origin::Default,
                Path::default(),
                format!("a configuration ends in .toml, .yaml, .yml or .json: {name}"),
            )),
        }
    }
    let mut twins: Vec<&(String, String)> = sources.env.iter().filter(|(name, _)| is_twin(name)).collect();
    twins.sort();
    for (name, text) in twins {
        env::set(&mut tree, name, text, &shape, facts.builtin, &mut problems);
    }
    database(&mut tree, sources.env, &shape);
    for (path, text, flag) in sources.flags {
        env::set_flag(&mut tree, path, text, flag, &shape);
    }

    // Last, so that a value which is overruled needs no variable.
    let variable = |name: &str| lookup(sources.env, name);
    let from = expand::Sources { variable: &variable, file: sources.read };
    expand::expand(&mut tree, &Path::default(), &from, &mut problems);

    shape.prune(&mut tree, &mut problems);
    let raw = raw::Raw::deserialize(tree.to_json()).unwrap_or_else(|e| {
        // The schema is made from these types, so it lets nothing pass that they refuse, save for numbers at the edge.
        problems.push(Problem::new(Origin::Default, Path::default(), e.to_string()));
        raw::Raw::default()
    });
    match check::check(&raw, &tree, facts, &variable, &mut problems) {
        Some(checked) => {
            Ok(Loaded { checked, tree, file: sources.file.map(|(name, text)| (name.to_owned(), text.to_owned())) })
        }
        None => Err(Problems::new(sources.file, secrets, problems)),
    }
}

/// The JSON Schema of the format, for editors.
pub fn schema() -> String {
    let mut text = serde_json::to_string_pretty(&raw::schema()).unwrap_or_default();
    text.push('\n');
    text
}

/// The two names an address of a database goes by. Ours outranks the file, as a twin does; the one everybody uses only stands in, and
/// not if it is another kind of database's.
fn database(tree: &mut Node, env: &[(String, String)], shape: &Shape) {
    const PATH: [&str; 1] = ["database_url"];
    let said = tree.origin_of(&Path::of(&PATH)) != tree.origin_of(&Path::default());
    if let Some(url) = lookup(env, "SLIPSWITCH_DATABASE_URL") {
        env::set_named(tree, &PATH, &url, "SLIPSWITCH_DATABASE_URL", shape);
    } else if let Some(url) = lookup(env, "DATABASE_URL").filter(|url| !said && slip_store::DatabaseUrl::is_one(url)) {
        env::set_named(tree, &PATH, &url, "DATABASE_URL", shape);
    }
}

fn defaults(data_dir: &str) -> Node {
    let mut tree = parse::toml_document(include_str!("defaults.toml"), &Origin::Default);
    if let Value::Table(entries) = &mut tree.value {
        let node = Node::new(Value::String(data_dir.to_owned()), Origin::Default);
        // After `listen`, where a reader looks for it.
        entries.insert(1.min(entries.len()), Entry { key: "data_dir".into(), key_at: Origin::Default, node });
    }
    tree
}

fn is_twin(name: &str) -> bool {
    name.get(..env::PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(env::PREFIX))
}

fn lookup(env: &[(String, String)], name: &str) -> Option<String> {
    env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}
