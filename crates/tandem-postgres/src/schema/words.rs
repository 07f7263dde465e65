//! Statements that the parser does not know (or knows in another product's words), told by
//! their first words.
//!
//! Only what can be judged without looking inside is recognised here; everything else that the
//! parser refuses stays unreadable, and is said to be.

use super::reading::{Class, Effect, Lock, Name, Reading, Scene};
use super::rules;
use super::text::Piece;

/// What the first words tell, if that is enough.
pub(super) fn read(piece: &Piece, scene: &Scene) -> Option<Reading> {
    let words: Vec<_> = piece.words.iter().map(String::as_str).collect();
    let sql = piece.sql.as_str();
    Some(match words.as_slice() {
        ["DO", ..] | ["CALL", ..] | ["EXECUTE", ..] => {
            Reading::refused(rules::UNKNOWN, "a block or procedure may do anything")
        }
        ["COPY", ..] => Reading::refused(rules::UNKNOWN, "COPY reads what is not in the file"),
        [
            "CREATE" | "ALTER" | "DROP",
            "PUBLICATION" | "SUBSCRIPTION",
            ..,
        ] => Reading::refused(rules::TANDEM_OBJECTS, words[..2].join(" ")),
        ["ALTER", "SEQUENCE", ..] => {
            Reading::new(Class::Neutral, Lock::MOMENT).hit(rules::SEQUENCE, sql)
        }
        ["REFRESH", "MATERIALIZED", ..] => {
            let reading =
                Reading::new(Class::Neutral, Lock::MOMENT).hit(rules::MATERIALIZED_VIEW, sql);
            if words.contains(&"CONCURRENTLY") {
                reading.alone()
            } else {
                reading
            }
        }
        ["CLUSTER", ..] | ["VACUUM", "FULL", ..] => Reading::new(Class::Neutral, Lock::WHOLE)
            .hit(rules::TABLE_REWRITE, sql)
            .alone(),
        ["VACUUM", ..] if sql.to_uppercase().contains("FULL") => {
            Reading::new(Class::Neutral, Lock::WHOLE)
                .hit(rules::TABLE_REWRITE, sql)
                .alone()
        }
        ["VACUUM", ..] => Reading::new(Class::Neutral, Lock::UPDATE).alone(),
        ["REINDEX", ..] if words.contains(&"CONCURRENTLY") => {
            Reading::new(Class::Neutral, Lock::UPDATE).alone()
        }
        ["REINDEX", ..] => {
            Reading::new(Class::Neutral, Lock::SHARE).hit(rules::INDEX_NOT_CONCURRENT, sql)
        }
        ["DROP", "INDEX", "CONCURRENTLY", ..] => drop_index(piece, scene)?,
        ["SET", "SESSION", "AUTHORIZATION", ..] | ["SET", "ROLE", ..] => {
            Reading::refused(rules::UNKNOWN, "each step runs as the owner role")
        }
        ["RESET", ..] => Reading::new(Class::Skipped, Lock::NONE),
        _ => return None,
    })
}

/// `DROP INDEX CONCURRENTLY [IF EXISTS] name`: the parser knows it without its third word.
fn drop_index(piece: &Piece, scene: &Scene) -> Option<Reading> {
    let (at, found) = ["CONCURRENTLY", "concurrently", "Concurrently"]
        .iter()
        .find_map(|word| Some((piece.sql.find(word)?, word)))?;
    let plain = format!("{}{}", &piece.sql[..at], &piece.sql[at + found.len()..]);
    let cut = super::text::cut(&plain).ok()?;
    let Ok(sqlparser::ast::Statement::Drop { names, .. }) = &cut.pieces.first()?.tree else {
        return None;
    };
    let index: Name = scene.name(names.first()?);
    let reading = Reading::new(
        Class::Additive,
        Lock {
            mode: "SHARE UPDATE EXCLUSIVE",
            time: "a moment; nobody waits",
        },
    );
    Some(
        reading
            .with(Effect::Index {
                index,
                appears: false,
            })
            .alone(),
    )
}
