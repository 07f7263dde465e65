//! Secrets in files, and what services accept as a secret.

use std::collections::BTreeMap;

use crate::check::{Found, Outcome, Rule, Severity, Topic, judge};
use crate::estate::{Estate, Missing};
use crate::read::Place;
use crate::read::value::Value;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "secret-in-file",
        topic: Topic::Secrets,
        severity: Severity::Error,
        title: "no secret stands in a tfvars file",
        why: "The file is copied and committed, and a failing validation prints the line, sensitive or not.",
        formula: "settings named *password, *token, *secret*, *preshared_key*, *access_key* are empty in files",
        source: "Terraform: sensitive variables; measured with 1.11 and 1.15",
        remedy: "pass it as TF_VAR_<name>, let the provider generate it into a secret store, or use a write-only argument",
        check: in_file,
    },
    Rule {
        id: "secret-cloud-keys",
        topic: Topic::Secrets,
        severity: Severity::Warning,
        title: "applications hold no long-lived cloud keys",
        why: "Keys leak, and the survivor in the other cloud depends on the cloud that issued them.",
        formula: "app_env has no AWS_ACCESS_KEY and AWS_SECRET_KEY",
        source: "EKS pod identity; workload identity federation from GKE",
        remedy: "pod identity in EKS, workload identity federation from GKE",
        check: cloud_keys,
    },
    Rule {
        id: "elasticache-token-form",
        topic: Topic::Secrets,
        severity: Severity::Error,
        title: "ElastiCache accepts the auth token",
        why: "Other characters are refused at apply.",
        formula: "16 to 128 letters, digits and ! & # $ ^ < > -, with TLS on",
        source: "ElastiCache: authenticating with AUTH",
        remedy: "a token of letters, digits and hyphens, generated into a secret store; transit encryption on",
        check: token_form,
    },
    Rule {
        id: "rds-password-form",
        topic: Topic::Secrets,
        severity: Severity::Error,
        title: "RDS accepts the master password",
        why: "Other characters are refused at apply.",
        formula: "8 to 128 printable characters without / @ \" and space",
        source: "RDS: CreateDBInstance, MasterUserPassword",
        remedy: "let RDS manage the password (manage_master_user_password), or choose another",
        check: password_form,
    },
];

fn is_secret_name(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let named = [
        "password",
        "auth_token",
        "api_token",
        "preshared_key",
        "secret_key",
        "access_key",
        "secret_data",
        "private_key",
    ];
    let setting_about = ["_enabled", "_secret_id", "_arn", "_username", "_length"];
    named.iter().any(|part| key.contains(part))
        && !setting_about.iter().any(|end| key.ends_with(end))
}

/// Secret names with literal values inside `value`.
fn secrets_in(key: &str, value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Map(pairs) if is_secret_name(key) && !pairs.is_empty() => out.push(key.to_owned()),
        Value::Map(pairs) => pairs
            .iter()
            .for_each(|(name, inner)| secrets_in(&format!("{key}.{name}"), inner, out)),
        Value::Text(text) if !text.is_empty() && is_secret_name(key) => out.push(key.to_owned()),
        Value::Open(_) if is_secret_name(key) => out.push(key.to_owned()),
        _ => {}
    }
}

fn in_file(estate: &Estate) -> Outcome {
    let mut by_file: BTreeMap<String, (Place, Vec<String>)> = BTreeMap::new();
    for (_, environment) in estate.environments() {
        for (key, setting) in environment
            .settings
            .iter()
            .filter(|(key, setting)| setting.place.key == **key)
        {
            if setting.place.file.contains(".tfvars") {
                let (_, keys) = by_file
                    .entry(setting.place.file.clone())
                    .or_insert_with(|| (setting.place.clone(), Vec::new()));
                secrets_in(key, &setting.value, keys);
            }
        }
        for fault in environment.faults.iter().filter(|fault| {
            fault.kind == crate::read::FaultKind::NotLiteral && is_secret_name(&fault.place.key)
        }) {
            let (_, keys) = by_file
                .entry(fault.place.file.clone())
                .or_insert_with(|| (fault.place.clone(), Vec::new()));
            keys.push(fault.place.key.clone());
        }
    }
    let with_secrets = by_file.into_values().filter(|(_, keys)| !keys.is_empty());
    let found = with_secrets.map(|(place, mut keys)| {
        keys.sort();
        keys.dedup();
        let first = estate.environments().into_iter().map(|(_, environment)| {
            environment.place(keys[0].split('.').next().unwrap_or(&keys[0]))
        });
        let place = first
            .into_iter()
            .find(|first| first.file == place.file)
            .unwrap_or(place);
        let computed = format!("{} secret(s) in clear: {}", keys.len(), keys.join(", "));
        Found::at(place, "secrets are in no file of the tree", computed)
    });
    judge(found.collect(), "no tfvars file holds a secret")
}

fn cloud_keys(estate: &Estate) -> Outcome {
    estate.aws.setting("app_env")?;
    let keys = ["AWS_ACCESS_KEY", "AWS_SECRET_KEY"]
        .into_iter()
        .filter(|key| estate.aws.entry("app_env", key).is_some());
    let keys: Vec<&str> = keys.collect();
    let found = Found::at(
        estate.aws.place("app_env"),
        "short-lived identities",
        format!("the application holds {}", keys.join(" and ")),
    );
    judge(
        if keys.is_empty() { vec![] } else { vec![found] },
        "no cloud keys in app_env",
    )
}

fn token_form(estate: &Estate) -> Outcome {
    let aws = &estate.aws;
    let enabled = aws.flag("elasticache_auth_token_enabled")?;
    let mut found = Vec::new();
    if enabled
        && !aws
            .flag("elasticache_transit_encryption_enabled")
            .unwrap_or(true)
    {
        let computed = "a token needs transit encryption, which is off";
        found.push(Found::at(
            aws.place("elasticache_transit_encryption_enabled"),
            "a token that is accepted",
            computed,
        ));
    }
    if let Ok(token) = aws.text("elasticache_auth_token")
        && !token.is_empty()
    {
        let legal = |c: char| c.is_ascii_alphanumeric() || "!&#$^<>-".contains(c);
        let bad = token.chars().find(|c| !legal(*c));
        if bad.is_some() || !(16..=128).contains(&token.len()) {
            let why = bad.map_or_else(
                || format!("it has {} characters", token.len()),
                |c| format!("it holds `{c}`"),
            );
            found.push(Found::at(
                aws.place("elasticache_auth_token"),
                "a token that is accepted",
                format!("ElastiCache refuses the token: {why}"),
            ));
        }
    }
    judge(found, "the token has the right form, or none is in a file")
}

fn password_form(estate: &Estate) -> Outcome {
    let password = estate
        .aws
        .text("rds_master_password")
        .map_err(|_| Missing("rds_master_password in a file (which is right)".to_owned()))?;
    let bad = password
        .chars()
        .find(|c| "/@\" ".contains(*c) || !c.is_ascii_graphic());
    let why = bad.map_or_else(
        || format!("it has {} characters", password.len()),
        |c| format!("it holds `{c}`"),
    );
    let refused = bad.is_some() || !(8..=128).contains(&password.len());
    let found = Found::at(
        estate.aws.place("rds_master_password"),
        "a password that is accepted",
        format!("RDS refuses the password: {why}"),
    );
    judge(
        if refused { vec![found] } else { vec![] },
        "the password has the right form",
    )
}
