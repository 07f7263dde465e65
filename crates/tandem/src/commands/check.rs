//! `tandem check`: what the configuration really promises, computed offline.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use jiff::civil::Date;
use tandem_infra::assume::Assumptions;
use tandem_infra::check::{self, render, suppress};
use tandem_infra::estate::Estate;

/// Arguments of `tandem check`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tandem check --infra terraform             all findings, errors first by topic
  tandem check --infra terraform -o json     the same for programs (schema tandem.check.v1)
  tandem check explain detect-worst-case     formula, source and remedy of one rule

Exit codes: 0 nothing above info, 3 warnings, 1 errors.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    input: Input,
    /// Also show the rules that hold, with their numbers, and those that cannot tell
    #[arg(long)]
    all: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Print formula, source and remedy of one rule; all rules without ID
    Explain {
        /// The rule's id, as findings show it
        id: Option<String>,
    },
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Output {
    #[default]
    Table,
    Json,
}

/// Which installation, under which assumptions, on which day.
#[derive(clap::Args)]
pub(crate) struct Input {
    /// Folder with aws/, gcp/ and global/, directly or below environments/
    #[arg(long, value_name = "DIR", default_value = "terraform")]
    pub(crate) infra: PathBuf,
    /// The policy; by default tandem.toml in DIR, then in the current folder, if there is one
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Assumptions and accepted findings; by default tandem-check.toml in DIR, then here
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// Settle what the files leave open: KEY=VALUE,... (docs/reference/checks.md lists the keys)
    #[arg(long, value_name = "KEY=VALUE,...")]
    pub(crate) assume: Option<String>,
    /// The day for which the answer holds
    #[arg(long, value_name = "YYYY-MM-DD", hide_default_value = true, default_value_t = today())]
    pub(crate) today: Date,
}

fn today() -> Date {
    jiff::Zoned::now().date()
}

impl Input {
    /// Reads the installation in `infra`.
    pub(crate) fn read(&self) -> anyhow::Result<Estate> {
        self.read_folder(&self.infra)
    }

    /// Reads the installation in another folder under the same assumptions.
    pub(crate) fn read_folder(&self, folder: &Path) -> anyhow::Result<Estate> {
        let beside = |name: &str| {
            let places = [folder.join(name), PathBuf::from(name)];
            places.into_iter().find(|path| path.is_file())
        };
        let settings_file = self
            .settings
            .clone()
            .or_else(|| beside(suppress::FILE_NAME));
        let mut settings = match settings_file {
            Some(path) => suppress::Settings::read(&path)?,
            None => suppress::Settings::default(),
        };
        let mut assumed = Assumptions::parse(self.assume.as_deref().unwrap_or_default())?;
        assumed.fill_from(&settings.assumed);
        settings.assumed = assumed;
        let config = self.config.clone().or_else(|| beside("tandem.toml"));
        Estate::read(folder, config.as_deref(), settings, self.today)
            .with_context(|| "name the folder with --infra DIR")
    }
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(Command::Explain { id }) = args.command {
        return explain(id.as_deref());
    }
    let estate = args.input.read()?;
    let report = check::run(&estate);
    match args.output {
        Output::Json => println!("{}", render::json(&estate, &report)),
        Output::Table => {
            let look = render::Look {
                colour: colour(),
                all: args.all,
            };
            print!("{}", render::table(&estate, &report, look));
        }
    }
    Ok(ExitCode::from(report.exit_code()))
}

fn explain(id: Option<&str>) -> anyhow::Result<ExitCode> {
    match id {
        Some(id) => print!("{}", render::explain(check::find(id)?)),
        None => print!("{}", render::list(&check::RULES)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Colour only for a person at a terminal who did not refuse it.
pub(crate) fn colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stdout().is_terminal() && !refused && !dumb
}
