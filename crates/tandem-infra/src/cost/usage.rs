//! Usage that no file of Terraform knows: Infracost's usage file and keys.
//!
//! `resource_type_default_usage` holds values by type, `resource_usage` by
//! address; the address wins, `[*]` in it stands for any index.

use std::collections::BTreeMap;
use std::path::Path;

use rust_decimal::Decimal;
use serde::Deserialize;

use crate::error::Error;
use crate::read::{TEXT_BYTES_MAX, read_bounded};

/// The largest quantity that a usage file may name.
pub const QUANTITY_MAX: u64 = 1_000_000_000;

/// Usage of one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    by_type: BTreeMap<String, BTreeMap<String, Decimal>>,
    by_address: BTreeMap<String, BTreeMap<String, Decimal>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    #[serde(default)]
    #[allow(
        dead_code,
        reason = "part of the format; every version so far has this shape"
    )]
    version: Option<serde_json::Value>,
    #[serde(default)]
    resource_type_default_usage: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    resource_usage: BTreeMap<String, serde_json::Value>,
}

impl Usage {
    /// Reads a usage file.
    ///
    /// # Errors
    /// If it cannot be read or is not in Infracost's shape.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::parse(&read_bounded(path, TEXT_BYTES_MAX)?)
    }

    /// Reads the text of a usage file (YAML).
    ///
    /// # Errors
    /// If it is not in Infracost's shape, or a quantity is negative or too large.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let shape: Shape =
            serde_saphyr::from_str(text).map_err(|error| Error::Usage(error.to_string()))?;
        Ok(Self {
            by_type: flat(shape.resource_type_default_usage)?,
            by_address: flat(shape.resource_usage)?,
        })
    }

    /// The value of `key` for a resource.
    pub fn value(&self, kind: &str, address: &str, key: &str) -> Option<Decimal> {
        let exact = self.by_address.get(address).and_then(|keys| keys.get(key));
        let any_index = || {
            let plain = address.split('[').next().unwrap_or(address);
            self.by_address
                .get(&format!("{plain}[*]"))
                .and_then(|keys| keys.get(key))
        };
        let by_type = || self.by_type.get(kind).and_then(|keys| keys.get(key));
        exact.or_else(any_index).or_else(by_type).copied()
    }

    /// The value of `key` for any resource of a type, for usage that has no
    /// resource of its own (data transfer).
    pub fn of_type(&self, kind: &str, key: &str) -> Option<Decimal> {
        let prefix = format!("{kind}.");
        let by_address = self
            .by_address
            .iter()
            .filter(|(address, _)| address.starts_with(&prefix))
            .find_map(|(_, keys)| keys.get(key));
        by_address
            .or_else(|| self.by_type.get(kind).and_then(|keys| keys.get(key)))
            .copied()
    }
}

/// Nested keys become dotted ones; values that are no numbers are left out.
fn flat(
    resources: BTreeMap<String, serde_json::Value>,
) -> Result<BTreeMap<String, BTreeMap<String, Decimal>>, Error> {
    let mut out = BTreeMap::new();
    for (resource, body) in resources {
        let mut keys = BTreeMap::new();
        flatten(&resource, "", &body, &mut keys)?;
        out.insert(resource, keys);
    }
    Ok(out)
}

fn flatten(
    resource: &str,
    prefix: &str,
    value: &serde_json::Value,
    out: &mut BTreeMap<String, Decimal>,
) -> Result<(), Error> {
    match value {
        serde_json::Value::Object(pairs) => {
            for (key, inner) in pairs {
                let key = if prefix.is_empty() {
                    key.clone()
                } else {
                    format!("{prefix}.{key}")
                };
                flatten(resource, &key, inner, out)?;
            }
        }
        serde_json::Value::Number(number) => {
            let refuse = || {
                Error::Usage(format!(
                    "{resource}.{prefix} = {number}: a quantity is from 0 to {QUANTITY_MAX}"
                ))
            };
            let exact: Decimal = number.to_string().parse().map_err(|_| refuse())?;
            if exact < Decimal::ZERO || exact > Decimal::from(QUANTITY_MAX) {
                return Err(refuse());
            }
            out.insert(prefix.to_owned(), exact);
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "version: 0.1
resource_type_default_usage:
  aws_nat_gateway:
    monthly_data_processed_gb: 100
resource_usage:
  aws_nat_gateway.nat[0]:
    monthly_data_processed_gb: 250.5
  aws_lb.alb[*]:
    new_connections: 50
  google_compute_external_vpn_gateway.aws:
    monthly_egress_data_transfer_gb:
      asia: 300
";

    #[test]
    fn addresses_win_over_types() {
        let usage = Usage::parse(FILE).unwrap();
        let data = |address| usage.value("aws_nat_gateway", address, "monthly_data_processed_gb");
        assert_eq!(data("aws_nat_gateway.nat[0]"), Some(Decimal::new(2505, 1)));
        assert_eq!(data("aws_nat_gateway.nat[1]"), Some(Decimal::from(100)));
        assert_eq!(
            usage.value("aws_lb", "aws_lb.alb[3]", "new_connections"),
            Some(Decimal::from(50))
        );
        let egress = usage.of_type(
            "google_compute_external_vpn_gateway",
            "monthly_egress_data_transfer_gb.asia",
        );
        assert_eq!(egress, Some(Decimal::from(300)));
    }

    #[test]
    fn wrong_files_are_refused() {
        for bad in [
            "resource_usage: 5",
            "unknown: {}",
            "resource_usage: {a: {b: -1}}",
            "resource_usage: {a: {b: 1e30}}",
            ": [",
        ] {
            assert!(Usage::parse(bad).is_err(), "{bad}");
        }
    }
}
