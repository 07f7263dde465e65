//! What the commands of a named person share: where to ask, which language, which token, and the
//! question before anything dangerous.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 4 not authorised, 5 refused by a safety rule,
//! 6 timed out or partial, 130 interrupted. Secrets come by file or stdin only.

use std::fmt;
use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tandem_agent::Overview;
use tandem_agent::people::{Ask, Made, PlanShown, Refusal, RuleShown};
use tandem_core::config::Config;
use tandem_core::model::SiteId;
use tandem_core::planner::Language;
use tandem_tls::{Answer as Reply, AskError, Credentials, Peer};

use super::agent::{USAGE, read_config};

/// Something went wrong.
pub(crate) const FAILED: u8 = 1;
/// No token, or nobody's.
pub(crate) const UNAUTHORISED: u8 = 4;
/// A safety rule stands in the way.
pub(crate) const REFUSED: u8 = 5;
/// Too late, or only in part.
pub(crate) const PARTIAL: u8 = 6;
/// Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// The end of a command with a code of its own and what to say.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code.
    pub(crate) code: u8,
    /// For stderr.
    pub(crate) said: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

impl std::error::Error for Ended {}

/// Ends a command.
pub(crate) fn end(code: u8, said: impl Into<String>) -> anyhow::Error {
    let said = said.into();
    anyhow::Error::new(Ended { code, said })
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// For programs: versioned, never translated
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Lang {
    /// English
    En,
    /// Korean
    Ko,
}

/// The language that was asked for, else the environment's.
pub(crate) fn language(asked: Option<Lang>) -> Language {
    match asked {
        Some(Lang::En) => Language::English,
        Some(Lang::Ko) => Language::Korean,
        None => {
            let set = ["LC_ALL", "LC_MESSAGES", "LANG"]
                .iter()
                .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
            let korean = set.is_some_and(|value| value.starts_with("ko"));
            if korean {
                Language::Korean
            } else {
                Language::English
            }
        }
    }
}

/// One of two wordings.
pub(crate) fn say(language: Language, english: &str, korean: &str) -> String {
    match language {
        Language::English => english.to_owned(),
        Language::Korean => korean.to_owned(),
    }
}

/// Every command that asks agents.
#[derive(clap::Args)]
pub(crate) struct Common {
    /// The configuration as seen from this place
    #[arg(long, value_name = "FILE", default_value = "tandem.toml")]
    pub(crate) config: PathBuf,
    /// The form of the answer
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: Output,
    /// The language of what people read; `LC_ALL`, `LC_MESSAGES` or `LANG` if not given
    #[arg(long, value_enum)]
    pub(crate) lang: Option<Lang>,
    /// How long to wait for each agent, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(50..=60_000))]
    pub(crate) timeout_ms: u64,
}

/// Every command that changes something.
#[derive(clap::Args)]
pub(crate) struct Changing {
    #[command(flatten)]
    pub(crate) common: Common,
    /// File with your access token, `-` for stdin [default: ~/.config/tandem/CLUSTER.token]
    #[arg(long, env = "TANDEM_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print what would be asked for, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    answer: Answer,
}

/// The answer to the last question before a change.
#[derive(clap::Args)]
pub(crate) struct Answer {
    /// The cluster's name, instead of an answer typed by hand
    #[arg(long, value_name = "CLUSTER")]
    confirm: Option<String>,
    /// Never ask: without --confirm refuse
    #[arg(long)]
    no_input: bool,
}

/// How much an answer must cost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Danger {
    /// y or n.
    Moderate,
    /// The cluster's name.
    Severe,
}

/// One agent as seen from here.
struct Desk {
    site: SiteId,
    name: String,
    peer: Peer,
}

/// A person at work.
pub(crate) struct Session {
    pub(crate) config: Config,
    pub(crate) language: Language,
    pub(crate) output: Output,
    credentials: Option<Credentials>,
    bound: Duration,
    agents: Vec<Desk>,
}

impl Session {
    /// Reads configuration and certificates; nobody is asked yet.
    pub(crate) fn open(common: &Common) -> anyhow::Result<Self> {
        let Some(config) = read_config(&common.config)? else {
            return Err(end(USAGE, "nothing was asked for"));
        };
        let credentials = Credentials::of_person(&config)?;
        let bound = Duration::from_millis(common.timeout_ms);
        let places = config.sites.keys().copied().chain([config.witness.name]);
        let mut agents = Vec::new();
        for site in places {
            for agent in config.agents(site) {
                let name = agent.name.clone();
                let peer = Peer::new(&name, &agent.address, credentials.as_ref(), bound)?;
                agents.push(Desk { site, name, peer });
            }
        }
        Ok(Self {
            language: language(common.lang),
            output: common.output,
            credentials,
            bound,
            agents,
            config,
        })
    }

    /// One of two wordings.
    pub(crate) fn say(&self, english: &str, korean: &str) -> String {
        say(self.language, english, korean)
    }

    /// The whole cluster at a glance.
    pub(crate) async fn overview(&self) -> anyhow::Result<Overview> {
        let credentials = self.credentials.as_ref();
        Ok(Overview::ask(&self.config, credentials, self.bound).await?)
    }

    /// `GET path` of any agent, or of any agent of `site`.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        site: Option<SiteId>,
        path: &str,
    ) -> anyhow::Result<T> {
        let ask = async |agent: &Peer| agent.get(path).await;
        Ok(self.any(site, ask).await?.json()?)
    }

    /// Asks for a change.
    pub(crate) async fn request(
        &self,
        site: Option<SiteId>,
        token: &Token,
        ask: &Ask,
    ) -> anyhow::Result<Made> {
        let post = async |agent: &Peer| agent.post("/v1/requests", Some(&token.0), ask).await;
        Ok(self.any(site, post).await?.json()?)
    }

    /// Takes a request back.
    pub(crate) async fn take_back(&self, token: &Token, id: u64) -> anyhow::Result<()> {
        let path = format!("/v1/requests/{id}");
        let delete = async |agent: &Peer| agent.delete(&path, Some(&token.0)).await;
        self.any(None, delete).await.map(drop)
    }

    /// The first agent that answers for itself decides; a silent one, and one that cannot reach
    /// the store, is passed over. Asking two agents for the same change does no harm: the second
    /// request says the same and ends with the first.
    async fn any(
        &self,
        site: Option<SiteId>,
        ask: impl AsyncFn(&Peer) -> Result<Reply, AskError>,
    ) -> anyhow::Result<Reply> {
        let mut silent = Vec::new();
        let wanted = |agent: &&Desk| site.is_none_or(|site| agent.site == site);
        for agent in self.agents.iter().filter(wanted) {
            match ask(&agent.peer).await {
                Ok(answer) if matches!(answer.status, 421 | 503) => {
                    let told = refusal(&answer).map_or(String::new(), |told| told.en);
                    silent.push(format!("{}: {told}", agent.name));
                }
                Ok(answer) => return self.settle(answer),
                Err(error) => silent.push(format!("{}: {}", agent.name, chain(&error))),
            }
        }
        let said = self.say(
            "no agent could answer:",
            "응답할 수 있는 에이전트가 없습니다:",
        );
        Err(end(FAILED, format!("{said}\n  {}", silent.join("\n  "))))
    }

    fn settle(&self, answer: Reply) -> anyhow::Result<Reply> {
        let code = match answer.status {
            200..=299 => return Ok(answer),
            400 => USAGE,
            401 | 403 => UNAUTHORISED,
            409 => REFUSED,
            _ => FAILED,
        };
        let Some(refusal) = refusal(&answer) else {
            return Err(end(code, format!("an agent answered {}", answer.status)));
        };
        let sentence = self.say(&refusal.en, &refusal.ko);
        let mut said = format!("{}: {sentence}", self.say("refused", "거부됨"));
        if let Some(plan) = &refusal.plan {
            said.push_str(&format!("\n{}", rules(plan, self.language)));
        }
        Err(end(code, said))
    }
}

fn refusal(answer: &Reply) -> Option<Refusal> {
    answer.json().ok()
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Every safety rule of a plan, a line each: what passed, what was seen, what lifts it.
pub(crate) fn rules(plan: &PlanShown, language: Language) -> String {
    let width = plan.rules.iter().map(|rule| name(rule).len()).max();
    let width = width.unwrap_or_default();
    let line = |rule: &RuleShown| {
        let name = name(rule);
        let (mark, rest) = match (rule.passed, rule.time) {
            (true, _) => ("ok  ", String::new()),
            (false, true) => ("wait", seen(rule, language)),
            (false, false) => ("NO  ", seen(rule, language)),
        };
        format!("  {mark}  {name:width$}  {rest}")
            .trim_end()
            .to_owned()
    };
    let lines: Vec<_> = plan.rules.iter().map(line).collect();
    lines.join("\n")
}

fn name(rule: &RuleShown) -> String {
    let name = serde_json::to_value(rule.rule).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}

fn seen(rule: &RuleShown, language: Language) -> String {
    match language {
        Language::English => format!("{}; lifted by: {}", rule.en, rule.lift_en),
        Language::Korean => format!("{}; 해제 방법: {}", rule.ko, rule.lift_ko),
    }
}

/// A person's secret. Has no way to print.
pub(crate) struct Token(String);

impl Changing {
    /// The person's token, from a file that nobody else may read, or from stdin.
    pub(crate) fn token(&self, config: &Config) -> anyhow::Result<Token> {
        let path = match &self.token_file {
            Some(path) => path.clone(),
            None => default_file(&config.cluster).ok_or_else(|| {
                end(
                    UNAUTHORISED,
                    "no access token: name a file with --token-file",
                )
            })?,
        };
        let text = if path == Path::new("-") {
            let mut text = String::new();
            std::io::stdin()
                .take(4_096)
                .read_to_string(&mut text)
                .context("stdin cannot be read")?;
            text
        } else {
            private_file(&path)?
        };
        match text.trim() {
            "" => Err(end(UNAUTHORISED, "the access token is empty")),
            token => Ok(Token(token.to_owned())),
        }
    }

    /// The last question before a change. `--confirm` answers it in scripts.
    pub(crate) fn confirm(&self, session: &Session, danger: Danger) -> anyhow::Result<()> {
        let cluster = session.config.cluster.as_str();
        self.answer.ask(cluster, session.language, danger)
    }
}

impl Answer {
    /// Asks about a change of `cluster`.
    pub(crate) fn ask(
        &self,
        cluster: &str,
        language: Language,
        danger: Danger,
    ) -> anyhow::Result<()> {
        if let Some(given) = &self.confirm {
            if given == cluster {
                return Ok(());
            }
            let said = format!(
                "--confirm names `{given}`, this cluster is `{cluster}`; nothing was changed"
            );
            return Err(end(USAGE, said));
        }
        if self.no_input || !std::io::stdin().is_terminal() {
            let said =
                format!("nobody can be asked here: add --confirm {cluster}; nothing was changed");
            return Err(end(USAGE, said));
        }
        let (question, wanted) = match danger {
            Danger::Moderate => (say(language, "Go on? [y/N] ", "계속할까요? [y/N] "), "y"),
            Danger::Severe => {
                let english = format!("Type the cluster's name ({cluster}) to go on: ");
                let korean = format!("계속하려면 클러스터 이름({cluster})을 입력하십시오: ");
                (say(language, &english, &korean), cluster)
            }
        };
        eprint!("{question}");
        // Without the question on screen the answer is still read.
        let _ = std::io::stderr().flush();
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        if answer.trim() == wanted {
            Ok(())
        } else {
            Err(end(
                FAILED,
                say(language, "nothing was changed", "변경하지 않았습니다"),
            ))
        }
    }
}

fn default_file(cluster: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let home = set("XDG_CONFIG_HOME").map(PathBuf::from);
    let home = home.or_else(|| set("HOME").map(|home| Path::new(&home).join(".config")))?;
    Some(home.join("tandem").join(format!("{cluster}.token")))
}

fn private_file(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let failed = |error| end(UNAUTHORISED, format!("no access token: {shown}: {error}"));
    let mode = std::fs::metadata(path)
        .map_err(failed)?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o077 != 0 {
        let said =
            format!("{shown} holds a secret and has mode {mode:04o}; write `chmod 0600 {shown}`");
        return Err(end(UNAUTHORISED, said));
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// Prints a document for programs.
pub(crate) fn print_json(document: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(document)?);
    Ok(())
}

/// `90s`, `30m`, `2h`, `1d` in seconds.
pub(crate) fn span(text: &str) -> Result<u64, String> {
    let fix = || "write a number and s, m, h or d, like 30m or 2h".to_owned();
    let unit = text.chars().last().ok_or_else(fix)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(fix()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| fix())?;
    let life = number.checked_mul(seconds).ok_or_else(fix)?;
    if (1..=7 * 86_400).contains(&life) {
        Ok(life)
    } else {
        Err("a request lasts at least a second and at most 7 days".into())
    }
}

/// A time that is left, in two units at most.
pub(crate) fn left(ms: u64) -> String {
    let seconds = ms / 1_000;
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// Runs a command's questions to their end; Ctrl-C ends with 130 and says what stays.
pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        tokio::select! {
            done = work => done,
            _ = tokio::signal::ctrl_c() => Err(end(
                INTERRUPTED,
                "interrupted; what was asked for stays in force: see `tandem status`",
            )),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_numbers_with_a_unit() {
        for (text, seconds) in [("90s", 90), ("30m", 1_800), ("2h", 7_200), ("7d", 604_800)] {
            assert_eq!(span(text), Ok(seconds), "{text}");
        }
        for text in [
            "",
            "2",
            "h",
            "-1h",
            "2 h",
            "8d",
            "0s",
            "99999999999999999999d",
            "2é",
        ] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_left_is_said_in_two_units() {
        assert_eq!(left(59_999), "59 s");
        assert_eq!(left(61_000), "1 min 1 s");
        assert_eq!(left(7_261_000), "2 h 1 min");
    }
}
