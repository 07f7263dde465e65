//! The person at the terminal, or the flags that answer for one.

use std::io::{BufRead, IsTerminal, Write};

use tandem_infra::phases::run::{Asked, Person};

use super::Change;

pub(super) struct Terminal {
    change: Change,
    cluster: String,
}

impl Terminal {
    pub(super) fn new(change: &Change, cluster: &str) -> Self {
        Self {
            change: change.clone(),
            cluster: cluster.to_owned(),
        }
    }

    /// What was typed; `None` where nobody can type.
    fn typed(&self, question: &str) -> Option<String> {
        if self.change.no_input || !std::io::stdin().is_terminal() {
            return None;
        }
        eprint!("{question} ");
        let _ = std::io::stderr().flush();
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).ok()?;
        Some(line.trim().to_owned())
    }

    fn agrees_to_losses(&self, losses: &[&str]) -> bool {
        if self.change.confirm.as_deref() == Some(self.cluster.as_str()) {
            return true;
        }
        let question = format!(
            "{} of these hold data. Type `{}` to lose them:",
            losses.len(),
            self.cluster
        );
        match self.typed(&question) {
            Some(typed) => typed == self.cluster,
            None => {
                eprintln!("to agree from a script: --confirm {}", self.cluster);
                false
            }
        }
    }

    fn agrees_to_change(&self) -> bool {
        // The cluster's name agrees to everything that a destroy asks.
        if self.change.yes || self.change.confirm.as_deref() == Some(self.cluster.as_str()) {
            return true;
        }
        match self.typed("Apply this? Type `yes`:") {
            Some(typed) => typed == "yes",
            None => {
                eprintln!("to agree from a script: --yes");
                false
            }
        }
    }
}

impl Person for Terminal {
    fn tell(&self, line: &str) {
        eprintln!("{line}");
    }

    fn agrees(&self, asked: &Asked<'_>) -> bool {
        let Asked::Apply { shown, losses } = asked;
        eprint!("{shown}");
        if losses.is_empty() {
            self.agrees_to_change()
        } else {
            self.agrees_to_losses(losses)
        }
    }
}
