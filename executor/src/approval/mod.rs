//! Approvals: who said yes to which plan, where, and until when, as SSH signatures that people make with the keys they
//! have.
//!
//! An approval file holds one or more approvals, each a [`Statement`] in plain text with the armoured signature over
//! exactly that text below it, as a signed git tag has it. Files are joined with `cat`.
//!
//! Invariants: what is signed is what [`Statement`]'s `Display` writes, byte for byte, so a text that reads differently
//! cannot carry the same signature; the namespace keeps signatures made for other purposes out; nothing here reads a
//! clock, a file or a private key. Verifying needs no `ssh-keygen`: whoever applies a plan is a machine without one.

mod judge;
mod signers;
mod statement;

pub use judge::{Judgement, Wanted, judge};
pub use signers::{AllowedSigners, Signer, SignersError};
pub use statement::Statement;

use base64::Engine as _;
use ssh_key::SshSig;

/// What a signature is for, as `ssh-keygen -Y sign -n` takes it. One made for git or for files has another one.
pub const NAMESPACE: &str = "belay-approval";

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// A statement and a signature that is claimed to be over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// What is approved.
    pub statement: Statement,
    signature: SshSig,
    /// As it was read: kept, because only what made it knows how it is written (ssh-key 0.6 writes those of
    /// `sk-ecdsa` keys in a way that nobody reads).
    armoured: String,
}

/// Why a text is no approval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// There is none in it.
    #[error("no approval is in it")]
    Empty,
    /// One is not of the form.
    #[error("approval {number}: {reason}")]
    Form {
        /// Which one, from 1.
        number: usize,
        /// What is wrong.
        reason: String,
    },
}

impl Approval {
    /// A statement with the armoured signature that was made over it.
    ///
    /// # Errors
    /// What is wrong with the signature's form. Whether it fits is for [`judge`].
    pub fn new(statement: Statement, armoured: &str) -> Result<Self, String> {
        let signature =
            SshSig::from_pem(armoured.trim().as_bytes()).map_err(|error| match is_of_certificate(armoured) {
                true => "it is signed with a certificate, which is not supported: sign with the key itself".to_owned(),
                false => format!("what stands below the statement is no SSH signature: {error}"),
            })?;
        Ok(Self { statement, signature, armoured: armoured.trim().to_owned() })
    }

    /// All approvals of a file.
    ///
    /// # Errors
    /// When there is none, or when any is not of the form: a file is believed as a whole or not at all.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, ApprovalError> {
        // Through mail and web forms come other line ends.
        let text = text.replace("\r\n", "\n");
        let mut approvals = Vec::new();
        let mut rest = text.as_str();
        while !rest.trim().is_empty() {
            let number = approvals.len() + 1;
            let wrong = |reason: String| ApprovalError::Form { number, reason };
            let Some((statement, signed)) = rest.split_once(BEGIN) else {
                return Err(wrong(format!("the signature ({BEGIN}) is missing")));
            };
            let Some((signature, after)) = signed.split_once(END) else {
                return Err(wrong(format!("the end of the signature ({END}) is missing")));
            };
            let statement = Statement::parse(statement).map_err(wrong)?;
            approvals.push(Self::new(statement, &format!("{BEGIN}{signature}{END}")).map_err(wrong)?);
            rest = after;
        }
        if approvals.is_empty() { Err(ApprovalError::Empty) } else { Ok(approvals) }
    }

    /// The text of this approval, as a file holds it.
    pub fn to_text(&self) -> String {
        format!("{}{}\n", self.statement, self.armoured)
    }
}

/// Whether the key in a signature is a certificate, which the crate does not read in this place.
fn is_of_certificate(armoured: &str) -> bool {
    let lines: String = armoured.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let blob = base64::engine::general_purpose::STANDARD.decode(lines).unwrap_or_default();
    let mark = b"-cert-v01@openssh.com";
    blob.windows(mark.len()).any(|part| part == mark)
}
