//! Whether approvals cover what is about to run.
//!
//! Invariants: an approval counts only if its signature is true, its signer is allowed, and it says exactly this plan,
//! this environment, and a time that is not over; two approvals count as two only if nothing in the file of allowed
//! signers lets them be of one person; each one that does not count has its reason.

use belay_schemas::journal::Approver;
use ssh_key::{HashAlg, PublicKey};

use super::{AllowedSigners, Approval, NAMESPACE, Signer, Statement};
use crate::time::rfc3339;

/// What has to be approved.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The plan and the place that it is about to run in; the expiry is not looked at.
    pub statement: &'a Statement,
    /// Seconds since the Unix epoch.
    pub now: u64,
    /// By how many people.
    pub count: usize,
}

/// What approvals amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Different people who approved.
    pub approved_by: Vec<Approver>,
    /// What does not count, and why.
    pub rejected: Vec<String>,
    /// Whether that is enough.
    pub enough: bool,
}

/// Looks at every approval.
pub fn judge(approvals: &[Approval], allowed: &AllowedSigners, wanted: Wanted<'_>) -> Judgement {
    let mut good: Vec<(&Signer, Approver)> = Vec::new();
    let mut rejected = Vec::new();
    for approval in approvals {
        match approval.check(allowed, wanted) {
            Ok(signer) => good.push((signer, approval.approver(signer))),
            Err(reason) => rejected.push(format!("the approval {}: {reason}", approval.who(allowed))),
        }
    }
    let chosen = different(&good.iter().map(|(signer, _)| *signer).collect::<Vec<_>>());
    for (ix, (signer, approver)) in good.iter().enumerate() {
        let twin = chosen.iter().find(|&&other| other != ix && signer.may_be(good[other].0));
        if let (false, Some(&twin)) = (chosen.contains(&ix), twin) {
            let (other, of) = (good[twin].0, &good[twin].1.signer);
            let same = match signer.key == other.key {
                true => "it is of the same key as another one".to_owned(),
                false => format!(
                    "by lines {} and {} of the allowed signers it may be of the same person as that of {of}",
                    signer.line, other.line
                ),
            };
            rejected.push(format!("the approval of {} ({}) is not one more: {same}", approver.signer, approver.key));
        }
    }
    let approved_by: Vec<Approver> = chosen.iter().map(|&ix| good[ix].1.clone()).collect();
    Judgement { enough: approved_by.len() >= wanted.count, approved_by, rejected }
}

/// The most signers of which no two may be the same person, as indices. Approvals are few, so trying all is quick; beyond
/// a dozen, the first ones that differ are taken.
fn different(signers: &[&Signer]) -> Vec<usize> {
    fn most(signers: &[&Signer], from: usize, chosen: &mut Vec<usize>, best: &mut Vec<usize>) {
        if chosen.len() > best.len() {
            best.clone_from(chosen);
        }
        for ix in from..signers.len() {
            if chosen.iter().all(|&other| !signers[ix].may_be(signers[other])) {
                chosen.push(ix);
                most(signers, ix + 1, chosen, best);
                chosen.pop();
            }
        }
    }
    let mut best = Vec::new();
    if signers.len() <= 12 {
        most(signers, 0, &mut Vec::new(), &mut best);
    } else {
        for ix in 0..signers.len() {
            if best.iter().all(|&other| !signers[ix].may_be(signers[other])) {
                best.push(ix);
            }
        }
    }
    best
}

impl Approval {
    /// Checks that the signature is one for approvals, over exactly this statement. Whose key made it is not looked at.
    ///
    /// # Errors
    /// Why it is not.
    pub fn verify(&self) -> Result<(), String> {
        let namespace = self.signature.namespace();
        if namespace != NAMESPACE {
            return Err(format!(
                "the signature was made for \"{namespace}\", not for \"{NAMESPACE}\" (`ssh-keygen -Y sign -n {NAMESPACE}`)"
            ));
        }
        let key = PublicKey::from(self.signature.public_key().clone());
        key.verify(NAMESPACE, self.statement.to_string().as_bytes(), &self.signature).map_err(|_| {
            "the signature does not fit the statement above it, which was changed or put there".to_owned()
        })?;
        Ok(())
    }

    /// Whose line makes it count.
    fn check<'a>(&self, allowed: &'a AllowedSigners, wanted: Wanted<'_>) -> Result<&'a Signer, String> {
        self.verify()?;
        let signer = allowed.find(self.signature.public_key(), NAMESPACE, wanted.now)?;
        let (said, wanted_for) = (&self.statement, wanted.statement);
        if said.plan != wanted_for.plan {
            return Err(format!("it is for another plan, {}; this one is {}", said.plan, wanted_for.plan));
        }
        if !said.same_place(wanted_for) {
            return Err(format!("it is for {}; here is {}", said.place(), wanted_for.place()));
        }
        if wanted.now >= said.expires {
            return Err(format!("it expired at {}", rfc3339(said.expires.saturating_mul(1000))));
        }
        Ok(signer)
    }

    fn approver(&self, signer: &Signer) -> Approver {
        Approver {
            signer: signer.name(),
            key: self.fingerprint(),
            expires: rfc3339(self.statement.expires.saturating_mul(1000)),
        }
    }

    /// The signer's name where the key is listed, and the key.
    fn who(&self, allowed: &AllowedSigners) -> String {
        match allowed.owner(self.signature.public_key()) {
            Some(signer) => format!("of {} ({})", signer.name(), self.fingerprint()),
            None => format!("with key {}", self.fingerprint()),
        }
    }

    fn fingerprint(&self) -> String {
        self.signature.public_key().fingerprint(HashAlg::Sha256).to_string()
    }
}
