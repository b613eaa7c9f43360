//! The committed shapes are what the committed script derives from the pinned models.

use std::path::Path;

use crate::botocore;

#[test]
fn committed_shapes_are_what_the_script_derives() {
    let script = "../../schemas/aws/derive.py";
    let said = botocore().run(script, [Path::new("--check")], "").unwrap_or_else(|error| panic!("{error}"));
    assert!(said.contains("differing: none"), "{said}");
    let services: Vec<&str> = belay_schemas::aws::services().collect();
    for service in &services {
        assert!(said.contains(&format!("{service}.json: ")), "{service} is embedded, but not derived:\n{said}");
    }
    assert_eq!(said.matches(".json: ").count(), services.len(), "a service is derived, but not embedded:\n{said}");
}
