//! A migration file as its statements: where each begins, what it says, and what its author allowed.
//!
//! The file is cut at semicolons between tokens, then each statement is parsed by itself, so that
//! one statement that nobody understands hides no other. The text of a statement is taken from the
//! file as it is: what is executed later is what the author wrote, never what a parser printed.
//!
//! Refused: parsing the file as a whole, which stops at the first unknown word.

use sqlparser::ast::Statement;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace};

/// Enough leading words to recognise a statement that the parser does not know.
const WORDS_MAX: usize = 8;

/// The words with which a comment begins that allows a rule.
const ALLOW: &str = "tandem: allow";

/// One statement of a file.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// The line on which it begins, from 1.
    pub(crate) line: u64,
    /// As it stands in the file, without the semicolon.
    pub(crate) sql: String,
    /// Its first words, in capitals.
    pub(crate) words: Vec<String>,
    /// What the parser made of it, or why it could not.
    pub(crate) tree: Result<Statement, String>,
    /// The word by which it touches what is Tandem's own.
    pub(crate) touches: Option<String>,
    /// What the comments above it allow.
    pub(crate) allowed: Vec<Allowed>,
}

/// `-- tandem: allow RULE reason`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) line: u64,
    pub(crate) rule: String,
    pub(crate) reason: String,
}

/// A file that could not even be cut into statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) line: u64,
    pub(crate) problem: String,
}

/// A file in pieces, and what is allowed below its last statement, where it allows nothing.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) stray: Vec<Allowed>,
}

/// Cuts `text` into statements.
pub(crate) fn cut(text: &str) -> Result<Pieces, Broken> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location();
    let tokens = tokens.map_err(|error| Broken {
        line: error.location.line,
        problem: error.message,
    })?;
    let lines = line_starts(text);
    let mut found = Pieces::default();
    let mut allowed = Vec::new();
    for part in tokens.split(|token| token.token == Token::SemiColon) {
        allowed.extend(part.iter().filter_map(allowance));
        if let Some(piece) = piece(text, &lines, part, &allowed) {
            found.pieces.push(piece);
            allowed.clear();
        }
    }
    found.stray = allowed;
    Ok(found)
}

fn piece(
    text: &str,
    lines: &[usize],
    part: &[TokenWithSpan],
    allowed: &[Allowed],
) -> Option<Piece> {
    let speaks = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_) | Token::EOF);
    let spoken: Vec<_> = part.iter().filter(speaks).cloned().collect();
    let (first, last) = (spoken.first()?, spoken.last()?);
    let begin = offset(text, lines, first.span.start);
    let end = offset(text, lines, last.span.end);
    let word = |token: &TokenWithSpan| match &token.token {
        Token::Word(word) => Some(word.value.to_uppercase()),
        _ => None,
    };
    Some(Piece {
        line: first.span.start.line,
        sql: text[begin..end].to_owned(),
        words: spoken.iter().map_while(word).take(WORDS_MAX).collect(),
        touches: touches(&spoken),
        tree: parse(&spoken),
        allowed: allowed.to_vec(),
    })
}

/// Tandem's schemas and its guard, named as identifiers; the two functions that every
/// application may call are no touch.
fn touches(tokens: &[TokenWithSpan]) -> Option<String> {
    let word = |at: usize| match tokens.get(at).map(|token| &token.token) {
        Some(Token::Word(word)) => word.value.to_lowercase(),
        Some(Token::Period) => ".".to_owned(),
        _ => String::new(),
    };
    let about_schemas = (0..tokens.len()).any(|at| word(at) == "schema");
    (0..tokens.len()).find_map(|at| match word(at).as_str() {
        "tandem_guard" => Some(word(at)),
        "tandem" | "tandem_local" | "tandem_schema" if word(at + 1) == "." => {
            let open = ["origin", "site"].contains(&word(at + 2).as_str());
            (!open).then(|| format!("{}.{}", word(at), word(at + 2)))
        }
        "tandem" | "tandem_local" | "tandem_schema" if about_schemas => Some(word(at)),
        _ => None,
    })
}

fn parse(tokens: &[TokenWithSpan]) -> Result<Statement, String> {
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens.to_vec());
    let statement = parser
        .parse_statement()
        .map_err(|error| error.to_string())?;
    match parser.peek_token().token {
        Token::EOF => Ok(statement),
        rest => Err(format!("`{rest}` was not expected here")),
    }
}

/// What a comment allows, if it is one of ours.
fn allowance(token: &TokenWithSpan) -> Option<Allowed> {
    let comment = match &token.token {
        Token::Whitespace(Whitespace::SingleLineComment { comment, .. }) => comment,
        Token::Whitespace(Whitespace::MultiLineComment(comment)) => comment,
        _ => return None,
    };
    let rest = comment.trim().strip_prefix(ALLOW)?;
    if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
        return None;
    }
    let rest = rest.trim();
    let (rule, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    Some(Allowed {
        line: token.span.start.line,
        rule: rule.to_owned(),
        reason: reason.trim().to_owned(),
    })
}

fn line_starts(text: &str) -> Vec<usize> {
    let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(breaks).collect()
}

/// The byte at a place that counts lines and characters from 1.
fn offset(text: &str, lines: &[usize], place: Location) -> usize {
    let number = |value: u64| usize::try_from(value.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(&begin) = lines.get(number(place.line)) else {
        return text.len();
    };
    let mut characters = text[begin..].char_indices();
    characters
        .nth(number(place.column))
        .map_or(text.len(), |(at, _)| begin + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_cut_as_they_stand() {
        let text = "-- first\nCREATE TABLE a (id int);\n\n  INSERT INTO a VALUES (1), ('ä;ö');\nDO $$ BEGIN; END $$;\n";
        let found = cut(text).expect("pieces").pieces;
        let shown: Vec<_> = found
            .iter()
            .map(|piece| (piece.line, piece.sql.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                (2, "CREATE TABLE a (id int)"),
                (4, "INSERT INTO a VALUES (1), ('ä;ö')"),
                (5, "DO $$ BEGIN; END $$"),
            ]
        );
        assert_eq!(found[0].words, ["CREATE", "TABLE", "A"]);
        assert!(found[0].tree.is_ok() && found[2].tree.is_err());
    }

    #[test]
    fn a_comment_allows_one_rule_of_the_next_statement() {
        let text = "-- tandem: allow drop nobody reads it\nDROP TABLE a; DROP TABLE b;\n/* tandem: allow rename */";
        let found = cut(text).expect("pieces");
        let allowed = &found.pieces[0].allowed;
        assert_eq!(
            (allowed[0].rule.as_str(), allowed[0].reason.as_str()),
            ("drop", "nobody reads it")
        );
        assert!(found.pieces[1].allowed.is_empty());
        assert_eq!(found.stray.len(), 1);
    }

    #[test]
    fn an_open_string_breaks_the_file() {
        let broken = cut("SELECT 1;\nSELECT 'open").expect_err("broken");
        assert_eq!(broken.line, 2, "{broken:?}");
    }
}
