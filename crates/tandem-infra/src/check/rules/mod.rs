//! The rules, one module a topic.

mod authority;
mod cache;
pub(crate) mod capacity;
mod database;
mod dependencies;
mod detection;
mod files;
mod network;
mod ownership;
mod recovery;
mod secrets;
mod traffic;
mod versions;
mod writes;

use super::Rule;

/// Every rule, in the order of the output.
pub static RULES: std::sync::LazyLock<Vec<&'static Rule>> = std::sync::LazyLock::new(|| {
    let topics: [&'static [Rule]; 14] = [
        files::RULES,
        detection::RULES,
        recovery::RULES,
        authority::RULES,
        traffic::RULES,
        writes::RULES,
        capacity::RULES,
        versions::RULES,
        network::RULES,
        secrets::RULES,
        cache::RULES,
        database::RULES,
        ownership::RULES,
        dependencies::RULES,
    ];
    topics.into_iter().flatten().collect()
});
