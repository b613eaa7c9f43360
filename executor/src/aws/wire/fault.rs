//! What AWS says when it refuses: code and message out of any protocol's body.

use serde_json::Value;

use super::{Answer, xml};

/// AWS's words for a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::aws) struct Fault {
    /// AWS's code; `HTTP 503` when the body holds none.
    pub code: String,
    /// AWS's message, or what else the body says.
    pub message: String,
}

impl Fault {
    /// Reads a refusal.
    pub fn of(answer: &Answer) -> Self {
        json(answer).or_else(|| of_xml(answer)).unwrap_or_else(|| other(answer))
    }
}

fn json(answer: &Answer) -> Option<Fault> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let member = |names: &[&str]| names.iter().find_map(|name| body.get(name)?.as_str());
    let code = answer.header("x-amzn-errortype").or_else(|| member(&["__type", "code", "Code"]))?;
    // `com.amazonaws.ecs#ServerException:http://…`
    let code = code.split(':').next().unwrap_or(code);
    let code = code.rsplit('#').next().unwrap_or(code);
    let message = member(&["message", "Message", "errorMessage"]).unwrap_or_default();
    Some(Fault { code: code.to_owned(), message: message.to_owned() })
}

fn of_xml(answer: &Answer) -> Option<Fault> {
    let document = xml::parse(answer.text().ok()?).ok()?;
    let part = |node, name| xml::child(node, name).and_then(|part| part.text()).map(str::to_owned);
    // Route 53's way to say what is wrong with each record.
    let root = document.root_element();
    if root.tag_name().name() == "InvalidChangeBatch" {
        let told = root.descendants().filter(|node| node.tag_name().name() == "Message").filter_map(|node| node.text());
        let message = told.collect::<Vec<_>>().join("; ");
        return Some(Fault { code: "InvalidChangeBatch".to_owned(), message });
    }
    let error =
        document.descendants().find(|node| node.tag_name().name() == "Error" && part(*node, "Code").is_some())?;
    Some(Fault { code: part(error, "Code")?, message: part(error, "Message").unwrap_or_default() })
}

/// A proxy's or a load balancer's page, or nothing.
fn other(answer: &Answer) -> Fault {
    const LONGEST: usize = 200;
    let body = String::from_utf8_lossy(&answer.body);
    let words = body.split_whitespace().collect::<Vec<_>>().join(" ");
    let message = if words.is_empty() { "no words".to_owned() } else { words.chars().take(LONGEST).collect() };
    Fault { code: format!("HTTP {}", answer.status), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(status: u16, headers: &[(&str, &str)], body: &str) -> (String, String) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let fault = Fault::of(&Answer { status, headers, body: body.as_bytes().to_vec() });
        (fault.code, fault.message)
    }

    #[test]
    fn every_protocol_says_it_in_its_own_way() {
        let cases = [
            (
                fault(400, &[], r#"{"__type": "com.amazonaws.ecs#ClusterNotFoundException", "message": "gone"}"#),
                ("ClusterNotFoundException", "gone"),
            ),
            (
                fault(400, &[("x-amzn-errortype", "ThrottlingException:http://x")], r#"{"Message": "slow"}"#),
                ("ThrottlingException", "slow"),
            ),
            (
                fault(
                    400,
                    &[],
                    "<ErrorResponse xmlns='x'><Error><Type>Sender</Type><Code>ValidationError</Code>\
                     <Message>no group</Message></Error><RequestId>r</RequestId></ErrorResponse>",
                ),
                ("ValidationError", "no group"),
            ),
            (
                fault(
                    400,
                    &[],
                    "<?xml version='1.0'?><Response><Errors><Error><Code>InvalidVpcID.NotFound</Code>\
                     <Message>no vpc</Message></Error></Errors><RequestID>r</RequestID></Response>",
                ),
                ("InvalidVpcID.NotFound", "no vpc"),
            ),
            (
                fault(
                    400,
                    &[],
                    "<InvalidChangeBatch xmlns='x'><Messages><Message>a is there</Message><Message>b is not</Message>\
                     </Messages><RequestId>r</RequestId></InvalidChangeBatch>",
                ),
                ("InvalidChangeBatch", "a is there; b is not"),
            ),
            (fault(404, &[], "<Error><Code>NoSuchKey</Code><Message>m</Message></Error>"), ("NoSuchKey", "m")),
            (fault(502, &[], "<html><b>Bad</b>\n gateway</html>"), ("HTTP 502", "<html><b>Bad</b> gateway</html>")),
            (fault(500, &[], ""), ("HTTP 500", "no words")),
        ];
        for ((code, message), expected) in &cases {
            assert_eq!((code.as_str(), message.as_str()), *expected);
        }
    }
}
