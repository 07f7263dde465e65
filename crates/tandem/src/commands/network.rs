//! `--network`: what joins the places of a lab.

use std::convert::Infallible;
use std::os::unix::process::CommandExt;

use clap::ValueEnum;
use tandem_lab::control::with_causes;
use tandem_lab::namespaces::{Entrance, Stand};
use tandem_lab::{Error, Result};

/// What a person wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Network {
    /// Forwards of the lab's own process on loopback; needs no rights
    #[default]
    Userland,
    /// A network namespace for each place, cut by nft; needs root
    Namespaces,
    /// Namespaces where this machine allows them, else userland; says which
    Auto,
}

impl Network {
    /// The word on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Userland => "userland",
            Self::Namespaces => "namespaces",
            Self::Auto => "auto",
        }
    }

    /// Where the lab of this wish stands. For namespaces the program replaces itself by one
    /// that is started in there, with the same arguments; so call it first of all.
    ///
    /// # Errors
    /// As [`Entrance::open`], if nothing else will do.
    pub(crate) fn take(self, base_port: u16, say: impl Fn(&str)) -> Result<Option<Stand>> {
        if self == Self::Userland {
            return Ok(None);
        }
        if let Some(stand) = Stand::here() {
            return Ok(Some(stand));
        }
        match enter(base_port, &say) {
            Err(error) if self == Self::Auto => {
                say(&format!("network: userland, since {}", with_causes(&error)));
                Ok(None)
            }
            Err(error) => Err(error),
            Ok(never) => match never {},
        }
    }
}

/// Goes on inside, and does not return.
fn enter(base_port: u16, say: impl Fn(&str)) -> Result<Infallible> {
    let entrance = Entrance::open(base_port)?;
    if !entrance.can_delay() {
        say("this kernel cannot delay packets (no netem): links have no delay at the start");
    }
    let again = |source| Error::Process {
        action: "start",
        name: "this program in a network namespace".into(),
        source,
    };
    let program = std::env::current_exe().map_err(again)?;
    let mut command = entrance.command(program);
    let replaced = command.args(std::env::args_os().skip(1)).exec();
    Err(again(replaced))
}
