//! Words that do not belong in the repository: paths of somebody's machine, promises without an
//! owner, tests that are switched off.

use super::Finding;
use crate::tree::File;

/// A forbidden word, split so that this file does not break its own rule.
struct Word {
    parts: [&'static str; 2],
    problem: &'static str,
    remedy: &'static str,
}

const PATH: &str = "a path of one machine";
const PATH_REMEDY: &str =
    "name it from the repository's root, from a variable or from a temporary folder";

const WORDS: &[Word] = &[
    Word {
        parts: ["/home", "/"],
        problem: PATH,
        remedy: PATH_REMEDY,
    },
    Word {
        parts: ["/root", "/"],
        problem: PATH,
        remedy: PATH_REMEDY,
    },
    Word {
        parts: ["/Users", "/"],
        problem: PATH,
        remedy: PATH_REMEDY,
    },
    Word {
        parts: ["/work", "/"],
        problem: PATH,
        remedy: PATH_REMEDY,
    },
    Word {
        parts: ["FIX", "ME"],
        problem: "known to be wrong",
        remedy: "repair it now, or open an issue and describe the limit",
    },
    Word {
        parts: ["#[ign", "ore"],
        problem: "a test that never runs",
        remedy: "make it pass, or delete it",
    },
];

const LATER: Word = Word {
    parts: ["TO", "DO"],
    problem: "a promise without an owner",
    remedy: "do it now, or write the issue's number or a name in brackets behind it",
};

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files
        .iter()
        .filter(|file| !file.path.ends_with("Cargo.lock"))
    {
        for (number, line) in file.text.lines().enumerate() {
            let place = format!("{}:{}", file.path, number + 1);
            let found = WORDS.iter().filter(|word| word.stands_in(line, |_| false));
            // `(name)`, `(#12)`, ` #12` behind the word name who does it.
            let owned =
                |behind: &str| behind.starts_with('(') || behind.trim_start().starts_with('#');
            let later = LATER.stands_in(line, owned).then_some(&LATER);
            findings.extend(found.chain(later).map(|word| word.finding(&place)));
        }
    }
    findings
}

impl Word {
    /// Whether the word stands in a line as a whole, and `excused` does not accept what follows.
    fn stands_in(&self, line: &str, excused: impl Fn(&str) -> bool) -> bool {
        let word = self.parts.concat();
        line.match_indices(&word).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let behind = &line[at + word.len()..];
            let inside = before.is_some_and(|c| c.is_alphanumeric() || "._-~$}".contains(c));
            let goes_on = word.ends_with(char::is_alphanumeric)
                && behind.starts_with(|c: char| c.is_alphanumeric() || c == '_');
            !inside && !goes_on && !excused(behind)
        })
    }

    fn finding(&self, place: &str) -> Finding {
        let problem = format!("`{}`: {}", self.parts.concat(), self.problem);
        Finding::new(place, problem, self.remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Vec<String> {
        let file = File {
            path: "a.md".to_string(),
            text: text.to_string(),
        };
        check(&[file])
            .into_iter()
            .map(|found| found.place)
            .collect()
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        let [home, work] = ["/home", "/work"].map(|folder| format!("{folder}/me/x"));
        assert_eq!(
            places(&format!("see {home}\nsee `{work}`")),
            ["a.md:1", "a.md:2"]
        );
        let elsewhere = format!("https://example.com{work} and a{home} and $X{work}, network/work");
        assert_eq!(places(&elsewhere), [""; 0]);
    }

    #[test]
    fn promises_need_an_owner() {
        let later = LATER.parts.concat();
        assert_eq!(
            places(&format!(
                "// {later}: later\n// {later}(#12): later\n// {later} #12\n{later}S"
            )),
            ["a.md:1"]
        );
    }
}
