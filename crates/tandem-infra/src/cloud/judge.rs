//! What the answers of the clouds mean: pure, from JSON to a verdict.

use serde_json::Value;

use super::ask::{AWS_QUOTAS, GCP_PERMISSIONS, GCP_SERVICES};
use super::{Answer, Names, Question};

/// Judges everything that the calls of a question printed.
pub fn judge(question: Question, names: &Names, said: &[Value]) -> Answer {
    let shape = || Answer::unknown("an answer in an unknown shape", "look at it by hand");
    verdict(question, names, said).unwrap_or_else(shape)
}

fn verdict(question: Question, n: &Names, said: &[Value]) -> Option<Answer> {
    let first = said.first()?;
    match question {
        Question::CloudflareAccount => cloudflare_account(n, said),
        Question::CloudflareRights => Some(cloudflare_rights(said)),
        Question::AwsIdentity => identity(first.get("Arn"), "aws configure, or AWS_PROFILE"),
        Question::GcpIdentity => identity(
            first.pointer("/0/account"),
            "gcloud auth application-default login",
        ),
        Question::AwsRights => aws_rights(said.get(1)?),
        Question::AwsQuotas => Some(aws_quotas(said)),
        Question::AwsCertificate => state(
            first.pointer("/Certificate/Status"),
            "ISSUED",
            "create the validation record of the certificate in the zone and wait",
        ),
        Question::GcpRights => Some(gcp_rights(said.get(1)?)),
        Question::GcpServices => Some(gcp_services(first)),
        Question::GcpQuotas => gcp_quotas(n, first),
        Question::AwsNetwork => state(
            first.pointer("/Vpcs/0/State"),
            "available",
            "apply phase aws",
        ),
        Question::Eks => state(
            first.pointer("/cluster/status"),
            "ACTIVE",
            "wait, or apply phase aws",
        ),
        Question::Rds => rds(n, first),
        Question::ElastiCache => elasticache(n, first),
        Question::Alb => alb(n, first),
        Question::GcpNetwork => identity(first.get("selfLink"), "apply phase gcp"),
        Question::Gke => state(first.get("status"), "RUNNING", "wait, or apply phase gcp"),
        Question::CloudSql => cloud_sql(first),
        Question::Memorystore => state(first.get("state"), "READY", "wait, or apply phase gcp"),
        Question::GcpBalancer => gcp_balancer(n, first),
        Question::AwsTunnels => aws_tunnels(first),
        Question::GcpTunnels => gcp_tunnels(first),
        Question::Bgp => bgp(first),
        Question::Through => through(said),
        Question::CloudflareBalancer => cloudflare_balancer(n, said),
        Question::Health => health(first),
        Question::DnsRecord => dns_record(n, first),
    }
}

fn words<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn identity(found: Option<&Value>, fix: &str) -> Option<Answer> {
    Some(match found.and_then(Value::as_str) {
        Some(name) => Answer::proven(name),
        None => Answer::failed("nobody, or nothing there", fix),
    })
}

fn state(found: Option<&Value>, wanted: &str, fix: &str) -> Option<Answer> {
    let found = found?.as_str()?;
    Some(if found == wanted {
        Answer::proven(found)
    } else {
        Answer::failed(format!("{found}, not {wanted}"), fix)
    })
}

fn succeeded(said: &Value) -> bool {
    said.get("success").and_then(Value::as_bool) == Some(true)
}

fn cloudflare_account(n: &Names, said: &[Value]) -> Option<Answer> {
    let (token, zone) = (said.first()?, said.get(1)?);
    if !succeeded(token) || words(token, "/result/status") != "active" {
        return Some(Answer::failed(
            "the token is not active",
            "make a new one and set CLOUDFLARE_API_TOKEN",
        ));
    }
    if !succeeded(zone) {
        return Some(Answer::failed(
            "the token cannot read the zone",
            "set CLOUDFLARE_ZONE_ID; the token needs Zone.Zone (Read)",
        ));
    }
    let account = words(zone, "/result/account/id");
    let name = words(zone, "/result/name");
    Some(if account == n.account_id {
        Answer::proven(format!("token active, zone {name} in account {account}"))
    } else {
        let problem = format!("zone {name} belongs to account {account}");
        Answer::failed(
            problem,
            "set CLOUDFLARE_ACCOUNT_ID to that account, or CLOUDFLARE_ZONE_ID to the right zone",
        )
    })
}

fn cloudflare_rights(said: &[Value]) -> Answer {
    const RIGHTS: [&str; 5] = [
        "Account.Load Balancing: Monitors and Pools (Edit) for pools",
        "Account.Load Balancing: Monitors and Pools (Edit) for monitors",
        "Zone.Load Balancers (Edit)",
        "Zone.DNS (Edit)",
        "Account.Notifications (Edit)",
    ];
    let refused = |(right, said): (&&'static str, &Value)| (!succeeded(said)).then_some(*right);
    let missing: Vec<_> = RIGHTS.iter().zip(said).filter_map(refused).collect();
    if missing.is_empty() && said.len() == RIGHTS.len() {
        Answer::proven(
            "pools, monitors, balancers, records and notifications can be read (the right to edit shows at the first apply)",
        )
    } else {
        let missing = missing.join("; ");
        Answer::failed(
            format!("the token lacks {missing}"),
            "add these rights to the token",
        )
    }
}

fn aws_rights(said: &Value) -> Option<Answer> {
    let results = said.get("EvaluationResults")?.as_array()?;
    let denied = results
        .iter()
        .filter(|row| words(row, "/EvalDecision") != "allowed");
    let denied: Vec<_> = denied.map(|row| words(row, "/EvalActionName")).collect();
    Some(if denied.is_empty() {
        Answer::proven(format!(
            "{} of {} sampled actions allowed",
            results.len(),
            results.len()
        ))
    } else {
        Answer::failed(
            format!("denied: {}", denied.join(", ")),
            "add these actions to the role that applies",
        )
    })
}

fn aws_quotas(said: &[Value]) -> Answer {
    let used = ["/Vpcs", "/Addresses", "/VpnConnections"];
    let (mut seen, mut full) = (Vec::new(), Vec::new());
    for (index, (_, _, what, needed)) in AWS_QUOTAS.iter().enumerate() {
        let limit = said
            .get(index)
            .and_then(|row| row.pointer("/Quota/Value")?.as_f64());
        let list = said
            .get(index + AWS_QUOTAS.len())
            .map(|row| list(row, used[index]));
        let (Some(limit), Some(list)) = (limit, list) else {
            return Answer::unknown(
                format!("no quota for {what}"),
                "look at Service Quotas in the console",
            );
        };
        let line = format!("{what}: {} of {limit} used", list.len());
        if (list.len() as u64 + needed) as f64 > limit {
            full.push(format!("{line}, {needed} needed"));
        }
        seen.push(line);
    }
    if full.is_empty() {
        Answer::proven(seen.join("; "))
    } else {
        Answer::failed(
            full.join("; "),
            "ask for more in Service Quotas, or remove what is unused",
        )
    }
}

fn gcp_rights(said: &Value) -> Answer {
    let granted = list(said, "/permissions");
    let missing: Vec<_> = GCP_PERMISSIONS
        .iter()
        .filter(|wanted| !granted.iter().any(|found| found == *wanted))
        .copied()
        .collect();
    if missing.is_empty() {
        Answer::proven(format!("{} permissions granted", GCP_PERMISSIONS.len()))
    } else {
        Answer::failed(
            format!("missing: {}", missing.join(", ")),
            "grant roles that hold these permissions",
        )
    }
}

fn gcp_services(said: &Value) -> Answer {
    let on: Vec<&str> = list(said, "")
        .iter()
        .map(|row| words(row, "/config/name"))
        .collect();
    let off: Vec<_> = GCP_SERVICES
        .iter()
        .filter(|name| !on.contains(name))
        .copied()
        .collect();
    if off.is_empty() {
        Answer::proven(format!("{} services are on", GCP_SERVICES.len()))
    } else {
        let fix = format!("gcloud services enable {}", off.join(" "));
        Answer::failed(format!("off: {}", off.join(", ")), fix)
    }
}

fn gcp_quotas(n: &Names, said: &Value) -> Option<Answer> {
    let row = said
        .get("quotas")?
        .as_array()?
        .iter()
        .find(|row| words(row, "/metric") == "CPUS")?;
    let (limit, usage) = (row.get("limit")?.as_f64()?, row.get("usage")?.as_f64()?);
    let line = format!("{usage} of {limit} vCPUs used, {} needed", n.gke_vcpus);
    Some(if usage + n.gke_vcpus as f64 <= limit {
        Answer::proven(line)
    } else {
        Answer::failed(line, "ask for more CPUS in the region, or take fewer nodes")
    })
}

fn rds(n: &Names, said: &Value) -> Option<Answer> {
    let instances = said.get("DBInstances")?.as_array()?;
    let ours = instances
        .iter()
        .find(|row| words(row, "/Endpoint/Address") == n.rds_host);
    let Some(row) = ours else {
        return Some(Answer::failed(
            format!("no instance has the endpoint {}", n.rds_host),
            "apply phase aws",
        ));
    };
    let (name, status) = (
        words(row, "/DBInstanceIdentifier"),
        words(row, "/DBInstanceStatus"),
    );
    let source = words(row, "/ReadReplicaSourceDBInstanceIdentifier");
    let pending = list(row, "/DBParameterGroups")
        .iter()
        .any(|group| words(group, "/ParameterApplyStatus") == "pending-reboot");
    Some(if status != "available" {
        Answer::failed(format!("{name} is {status}"), "wait until it is available")
    } else if !source.is_empty() {
        Answer::failed(
            format!("{name} is a replica of {source}"),
            "the AWS side must be the primary",
        )
    } else if pending {
        Answer::failed(
            format!("{name} has parameters that wait for a reboot"),
            format!("aws rds reboot-db-instance --db-instance-identifier {name}"),
        )
    } else {
        Answer::proven(format!("{name} is available and no replica"))
    })
}

fn elasticache(n: &Names, said: &Value) -> Option<Answer> {
    let groups = said.get("ReplicationGroups")?.as_array()?;
    let ours = groups
        .iter()
        .find(|row| words(row, "/NodeGroups/0/PrimaryEndpoint/Address") == n.redis_host);
    let Some(row) = ours else {
        return Some(Answer::failed(
            format!("no group has the endpoint {}", n.redis_host),
            "apply phase aws",
        ));
    };
    state(row.get("Status"), "available", "wait until it is available")
}

fn alb(n: &Names, said: &Value) -> Option<Answer> {
    let all = said.get("LoadBalancers")?.as_array()?;
    let ours = all
        .iter()
        .find(|row| words(row, "/DNSName").eq_ignore_ascii_case(&n.alb_dns_name));
    let Some(row) = ours else {
        return Some(Answer::failed(
            format!("no load balancer is called {}", n.alb_dns_name),
            "apply phase aws",
        ));
    };
    state(
        row.pointer("/State/Code"),
        "active",
        "wait until it is active",
    )
}

fn cloud_sql(said: &Value) -> Option<Answer> {
    let kind = words(said, "/instanceType");
    if kind == "READ_REPLICA_INSTANCE" {
        return Some(Answer::failed(
            "a physical read replica",
            "a logical subscriber is an ordinary instance",
        ));
    }
    state(said.get("state"), "RUNNABLE", "wait, or apply phase gcp")
}

fn gcp_balancer(n: &Names, said: &Value) -> Option<Answer> {
    let rules = said.as_array()?;
    let ours = rules.iter().find(|row| words(row, "/IPAddress") == n.lb_ip);
    Some(match ours {
        Some(row) => Answer::proven(format!("{} on {}", words(row, "/name"), n.lb_ip)),
        None => Answer::failed(
            format!("no forwarding rule uses {}", n.lb_ip),
            "apply phase gcp",
        ),
    })
}

fn aws_tunnels(said: &Value) -> Option<Answer> {
    let connections = said.get("VpnConnections")?.as_array()?;
    let alive = connections
        .iter()
        .filter(|row| words(row, "/State") != "deleted");
    let tunnels: Vec<&Value> = alive.flat_map(|row| list(row, "/VgwTelemetry")).collect();
    let up = tunnels
        .iter()
        .filter(|row| words(row, "/Status") == "UP")
        .count();
    Some(four(up, tunnels.len(), "up, seen from AWS"))
}

fn gcp_tunnels(said: &Value) -> Option<Answer> {
    let tunnels = said.as_array()?;
    let up = tunnels
        .iter()
        .filter(|row| words(row, "/status") == "ESTABLISHED")
        .count();
    Some(four(up, tunnels.len(), "established, seen from GCP"))
}

fn four(up: usize, all: usize, what: &str) -> Answer {
    let line = format!("{up} of {all} tunnels {what}");
    if up == 4 && all == 4 {
        Answer::proven(line)
    } else {
        Answer::failed(
            line,
            "`tandem infra vpn-lab` compares both halves and names what differs",
        )
    }
}

fn bgp(said: &Value) -> Option<Answer> {
    let peers = said.pointer("/result/bgpPeerStatus")?.as_array()?;
    let up = peers
        .iter()
        .filter(|row| words(row, "/status") == "UP")
        .count();
    let routes: u64 = peers
        .iter()
        .filter_map(|row| row.get("numLearnedRoutes")?.as_u64())
        .sum();
    let line = format!(
        "{up} of {} sessions up, {routes} routes learnt",
        peers.len()
    );
    Some(if up == 4 && peers.len() == 4 && routes > 0 {
        Answer::proven(line)
    } else {
        Answer::failed(
            line,
            "`tandem infra vpn-lab` compares ASNs, addresses and prefixes of both halves",
        )
    })
}

fn through(said: &[Value]) -> Option<Answer> {
    let results: Vec<&str> = said
        .iter()
        .filter_map(|row| row.get("connected")?.as_str())
        .collect();
    let failures: Vec<&str> = said
        .iter()
        .filter_map(|row| row.get("failed")?.as_str())
        .collect();
    Some(if failures.is_empty() {
        Answer::proven(format!("connected from here to {}", results.join(" and ")))
    } else {
        let fix = "run this command on a machine in one of the two networks (a node, a bastion)";
        Answer::failed(failures.join("; "), fix)
    })
}

fn cloudflare_balancer(n: &Names, said: &[Value]) -> Option<Answer> {
    let (balancers, pools) = (said.first()?, said.get(1)?);
    let ours = list(balancers, "/result")
        .iter()
        .find(|row| words(row, "/name") == n.domain);
    let Some(row) = ours else {
        return Some(Answer::failed(
            format!("no load balancer is called {}", n.domain),
            "apply phase lb",
        ));
    };
    let used = list(row, "/default_pools");
    let known = list(pools, "/result")
        .iter()
        .filter(|pool| used.contains(&pool["id"]));
    let monitored = known
        .filter(|pool| !words(pool, "/monitor").is_empty())
        .count();
    let line = format!(
        "{} with {} pools, {monitored} monitored",
        n.domain,
        used.len()
    );
    Some(if used.len() >= 2 && monitored >= 2 {
        Answer::proven(line)
    } else {
        Answer::failed(line, "apply phase lb: both clouds' pools need a monitor")
    })
}

fn health(said: &Value) -> Option<Answer> {
    let status = said.get("status")?.as_u64()?;
    let line = format!("HEAD /health: {status} from {}", words(said, "/cloud"));
    Some(if status == 200 {
        Answer::proven(line)
    } else {
        Answer::failed(
            line,
            "look at the pools' health; the application must answer HEAD /health with 200",
        )
    })
}

fn dns_record(n: &Names, said: &Value) -> Option<Answer> {
    let addresses: Vec<&str> = list(said, "/Answer")
        .iter()
        .map(|row| words(row, "/data"))
        .collect();
    Some(if addresses.is_empty() {
        Answer::failed(
            format!("{} does not resolve", n.domain),
            "apply phase lb; the name belongs to the load balancer",
        )
    } else {
        Answer::proven(format!("{} is {}", n.domain, addresses.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use serde_json::json;

    fn check(question: Question, said: &[Value], verdict: Verdict, part: &str) {
        let names = Names {
            account_id: "acc".into(),
            domain: "app.example.com".into(),
            rds_host: "db.rds".into(),
            gke_vcpus: 80,
            ..Names::default()
        };
        let answer = judge(question, &names, said);
        assert_eq!(answer.verdict, verdict, "{answer:?}");
        assert!(answer.evidence.contains(part), "{answer:?}");
        assert_eq!(
            answer.fix.is_empty(),
            verdict == Verdict::Proven,
            "{answer:?}"
        );
    }

    #[test]
    fn tunnels_count_only_all_four() {
        let of = |up: usize| {
            let tunnel = |index: usize| json!({"Status": if index < up { "UP" } else { "DOWN" }});
            let pair = |from: usize| json!({"State": "available", "VgwTelemetry": [tunnel(from), tunnel(from + 1)]});
            [json!({"VpnConnections": [pair(0), pair(2)]})]
        };
        check(Question::AwsTunnels, &of(4), Verdict::Proven, "4 of 4");
        check(Question::AwsTunnels, &of(3), Verdict::Failed, "3 of 4");
        check(
            Question::AwsTunnels,
            &[json!({})],
            Verdict::Unknown,
            "unknown shape",
        );
    }

    #[test]
    fn every_missing_right_is_named() {
        let (yes, no) = (json!({"success": true}), json!({"success": false}));
        let said = [yes.clone(), yes.clone(), no.clone(), yes.clone(), no];
        check(
            Question::CloudflareRights,
            &said,
            Verdict::Failed,
            "Zone.Load Balancers (Edit); Account.Notifications",
        );
        let said = [
            json!("token"),
            json!({"permissions": ["compute.networks.create"]}),
        ];
        check(
            Question::GcpRights,
            &said,
            Verdict::Failed,
            "cloudsql.instances.create",
        );
    }

    #[test]
    fn a_zone_of_another_account_and_a_replica_are_refused() {
        let token = json!({"success": true, "result": {"status": "active"}});
        let zone =
            json!({"success": true, "result": {"name": "example.com", "account": {"id": "other"}}});
        check(
            Question::CloudflareAccount,
            &[token, zone],
            Verdict::Failed,
            "belongs to account other",
        );
        let row = json!({"DBInstanceIdentifier": "crm", "DBInstanceStatus": "available",
            "Endpoint": {"Address": "db.rds"}, "ReadReplicaSourceDBInstanceIdentifier": "old"});
        check(
            Question::Rds,
            &[json!({"DBInstances": [row]})],
            Verdict::Failed,
            "replica of old",
        );
    }

    #[test]
    fn quotas_are_compared_with_what_is_needed() {
        let region =
            |limit: u64| [json!({"quotas": [{"metric": "CPUS", "limit": limit, "usage": 8.0}]})];
        check(Question::GcpQuotas, &region(88), Verdict::Proven, "8 of 88");
        check(
            Question::GcpQuotas,
            &region(72),
            Verdict::Failed,
            "80 needed",
        );
    }
}
