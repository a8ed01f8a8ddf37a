//! What a project can be asked and answers at once.

use serde_json::Value;

use crate::kind::ActorKind;

/// A question or a small order to a project.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Writes one use into the ledger.
    LogUsage {
        /// The name of a resource.
        resource: String,
        /// How much, in thousandths of its unit.
        quantity_milli: i64,
        /// The same key twice is charged once.
        key: Option<String>,
    },
    /// What was spent this month.
    Usage,
    /// Leads, tickets and spending in numbers.
    DashboardStats,
    /// Whether everything that the project needs works.
    HealthCheck,
    /// Looks for leads on job boards.
    Hunt {
        /// Which boards, words and places.
        params: Value,
    },
}

impl Request {
    /// Who answers it.
    pub fn kind(&self) -> ActorKind {
        match self {
            Self::LogUsage { .. } | Self::Usage | Self::DashboardStats => ActorKind::Accountant,
            Self::HealthCheck => ActorKind::Sentinel,
            Self::Hunt { .. } => ActorKind::Sniper,
        }
    }

    /// Its name in metrics.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::LogUsage { .. } => "log_usage",
            Self::Usage => "usage",
            Self::DashboardStats => "dashboard_stats",
            Self::HealthCheck => "health_check",
            Self::Hunt { .. } => "hunt",
        }
    }
}
