//! Kills an agent at a chosen moment of its own work, and starts it again.
//!
//! Its log is looked at every millisecond. Which of its statements is under way when the kill
//! arrives is left to chance, as in a real crash; a series passes each line many times.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use tandem_core::drill::Action;
use tandem_core::drill::crash::Moment;
use tandem_core::drill::observed::Told;

use super::stage::Stage;
use super::{Error, clock};

/// How long an agent may take until it says the words; a failover takes seconds.
const BOUND: Duration = Duration::from_secs(60);

/// Between two looks into the logs.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Carries out `action` and kills the first agent that says what `moment` wants. Good if both
/// happened, and the action ended as the file wants it in spite of the crash.
///
/// # Errors
/// As the action's, or if the agent cannot be killed or started again.
pub(super) async fn during(
    stage: &Stage,
    action: &Action,
    moment: &Moment,
    away: Duration,
) -> Result<Told, Error> {
    let logs = logs(stage, moment)?;
    let strike = strike(stage, moment, logs, away);
    let (told, struck) = tokio::try_join!(stage.perform(action), strike)?;
    let told = told.unwrap_or(Told {
        as_expected: true,
        said: "done".to_owned(),
    });
    Ok(Told {
        as_expected: told.as_expected && struck.as_expected,
        said: format!("{}; {}", told.said, struck.said),
    })
}

async fn strike(
    stage: &Stage,
    moment: &Moment,
    mut logs: Vec<Log>,
    away: Duration,
) -> Result<Told, Error> {
    let begun = clock::now();
    let agent = loop {
        for log in &mut logs {
            log.read_on()?;
        }
        if let Some(log) = logs.iter().find(|log| log.new.contains(&moment.says)) {
            break log.agent.clone();
        }
        if clock::now().since(begun) > BOUND {
            return Ok(Told {
                as_expected: false,
                said: format!("waited in vain until {moment}"),
            });
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    let after = clock::now().since(begun).as_secs_f64();
    stage.lab().kill(&agent).await?;
    tokio::time::sleep(away).await;
    stage.lab().start_process(&agent).await?;
    let (says, away) = (&moment.says, away.as_secs_f64());
    Ok(Told {
        as_expected: true,
        said: format!(
            "{agent} was killed after {after:.2} s, when it said `{says}`, and was away for {away} s"
        ),
    })
}

/// What an agent writes from now on.
struct Log {
    agent: String,
    path: PathBuf,
    file: File,
    new: String,
}

impl Log {
    fn read_on(&mut self) -> Result<(), Error> {
        let mut bytes = Vec::new();
        let read = self.file.read_to_end(&mut bytes);
        read.map_err(Error::file("read", &self.path))?;
        self.new.push_str(&String::from_utf8_lossy(&bytes));
        Ok(())
    }
}

fn logs(stage: &Stage, moment: &Moment) -> Result<Vec<Log>, Error> {
    let open = |agent: &String| {
        let path = stage.logs().join(format!("{agent}.log"));
        let mut file = File::open(&path).map_err(Error::file("open", &path))?;
        file.seek(SeekFrom::End(0))
            .map_err(Error::file("read", &path))?;
        Ok(Log {
            agent: agent.clone(),
            path,
            file,
            new: String::new(),
        })
    };
    stage.agents(moment.site).map(open).collect()
}
