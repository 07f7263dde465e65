//! What dies with one cloud although the application lives in two.

use crate::check::{Found, Outcome, Rule, Severity, Topic, judge};
use crate::estate::Estate;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "dependency-mail",
        topic: Topic::Dependencies,
        severity: Severity::Warning,
        title: "mail leaves when either cloud is lost",
        why: "Mail through one provider's service stops with its region; password resets stop too.",
        formula: "a second mail route (MAIL_FALLBACK_HOST) beside SES settings",
        source: "Amazon SES is regional",
        remedy: "MAIL_FALLBACK_HOST with an SMTP relay outside of AWS",
        check: mail,
    },
    Rule {
        id: "dependency-scheduler",
        topic: Topic::Dependencies,
        severity: Severity::Warning,
        title: "scheduled work goes on when either cloud is lost",
        why: "Schedules kept in one cloud do not run in the other, and after failback they run late or twice.",
        formula: "SCHEDULER_PROVIDER is not one cloud's service",
        source: "EventBridge Scheduler is regional; design: exactly-once work asks GET /v1/writer",
        remedy: "SCHEDULER_PROVIDER = kubernetes: CronJobs in both clouds that ask GET /v1/writer first",
        check: scheduler,
    },
    Rule {
        id: "dependency-queue",
        topic: Topic::Dependencies,
        severity: Severity::Warning,
        title: "queues survive the loss of either cloud",
        why: "Messages in one cloud's queue are out of reach while it is lost.",
        formula: "no queue address of one cloud in app_env",
        source: "Amazon SQS is regional",
        remedy: "keep work items in PostgreSQL (an outbox table), which is replicated",
        check: queue,
    },
    Rule {
        id: "dependency-kafka",
        topic: Topic::Dependencies,
        severity: Severity::Warning,
        title: "Kafka is reachable when either cloud is lost",
        why: "Brokers in one cloud stop with it.",
        formula: "KAFKA_BOOTSTRAP_SERVERS names brokers outside of one cloud",
        source: "Amazon MSK is regional",
        remedy: "brokers in both clouds with mirroring, or leave KAFKA_BOOTSTRAP_SERVERS empty",
        check: kafka,
    },
];

/// A setting of the application, if it is not empty.
fn env(estate: &Estate, key: &str) -> Option<String> {
    estate
        .aws
        .entry("app_env", key)
        .filter(|value| !value.is_empty())
}

fn one(estate: &Estate, promised: &str, computed: Option<String>, holds: &str) -> Outcome {
    let place = estate.aws.setting("app_env")?.place.clone();
    judge(
        computed
            .map(|computed| Found::at(place, promised, computed))
            .into_iter()
            .collect(),
        holds,
    )
}

fn mail(estate: &Estate) -> Outcome {
    let ses =
        env(estate, "AWS_CONFIGURATION_SET").is_some() || env(estate, "MAIL_USERNAME").is_some();
    let fallback = env(estate, "MAIL_FALLBACK_HOST").is_some();
    let computed = (ses && !fallback).then(|| {
        "MAIL_USERNAME and AWS_CONFIGURATION_SET point to SES in AWS; there is no second route"
            .to_owned()
    });
    one(
        estate,
        "mail leaves from the survivor",
        computed,
        "a second mail route exists, or no mail",
    )
}

fn scheduler(estate: &Estate) -> Outcome {
    let provider = env(estate, "SCHEDULER_PROVIDER").unwrap_or_default();
    let tied = matches!(provider.as_str(), "aws" | "gcp");
    let computed = tied.then(|| {
        format!("SCHEDULER_PROVIDER = {provider}: schedules live in {provider} and stop with it")
    });
    one(
        estate,
        "scheduled work runs at the survivor",
        computed,
        "schedules are not tied to one cloud",
    )
}

fn queue(estate: &Estate) -> Outcome {
    let arn = env(estate, "AWS_SCHEDULE_SQS_ARN");
    let computed = arn.map(|_| "AWS_SCHEDULE_SQS_ARN names a queue in AWS: its messages are out of reach when AWS is lost".to_owned());
    one(
        estate,
        "queued work survives",
        computed,
        "no queue of one cloud",
    )
}

fn kafka(estate: &Estate) -> Outcome {
    let servers = env(estate, "KAFKA_BOOTSTRAP_SERVERS");
    let tied = servers.filter(|servers| {
        let hosts = servers.split(',').map(|server| {
            server
                .trim()
                .rsplit_once(':')
                .map_or(server.trim(), |(host, _)| host)
        });
        let mut clouds: Vec<&str> = hosts
            .map(|host| {
                if host.ends_with("amazonaws.com") {
                    "aws"
                } else {
                    "other"
                }
            })
            .collect();
        clouds.dedup();
        clouds == ["aws"]
    });
    let computed =
        tied.map(|servers| format!("KAFKA_BOOTSTRAP_SERVERS = {servers}: every broker is in AWS"));
    one(
        estate,
        "events flow at the survivor",
        computed,
        "brokers are not tied to one cloud",
    )
}
