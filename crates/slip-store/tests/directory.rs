//! Workspaces, members and guardrails: kept over a restart, changed one at a time, and what they limit.

use slip_ir::Nano;
use slip_store::directory::Cap;
use slip_store::things::Kind;
use slip_store::{
    Assignment, Budget, Edit, Error, Filed, Guardrail, Interval, Key, KeyDetail, Member, NewKey, Place, Reset,
    SecretKey, Store, Whose, Workspace, random_id,
};
use std::sync::Arc;

const NOW: i64 = 1_700_000_000_000;

async fn apply(store: &Store, edits: Vec<Edit>) {
    store.direct(move |_| Ok::<_, Error>((edits, ()))).await.expect("stored");
}

async fn key(store: &Store, secret: &str, workspace: &str, member: Option<&str>) -> Arc<Key> {
    let detail = KeyDetail { member: member.map(Into::into), ..KeyDetail::default() };
    let new = NewKey { workspace: Some(workspace.into()), detail, ..NewKey::default() };
    store.create_key(&SecretKey::parse(secret).expect("a key"), new, NOW).await.expect("kept")
}

fn guardrail(id: &str, limit: i64) -> Guardrail {
    let filed = Filed::new(id, NOW);
    Guardrail { filed, name: id.to_owned(), limit: Some(Nano(limit)), ..Guardrail::default() }
}

/// What limits a key: each scope with its interval and amount.
fn caps(store: &Store, key: &Key) -> Vec<String> {
    let told = |cap: Cap| {
        let reset = cap.reset.map_or("ever", Reset::name);
        let byok = if cap.include_byok { " with byok" } else { "" };
        format!("{} {reset} {}{byok}", cap.scope, cap.limit.0)
    };
    store.directory().caps(key).into_iter().map(told).collect()
}

#[tokio::test]
async fn what_is_changed_is_there_after_a_restart_and_the_default_workspace_always() {
    let dir = std::env::temp_dir().join(format!("slip-directory-{}", random_id()));
    let store = Store::open(Place::Dir(dir.clone()), None).expect("a store");
    assert_eq!(store.directory().now().workspaces().len(), 1);
    let mut workspace = Workspace { filed: Filed::new("w", NOW), slug: "lab".into(), ..Workspace::default() };
    workspace.budgets.insert(Interval::Weekly, Budget::new("b".into(), Nano(7), NOW));
    workspace.budgets.insert(Interval::Daily, Budget::new("c".into(), Nano(2), NOW));
    let member = Member { filed: Filed::new("m", NOW), email: "a@b".into(), ..Member::default() };
    let assignment = Assignment::new(random_id(), "g".into(), Whose::Member("m".into()), NOW);
    let guardrail = Guardrail { limit_reset: Some(Reset::Monthly), ..guardrail("g", 5) };
    apply(
        &store,
        vec![
            Edit::Workspace(workspace.clone()),
            Edit::Member(member.clone()),
            Edit::Guardrail(guardrail.clone()),
            Edit::Assignment(assignment.clone()),
        ],
    )
    .await;
    store.close().await.expect("closed");
    let store = Store::open(Place::Dir(dir.clone()), None).expect("again");
    let now = store.directory().now();
    assert_eq!(now.workspace("lab").map(|w| Workspace::clone(w)), Some(workspace));
    assert_eq!(now.member("m").map(|m| Member::clone(m)), Some(member));
    assert_eq!(now.guardrail("g").map(|g| Guardrail::clone(g)), Some(guardrail));
    assert_eq!(now.assignments().first().map(|a| Assignment::clone(a)), Some(assignment));
    assert!(now.workspace("default").is_some_and(|w| w.is_default()));
    let by_id = now.workspace(slip_store::workspaces::DEFAULT_WORKSPACE_ID);
    assert!(by_id.is_some_and(|w| w.is_default()), "under the id the API tells");
    apply(&store, vec![Edit::Remove(Kind::Workspace, "w".into())]).await;
    assert!(store.directory().now().workspace("lab").is_none());
    assert!(now.workspace("lab").is_some(), "who looks at a snapshot keeps it");
    store.close().await.expect("closed");
    let store = Store::open(Place::Dir(dir.clone()), None).expect("a third time");
    assert!(store.directory().now().workspace("lab").is_none());
    store.close().await.expect("closed");
    let _ = std::fs::remove_dir_all(dir);
}

#[tokio::test]
async fn a_decision_against_a_change_changes_nothing() {
    let store = Store::open(Place::Memory, None).expect("a store");
    #[derive(Debug)]
    enum No {
        Thanks,
        Store,
    }
    impl From<Error> for No {
        fn from(_: Error) -> No {
            No::Store
        }
    }
    let refused = store.direct(|_| Err::<(Vec<Edit>, ()), No>(No::Thanks)).await;
    assert!(matches!(refused, Err(No::Thanks)), "{refused:?}");
    // Many at once: each sees what the one before it did.
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let store = store.clone();
        calls.spawn(async move {
            let grown = store.direct(|directory| {
                let count = directory.members().len();
                let member = Member { filed: Filed::new(format!("m{count}"), NOW), ..Member::default() };
                Ok::<_, Error>((vec![Edit::Member(member)], ()))
            });
            grown.await.expect("stored");
        });
    }
    while let Some(done) = calls.join_next().await {
        done.expect("no panic");
    }
    assert_eq!(store.directory().now().members().len(), 50, "none took another's place");
}

#[tokio::test]
async fn a_key_is_limited_by_its_workspace_its_member_and_its_guardrails() {
    let store = Store::open(Place::Memory, None).expect("a store");
    let plain = key(&store, "sk-plain-key", "default", None).await;
    let anns = key(&store, "sk-ann-one", "w", Some("ann")).await;
    let anns_other = key(&store, "sk-ann-two", "default", Some("ann")).await;
    assert!(caps(&store, &plain).is_empty() && caps(&store, &anns).is_empty());
    let mut workspace = Workspace { filed: Filed::new("w", NOW), include_byok: true, ..Workspace::default() };
    workspace.budgets.insert(Interval::Daily, Budget::new(random_id(), Nano(10), NOW));
    workspace.budgets.insert(Interval::Lifetime, Budget::new(random_id(), Nano(99), NOW));
    let by_workspace = Guardrail { workspace: "w".into(), ..guardrail(&workspace.default_guardrail_id(), 3) };
    let ann = Member {
        filed: Filed::new("ann", NOW),
        limit: Some(Nano(50)),
        limit_reset: Some(Reset::Monthly),
        ..Member::default()
    };
    let by_key = Guardrail { limit_reset: Some(Reset::Daily), include_byok: true, ..guardrail("k", 1) };
    let (ann_is, key_is) = (Whose::Member("ann".into()), Whose::Key(anns.hash.clone()));
    let default = by_workspace.filed.id.clone();
    apply(
        &store,
        vec![
            Edit::Workspace(workspace),
            Edit::Member(ann),
            Edit::Guardrail(by_workspace),
            Edit::Guardrail(guardrail("m", 2)),
            Edit::Guardrail(by_key),
            Edit::Assignment(Assignment::new(random_id(), "m".into(), ann_is, NOW)),
            Edit::Assignment(Assignment::new(random_id(), "k".into(), key_is, NOW)),
        ],
    )
    .await;
    assert!(caps(&store, &plain).is_empty(), "nothing of it concerns this one");
    let theirs = ["member:ann monthly 50".to_owned(), "guardrail:m:member:ann ever 2".to_owned()];
    assert_eq!(caps(&store, &anns_other), theirs);
    let want = [
        "workspace:w daily 10 with byok".to_owned(),
        "workspace:w ever 99 with byok".to_owned(),
        theirs[0].clone(),
        format!("guardrail:{default}:member:ann ever 3"),
        theirs[1].clone(),
        format!("guardrail:k:key:{} daily 1 with byok", anns.hash),
    ];
    assert_eq!(caps(&store, &anns), want);
    // The same guardrail twice over one person is one limit.
    let again = Assignment::new(random_id(), default.clone(), Whose::Member("ann".into()), NOW);
    apply(&store, vec![Edit::Assignment(again)]).await;
    let twice = caps(&store, &anns).iter().filter(|cap| cap.contains(&*default)).count();
    assert_eq!(twice, 1);
}
