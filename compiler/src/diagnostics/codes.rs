//! The registry of diagnostic codes: every code that a [`super::Diagnostic`] may carry, with a title.
//!
//! Invariants: a code never changes its meaning and is never reused; the list is sorted. B001–B099 reading, B101–B199
//! variables, B201–B299 structure, B301 and up meaning.

/// A code's line here is all that the program needs besides its page, `pages/CODE.md`: without the page it does not build.
macro_rules! codes {
    ($(($code:literal, $title:literal),)*) => {
        /// Codes and their titles, sorted by code.
        pub const CODES: &[(&str, &str)] = &[$(($code, $title),)*];
        /// What each code means, in the same order.
        const PAGES: &[&str] = &[$(include_str!(concat!("pages/", $code, ".md")),)*];
    };
}

codes![
    ("B001", "file cannot be read"),
    ("B002", "file is not UTF-8 text"),
    ("B003", "file holds a control character"),
    ("B004", "file is too large"),
    ("B005", "file is empty"),
    ("B006", "not YAML"),
    ("B007", "more than one document in a file"),
    ("B008", "duplicate key"),
    ("B009", "unknown anchor"),
    ("B010", "aliases stand for too much"),
    ("B011", "nested too deep"),
    ("B012", "key is not text"),
    ("B013", "number out of range"),
    ("B014", "merge key without a mapping"),
    ("B015", "unknown tag"),
    ("B016", "not a JSON number"),
    ("B021", "not the JSON that was expected"),
    ("B022", "other format version"),
    ("B101", "undefined variable"),
    ("B102", "malformed substitution"),
    ("B103", "variables refer to each other in a circle"),
    ("B104", "expression fails"),
    ("B105", "list or mapping inside a text"),
    ("B106", "--var is not used"),
    ("B107", "substitution in a key"),
    ("B201", "unknown key"),
    ("B202", "wrong type"),
    ("B203", "missing key"),
    ("B204", "value out of range"),
    ("B205", "value has not the right form"),
    ("B206", "not one of the possible values"),
    ("B207", "value does not fit"),
    ("B301", "model has no components"),
    ("B302", "unknown component in `uses`"),
    ("B303", "not supported by this version"),
    ("B304", "document is of another kind or version"),
    ("B305", "settings without effect"),
    ("B306", "illegal project name"),
    ("B307", "observed state is needed"),
    ("B308", "unknown component on the command line"),
    ("B309", "more components than a cluster takes"),
    ("B310", "AWS credentials in a file"),
    ("B311", "literal value looks like a secret"),
    ("B320", "two things expand to one name"),
    ("B321", "components use each other in a circle"),
    ("B322", "gateway to an unknown component"),
    ("B324", "settings for an unknown component"),
    ("B325", "singleton with several replicas"),
    ("B326", "task without a way back"),
    ("B327", "does not go with a task"),
    ("B328", "left out by `--only` although needed"),
    ("B330", "region and cluster contradict each other"),
    ("B331", "time limits contradict each other"),
    ("B332", "one setting in two spellings"),
    ("B333", "not a cluster"),
    ("B334", "load balancer given twice"),
    ("B335", "not a load balancer that ECS attaches to"),
    ("B336", "not a volume"),
    ("B341", "load balancer not in the environment"),
    ("B343", "load balancer is not used"),
    ("B344", "gateway lacks a port"),
    ("B345", "name has to be looked up"),
    ("B346", "load balancer does not exist"),
    ("B347", "same load balancer twice"),
    ("B348", "nothing to put behind a load balancer"),
    ("B349", "ambiguous load balancer name"),
    ("B350", "no listener on this port"),
    ("B351", "DNS record does not fit"),
    ("B360", "setting without effect on a service"),
    ("B361", "raw block has not the right form"),
    ("B362", "raw block sets what Belay derives"),
    ("B363", "not a property of a service"),
    ("B364", "reserved key"),
    ("B401", "illegal name"),
    ("B402", "AWS would refuse the input"),
    ("B403", "not a task of Fargate"),
    ("B404", "no memory"),
    ("B405", "memory limits contradict each other"),
    ("B406", "containers want more than the task has"),
    ("B407", "illegal set of containers"),
    ("B408", "impossible container dependency"),
    ("B409", "ports do not fit the network mode"),
    ("B410", "port mapped twice"),
    ("B411", "reserved host port"),
    ("B412", "setting does not fit the network mode"),
    ("B413", "volume does not fit"),
    ("B414", "not available on Fargate"),
    ("B415", "log driver does not fit"),
    ("B416", "log group does not exist"),
    ("B417", "malformed health check"),
    ("B418", "limit of Fargate"),
    ("B419", "malformed or floating image"),
    ("B420", "secret does not fit"),
    ("B421", "network configuration does not fit"),
    ("B422", "capacity settings exclude each other"),
    ("B423", "capacity providers do not go together"),
    ("B424", "daemon with a number of tasks"),
    ("B425", "load balancer leads to no container port"),
    ("B426", "target group of the wrong type"),
    ("B427", "load balancers cannot be combined"),
    ("B428", "target group without a load balancer"),
    ("B429", "role does not fit"),
    ("B430", "traffic cannot be shifted"),
    ("B431", "setting of another deployment strategy"),
    ("B432", "placement does not fit"),
    ("B433", "deployment could never move"),
    ("B434", "no room in the cluster"),
    ("B435", "floor cannot be kept"),
    ("B436", "time limit too short"),
    ("B437", "EBS volume does not fit"),
    ("B438", "Service Connect does not fit"),
    ("B439", "scaling does not fit"),
    ("B440", "registry does not fit"),
    ("B443", "listener rule does not fit"),
    ("B444", "retention does not fit"),
    ("B446", "malformed time"),
    ("B447", "target group does not fit"),
    ("B448", "more vCPUs than the account may run"),
    ("B450", "containers without a common purpose"),
    ("B451", "single task that nobody asked for"),
    ("B452", "nothing tells when it is ready"),
    ("B453", "no memory limit"),
    ("B454", "reaches out of its container"),
    ("B455", "output is lost"),
    ("B456", "ECS agent too old"),
    ("B457", "container instances are not in order"),
    ("B458", "nobody answers for a while"),
    ("B459", "not available on machines outside AWS"),
    ("B460", "not available on Managed Instances"),
    ("B501", "not ours"),
    ("B502", "managed by somebody else"),
    ("B503", "deployment in flight"),
    ("B504", "service is being deleted"),
    ("B505", "observed state does not fit"),
    ("B506", "orphan left alone"),
    ("B507", "nothing to take over"),
    ("B510", "cluster missing"),
    ("B520", "digest unknown"),
    ("B521", "image not observed"),
    ("B530", "AWS cannot change it in place"),
    ("B601", "malformed naming template"),
    ("B602", "naming template without a component"),
    ("B603", "name that AWS does not take"),
    ("B604", "no VPC"),
    ("B605", "VPC of the observing host does not fit"),
    ("B606", "VPC does not exist"),
    ("B607", "subnet does not exist"),
    ("B608", "two subnets in one availability zone"),
    ("B609", "security group does not exist"),
    ("B610", "launch settings lack something"),
    ("B611", "launch configuration to take settings from does not exist"),
    ("B612", "user data cannot be had"),
    ("B613", "two ways to put the image into the user data"),
    ("B614", "pattern cannot be used"),
    ("B615", "image has no place in the user data"),
    ("B616", "path leads nowhere in the user data"),
    ("B617", "nothing tells instances which image to run"),
    ("B618", "tag cannot be used"),
    ("B619", "load balancer does not fit"),
    ("B620", "delegated destroy cannot work"),
    ("B621", "launch configuration cannot hold it"),
    ("B622", "mix, health check or scaling do not fit"),
    ("B623", "not a size of a batch"),
    ("B624", "group made beforehand is not ready"),
    ("B625", "no effect on EC2 Auto Scaling"),
    ("B626", "load balancer that no gateway uses"),
    ("B627", "both slots run"),
    ("B628", "scaling policies are left behind"),
    ("B629", "digest of an image is not known"),
    ("B630", "`join_timeout` too short"),
    ("B631", "component placed by the environment is not in the model"),
    ("B632", "settings of a component that is not there"),
    ("B633", "regions of the plugins differ"),
    ("B634", "container instances cannot be set up"),
    ("B635", "capacity provider does not fit"),
    ("B636", "group of a capacity provider cannot be replaced"),
    ("B900", "bug in the compiler"),
];

/// The title of a code, if there is such a code.
pub fn title(code: &str) -> Option<&'static str> {
    position(code).map(|at| CODES[at].1)
}

fn position(code: &str) -> Option<usize> {
    CODES.binary_search_by(|(known, _)| (*known).cmp(code)).ok()
}

/// What a code means, with a wrong and a right example, as Markdown; capitals do not matter. Nothing for an unknown code.
pub fn explain(code: &str) -> Option<String> {
    let at = position(&code.to_ascii_uppercase())?;
    let (code, title) = CODES[at];
    Some(format!("# {code}: {title}\n\n{}", PAGES[at]))
}

/// All codes with their titles, a line each.
pub fn list() -> String {
    CODES.iter().map(|(code, title)| format!("{code}  {title}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_unique() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
