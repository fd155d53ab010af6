//! Which database, and that its password is shown nowhere.

use super::load_with;

const FILE: &str = "database_url = \"postgres://me:s3cret@file.example/slip\"\n";

type Env<'a> = &'a [(&'a str, &'a str)];

fn url(file: &str, env: Env<'_>) -> Option<String> {
    let loaded = load_with(Some(("gw.toml", file)), env).unwrap_or_else(|problems| panic!("{problems}"));
    let shown = format!("{:?} {}", loaded.checked, loaded.effective());
    assert!(!shown.contains("s3cret"), "{shown}");
    loaded.checked.database_url.map(|url| url.to_string())
}

#[test]
fn ours_outranks_the_file_and_everybodys_stands_in() {
    let (ours, twin, everybodys) = ("SLIPSWITCH_DATABASE_URL", "SLIPSWITCH__DATABASE_URL", "DATABASE_URL");
    let at = |host: &str| format!("postgres://me:s3cret@{host}.example/slip");
    let told = |host: &str| Some(format!("postgres://me@{host}.example:5432/slip"));
    let (env, other) = (at("env"), at("other"));
    let rows: &[(&str, Env<'_>, Option<String>)] = &[
        ("", &[], None),
        (FILE, &[], told("file")),
        ("database_url = \"postgres://me:${LAB_KEY}@file.example/slip\"", &[], told("file")),
        (FILE, &[(everybodys, &env)], told("file")),
        (FILE, &[(twin, &env)], told("env")),
        (FILE, &[(ours, &env), (everybodys, &other)], told("env")),
        (FILE, &[(ours, "")], None),
        ("", &[(everybodys, &env)], told("env")),
        ("", &[(everybodys, "mysql://me:s3cret@h/db")], None),
        ("database_url = \"\"", &[(everybodys, &env)], None),
    ];
    for (file, env, want) in rows {
        assert_eq!(url(file, env), *want, "{file} {env:?}");
    }
}

#[test]
fn what_is_wrong_is_told_without_the_password() {
    let rows: &[(&str, Env<'_>, &str)] = &[
        ("database_url = \"mysql://me:s3cret@h/db\"", &[], "database_url: not the address of a Postgres database"),
        ("database_url = \"postgres://me:s3cret@h/db?sslmode=x\"", &[], "sslmode is one of"),
        ("databse_url = \"host=h password=s3cret\"", &[], "did you mean `database_url`?"),
        ("database_url = \"postgres://me:s3cret@h/db", &[], "gw.toml:1"),
        ("", &[("SLIPSWITCH_DATABASE_URL", "mysql://me:s3cret@h/db")], "SLIPSWITCH_DATABASE_URL"),
        ("pepper_file = \"/run/pepper\"", &[], "is for gateways that share a database"),
    ];
    for (file, env, want) in rows {
        let said = match load_with(Some(("gw.toml", file)), env) {
            Ok(_) => panic!("taken: {file}"),
            Err(problems) => problems.to_string(),
        };
        assert!(said.contains(want) && !said.contains("s3cret"), "{file}: {said}");
    }
}

#[test]
fn where_it_came_from_is_told() {
    let loaded = load_with(None, &[("DATABASE_URL", "postgres://me:s3cret@h/slip")]).unwrap_or_else(|p| panic!("{p}"));
    let shown = loaded.effective();
    assert!(shown.contains("database_url = \"postgres://me@h:5432/slip\"  # DATABASE_URL\n"), "{shown}");
}
