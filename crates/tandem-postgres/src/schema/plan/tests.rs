//! Transcripts: a file and two sites in, steps or obstacles out.

use super::super::lint::{Circumstances, understand};
use super::super::shape::{Column, Key};
use super::*;

fn config() -> Config {
    Config::parse(include_str!("../../../../../docs/examples/tandem.toml")).expect("the example")
}

fn column(name: &str, not_null: bool) -> Column {
    Column {
        schema: "public".into(),
        table: "contact".into(),
        column: name.into(),
        kind: "text".into(),
        not_null,
        ..Column::default()
    }
}

/// A site with a table `contact (id primary key, name)`.
fn side(config: &Config, site: &str) -> Side {
    let key = Key {
        schema: "public".into(),
        table: "contact".into(),
        name: "contact_key".into(),
        identity: "d".into(),
        columns: vec!["id".into()],
    };
    Side {
        names: Names::of(config, site.parse().expect("a site")).expect("names"),
        shape: Shape {
            columns: vec![column("id", true), column("name", true)],
            keys: vec![key],
            indexes: Vec::new(),
        },
        journal: Vec::new(),
        carried: Vec::new(),
        copying: false,
        closed_schemas: Vec::new(),
    }
}

fn sides(config: &Config) -> Sides {
    Sides {
        primary: side(config, "aws"),
        replica: side(config, "gcp"),
    }
}

fn read(text: &str) -> Script {
    let circumstances = Circumstances {
        schema: "public".into(),
        owner_role: None,
        wrapped: false,
    };
    understand("f.sql", text, &circumstances)
}

/// The steps as a person reads them; `+` marks what is done already.
fn steps(text: &str, sides: &Sides) -> Vec<String> {
    let steps = plan(&config(), &read(text), sides).expect("a plan");
    steps
        .iter()
        .map(|step| format!("{}{step}", if step.done { "+" } else { "" }))
        .collect()
}

fn obstacles(text: &str, sides: &Sides) -> String {
    let found = plan(&config(), &read(text), sides).expect_err("obstacles");
    found
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

fn done(text: &str) -> Vec<(Mark, Progress)> {
    marks(&read(text))
        .into_iter()
        .map(|mark| (mark, Progress::Done))
        .collect()
}

const ADD: &str = "ALTER TABLE contact ADD COLUMN email text";

#[test]
fn each_class_has_its_order() {
    let sides = sides(&config());
    assert_eq!(
        steps(ADD, &sides),
        [format!("gcp: {ADD}"), format!("aws: {ADD}")]
    );
    let data = "UPDATE contact SET name = ''";
    assert_eq!(steps(data, &sides), [format!("aws: {data}")]);
    let drop = "ALTER TABLE contact DROP COLUMN name";
    assert_eq!(
        steps(drop, &sides),
        [
            "gcp: let public.contact take rows without name, which the primary drops first"
                .to_owned(),
            format!("aws: {drop}"),
            "gcp: wait until everything written before has arrived".to_owned(),
            format!("gcp: {drop}"),
        ]
    );
}

#[test]
fn a_new_table_is_published_when_everything_stands() {
    let mut sides = sides(&config());
    sides.replica.closed_schemas = vec!["public".into()];
    let text = "CREATE TABLE tag (id bigint PRIMARY KEY); INSERT INTO tag VALUES (1)";
    assert_eq!(
        steps(text, &sides),
        [
            "gcp: let crm_owner create in schema public",
            "gcp: CREATE TABLE tag (id bigint PRIMARY KEY), guarded and granted at once",
            "aws: CREATE TABLE tag (id bigint PRIMARY KEY), guarded and granted at once",
            "aws: INSERT INTO tag VALUES (1)",
            "aws: publish public.tag",
            "gcp: take the new tables into the subscription",
            "gcp: wait until new tables are copied",
        ]
    );
    for side in [&mut sides.primary, &mut sides.replica] {
        side.journal = done(text);
        side.closed_schemas.clear();
    }
    let again = steps(text, &sides);
    assert!(
        again.iter().all(|step| step.starts_with('+')),
        "a later file dropped it: {again:?}"
    );
}

#[test]
fn what_the_journal_or_one_catalog_shows_is_done() {
    let mut sides = sides(&config());
    sides.replica.journal = done(ADD);
    assert_eq!(
        steps(ADD, &sides),
        [format!("+gcp: {ADD}"), format!("aws: {ADD}")]
    );
    sides.replica.journal.clear();
    sides.primary.shape.columns.push(column("email", false));
    assert_eq!(
        steps(ADD, &sides),
        [format!("gcp: {ADD}"), format!("+aws: {ADD}")],
        "the wrong half, by hand"
    );
    sides.replica.shape.columns.push(column("email", false));
    assert_eq!(
        steps(ADD, &sides),
        [format!("gcp: {ADD}"), format!("aws: {ADD}")],
        "it was there before: the server says so"
    );
}

#[test]
fn the_same_text_twice_is_two_statements() {
    let twice = "UPDATE contact SET name = name || '!';\n update contact set x = 1; UPDATE  contact SET name = name || '!'";
    let found = marks(&read(twice));
    assert_eq!((found[0].nth, found[2].nth), (1, 2));
    assert_eq!(found[0].statement, found[2].statement);
}

#[test]
fn a_key_is_known_by_the_catalog() {
    let sides = sides(&config());
    let drop = |what: &str| format!("-- tandem: allow drop x\nALTER TABLE contact DROP {what}");
    assert!(obstacles(&drop("COLUMN id"), &sides).contains("public.contact.id is part of the key"));
    assert!(
        obstacles("ALTER TABLE contact DROP CONSTRAINT contact_key", &sides)
            .contains("contact_key is part of the key")
    );
    assert_eq!(
        steps("ALTER TABLE contact DROP CONSTRAINT other", &sides).len(),
        2
    );
}

#[test]
fn doubt_is_an_obstacle() {
    let mut sides = sides(&config());
    sides.replica.shape.columns.push(column("extra", false));
    assert!(obstacles(ADD, &sides).contains("public.contact.extra: nothing at aws, text at gcp"));
    sides.replica.shape.columns.pop();
    sides.primary.journal = done("ALTER TABLE contact ADD COLUMN other text");
    assert!(obstacles(ADD, &sides).contains("no longer in the file"));
    let data = "UPDATE contact SET name = ''";
    sides.primary.journal = vec![(marks(&read(data)).remove(0), Progress::Begun)];
    assert!(obstacles(data, &sides).contains("look whether they arrived at aws"));
}

#[test]
fn a_comment_does_not_order_what_has_no_order() {
    let sides = sides(&config());
    let rename = "-- tandem: allow rename I know\nALTER TABLE contact RENAME COLUMN name TO title";
    assert!(obstacles(rename, &sides).contains("no order of two sites is right"));
    let index =
        "-- tandem: allow index-not-concurrent it is small\nCREATE INDEX i ON contact (name)";
    assert_eq!(steps(index, &sides).len(), 2);
}
