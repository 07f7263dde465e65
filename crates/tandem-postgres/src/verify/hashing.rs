//! From a row to 64 bits, inside the server, the same bits on every supported release.
//!
//! Each column is hashed by PostgreSQL's own seeded functions (those of hash partitioning,
//! which upgrades must not change), the column hashes are joined by XOR and mixed once more;
//! ranges add rows up as exact numbers. A changed row goes unnoticed with a chance of about 2^-64.
//!
//! Invariant: two values hash alike only if their text output is the same. Where a built-in
//! hash is laxer (`1.0` and `1.00`, `0` and `-0`, the folded halves of a bigint), what it
//! forgets goes into the seed. Exception: timestamps before 1700 or after 2240 that differ by
//! one microsecond.
//!
//! Refused: md5 over the text of the row, which takes about four times as long.
//! None of this stops a forger: the hashes are not cryptographic.

use postgres_protocol::escape::escape_identifier as ident;

use super::catalog::Compared;

/// How a column becomes 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Int4,
    Int8,
    Oid,
    Bool,
    Float,
    Numeric,
    Stamp,
    Uuid,
    Text,
    /// Its text output: whatever type it is.
    Output,
}

/// The quickest lossless hash of two built-in types; only their text can be the same if they differ.
pub(super) fn hash_of(ours: &str, theirs: &str) -> Hash {
    if ours != theirs {
        return Hash::Output;
    }
    match ours {
        "int2" | "int4" => Hash::Int4,
        "int8" => Hash::Int8,
        "oid" => Hash::Oid,
        "bool" => Hash::Bool,
        "float4" | "float8" => Hash::Float,
        "numeric" => Hash::Numeric,
        "timestamp" | "timestamptz" => Hash::Stamp,
        "uuid" => Hash::Uuid,
        "text" | "varchar" => Hash::Text,
        _ => Hash::Output,
    }
}

/// The hash of a whole row, not yet mixed.
pub(super) fn row(columns: &[Compared]) -> String {
    let (outputs, quick): (Vec<_>, Vec<_>) = (1_i64..)
        .zip(columns)
        .partition(|(_, column)| column.hash == Hash::Output);
    let mut terms: Vec<String> = quick
        .iter()
        .map(|(place, column)| {
            let hashed = value(&ident(&column.name), column.hash, seed(*place));
            // NULL needs bits of its own, or it would swallow the row.
            format!("coalesce({hashed}, {})", seed(-*place))
        })
        .collect();
    if !outputs.is_empty() {
        let names: Vec<_> = outputs
            .iter()
            .map(|(_, column)| ident(&column.name))
            .collect();
        let text = format!("ROW({})::text COLLATE \"C\"", names.join(", "));
        terms.push(format!("hashtextextended({text}, 0)"));
    }
    terms.join(" # ")
}

/// The second mixing, of a `bigint` expression: without it, values that changed places
/// between two rows would cancel out too often.
pub(super) fn mixed(name: &str) -> String {
    format!("hashint8extended({name}, {name} >> 32)")
}

/// One column of a row, NULL for NULL.
pub(super) fn column(column: &Compared) -> String {
    let name = format!("t.{}", ident(&column.name));
    match column.hash {
        Hash::Output => format!("hashtextextended({} COLLATE \"C\", 0)", output(&name)),
        hash => value(&name, hash, 0),
    }
}

/// The text output of an expression, without the casts that change a value on the way.
pub(super) fn output(name: &str) -> String {
    format!("CASE WHEN num_nulls({name}) = 1 THEN NULL ELSE format('%s', {name}) END")
}

/// Far enough apart for what [`value`] adds to them.
fn seed(place: i64) -> i64 {
    place * 1_000_000_000_039
}

fn value(name: &str, hash: Hash, seed: i64) -> String {
    match hash {
        Hash::Int4 => format!("hashint4extended({name}::int4, {seed})"),
        Hash::Bool => format!("hashint4extended({name}::int4, {seed})"),
        Hash::Oid => format!("hashoidextended({name}, {seed})"),
        // hashint8extended folds its halves into one: the upper half goes into the seed.
        Hash::Int8 => format!("hashint8extended({name}, ({name} >> 32) # ({seed})::int8)"),
        Hash::Uuid => format!("uuid_hash_extended({name}, {seed})"),
        Hash::Text => format!("hashtextextended({name} COLLATE \"C\", {seed})"),
        Hash::Stamp => format!("hashfloat8extended(date_part('epoch', {name}), {seed})"),
        Hash::Float => format!(
            "hashfloat8extended({name}, {seed} + (({name} = 0 AND {name}::text = '-0')::int4))"
        ),
        // It forgets scale and sign, and has no hash for NaN and the infinities.
        Hash::Numeric => format!(
            "coalesce(hash_numeric_extended({name}, {seed} + scale({name}) + ({name} < 0)::int4 * 100000), \
             hashtextextended({name}::text COLLATE \"C\", {seed}))"
        ),
        Hash::Output => unreachable!("joined into one text by its callers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_differ_are_compared_as_text() {
        assert_eq!(hash_of("int8", "int8"), Hash::Int8);
        assert_eq!(hash_of("int4", "int8"), Hash::Output);
        assert_eq!(hash_of("jsonb", "jsonb"), Hash::Output);
        assert_eq!(hash_of("", ""), Hash::Output);
    }

    #[test]
    fn a_row_is_one_expression() {
        let column = |name: &str, hash| Compared {
            name: name.into(),
            hash,
        };
        let columns = [
            column("a", Hash::Output),
            column("b", Hash::Int4),
            column("c", Hash::Output),
        ];
        assert_eq!(
            row(&columns),
            "coalesce(hashint4extended(\"b\"::int4, 2000000000078), -2000000000078) # \
             hashtextextended(ROW(\"a\", \"c\")::text COLLATE \"C\", 0)"
        );
    }
}
