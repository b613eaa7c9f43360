//! What an approval says. Invariant: one statement has one text, and reading a text gives a statement only if writing
//! that statement gives the text again.

use std::fmt;

use belay_schemas::plan::Plan;

use crate::time::{parse_rfc3339, rfc3339};

/// The first line: what the text is, and of which version.
const TITLE: &str = "belay approval 1";

/// What stands for a cluster where no component is placed on ECS.
const NO_CLUSTER: &str = "-";

/// Which plan may be applied, where, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The plan's project.
    pub project: String,
    /// The plan's digest.
    pub plan: String,
    /// Twelve digits.
    pub account: String,
    /// AWS region.
    pub region: String,
    /// Short name of the ECS cluster; `None` where no component is placed on ECS.
    pub cluster: Option<String>,
    /// Seconds since the Unix epoch from which on it approves nothing.
    pub expires: u64,
}

impl Statement {
    /// The statement that approves a plan in an account and region. A plan that was compiled without observed state
    /// names neither, so that they have to be given: an approval is always one of a place.
    pub fn of(plan: &Plan, account: &str, region: &str, expires: u64) -> Self {
        Self {
            project: plan.project.clone(),
            plan: plan.digest.clone(),
            account: account.to_owned(),
            region: region.to_owned(),
            cluster: plan.target.cluster.clone(),
            expires,
        }
    }

    /// The environment in a few words.
    pub fn place(&self) -> String {
        let cluster = self.cluster.as_ref().map(|cluster| format!(", cluster {cluster}")).unwrap_or_default();
        format!("{} in account {}, {}{cluster}", self.project, self.account, self.region)
    }

    /// Whether both are of the same project in the same account, region and cluster.
    pub fn same_place(&self, other: &Self) -> bool {
        let of = |s: &Self| (s.project.clone(), s.account.clone(), s.region.clone(), s.cluster.clone());
        of(self) == of(other)
    }

    /// Reads what `Display` writes.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let mut lines = text.lines();
        let title = lines.next().unwrap_or_default();
        if title != TITLE {
            return Err(format!("it begins with `{title}` instead of `{TITLE}`"));
        }
        let mut member = |name: &str| {
            let line = lines.next().unwrap_or_default();
            let value = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
            value.map(ToOwned::to_owned).ok_or_else(|| format!("`{name}: …` is expected where `{line}` stands"))
        };
        let (project, plan) = (member("project")?, member("plan")?);
        let (account, region, cluster) = (member("account")?, member("region")?, member("cluster")?);
        let expires = member("expires")?;
        let expires =
            parse_rfc3339(&expires).ok_or_else(|| format!("`{expires}` is not a time such as 2026-01-31T12:00:00Z"))?;
        let cluster = (cluster != NO_CLUSTER).then_some(cluster);
        let statement = Self { project, plan, account, region, cluster, expires };
        if statement.to_string().trim_end() != text {
            return Err("something stands in it that is not part of a statement".to_owned());
        }
        Ok(statement)
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{TITLE}")?;
        writeln!(f, "project: {}", self.project)?;
        writeln!(f, "plan: {}", self.plan)?;
        writeln!(f, "account: {}", self.account)?;
        writeln!(f, "region: {}", self.region)?;
        writeln!(f, "cluster: {}", self.cluster.as_deref().unwrap_or(NO_CLUSTER))?;
        writeln!(f, "expires: {}", rfc3339(self.expires.saturating_mul(1000)))
    }
}
