//! Launch templates and their versions.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::errors::{missing, rejected};
use super::super::request::{Answer, Paging, Reply, items, tags_of, text, texts, to_upper_tags};
use super::super::world::{LaunchTemplate, TemplateVersion, World};
use super::lookup::{like, passes};
use crate::cloud::CloudError;

/// Versions that one call deletes at most.
const MOST_DELETED: usize = 200;

/// A launch template and a version of it, as groups name them.
pub(in super::super) struct Reference<'w> {
    pub(in super::super) id: &'w str,
    pub(in super::super) template: &'w LaunchTemplate,
    pub(in super::super) number: u64,
    pub(in super::super) version: &'w TemplateVersion,
}

fn no_name(name: &str) -> CloudError {
    let message = format!("The specified launch template, with template name {name}, does not exist.");
    missing("InvalidLaunchTemplateName.NotFoundException", message)
}

fn no_id(id: &str) -> CloudError {
    let message = format!("The specified launch template, with template ID {id}, does not exist.");
    missing("InvalidLaunchTemplateId.NotFound", message)
}

fn no_version(id: &str, version: &str) -> CloudError {
    let message = format!("Could not find the specified version {version} for the launch template with ID {id}.");
    missing("InvalidLaunchTemplateId.VersionNotFound", message)
}

/// The id of the template that an input names by `LaunchTemplateId` or `LaunchTemplateName`.
fn id_of(world: &World, input: &Value) -> Result<String, CloudError> {
    match (text(input, "LaunchTemplateId"), text(input, "LaunchTemplateName")) {
        (Some(_), Some(_)) => Err(rejected(
            "InvalidParameterCombination",
            "The parameters LaunchTemplateId and LaunchTemplateName cannot be used together",
        )),
        (Some(id), None) => world.launch_templates.contains_key(id).then(|| id.to_owned()).ok_or_else(|| no_id(id)),
        (None, Some(name)) => {
            let known = world.launch_templates.iter().find(|(_, template)| template.name == name);
            known.map(|(id, _)| id.clone()).ok_or_else(|| no_name(name))
        }
        (None, None) => {
            Err(rejected("MissingParameter", "The request must contain a launch template ID or a launch template name"))
        }
    }
}

/// The template and version that a specification of a group names.
pub(in super::super) fn find<'w>(world: &'w World, specification: &Value) -> Result<Reference<'w>, CloudError> {
    let id = match text(specification, "LaunchTemplateId") {
        // A group may show both, and its id is what counts.
        Some(id) => id_of(world, &json!({"LaunchTemplateId": id}))?,
        None => id_of(world, specification)?,
    };
    let Some((id, template)) = world.launch_templates.get_key_value(&id) else { return Err(no_id(&id)) };
    let wanted = text(specification, "Version");
    let number = template.number(wanted).ok_or_else(|| no_version(id, wanted.unwrap_or("$Default")))?;
    let version = template.versions.get(&number).ok_or_else(|| no_version(id, &number.to_string()))?;
    Ok(Reference { id, template, number, version })
}

fn show(id: &str, template: &LaunchTemplate, world: &World) -> Value {
    json!({
        "LaunchTemplateId": id,
        "LaunchTemplateName": template.name,
        "CreateTime": template.created_at.to_string(),
        "CreatedBy": world.iam_arn("user/simulated"),
        "DefaultVersionNumber": template.default_version,
        "LatestVersionNumber": template.latest_version,
        "Tags": to_upper_tags(&template.tags),
    })
}

fn show_version(world: &World, id: &str, template: &LaunchTemplate, number: u64) -> Value {
    let Some(version) = template.versions.get(&number) else { return Value::Null };
    let mut shown = json!({
        "LaunchTemplateId": id,
        "LaunchTemplateName": template.name,
        "VersionNumber": number,
        "DefaultVersion": template.default_version == number,
        "CreateTime": version.created_at.to_string(),
        "CreatedBy": world.iam_arn("user/simulated"),
        "LaunchTemplateData": version.data,
    });
    if let Some(description) = &version.description {
        shown["VersionDescription"] = description.as_str().into();
    }
    shown
}

fn data_of(input: &Value) -> Map<String, Value> {
    input["LaunchTemplateData"].as_object().cloned().unwrap_or_default()
}

pub(super) fn create(world: &mut World, input: &Value) -> Answer {
    let name = text(input, "LaunchTemplateName").unwrap_or_default().to_owned();
    let token = text(input, "ClientToken").map(str::to_owned);
    let known = world.launch_templates.iter().find(|(_, template)| template.name == name);
    if let Some((id, template)) = known {
        let first = template.versions.get(&1).map(|version| &version.data);
        if token.is_some() && template.token == token {
            if first != Some(&data_of(input)) {
                return Err(mismatch());
            }
            return Ok(Reply { output: json!({"LaunchTemplate": show(id, template, world)}), repeated: true });
        }
        return Err(rejected(
            "InvalidLaunchTemplateName.AlreadyExistsException",
            "Launch template name already in use.",
        ));
    }
    if name.chars().count() < 3
        || name.chars().count() > 128
        || !name.chars().all(|c| c.is_ascii_alphanumeric() || "().-/_".contains(c))
    {
        let message = "Launch template names must be between 3 and 128 characters, and may contain letters, numbers, and the following characters: - ( ) . / _";
        return Err(rejected("InvalidLaunchTemplateName.MalformedException", message));
    }
    let specifications = items(input, "TagSpecifications");
    let own = specifications.iter().filter(|s| text(s, "ResourceType") == Some("launch-template"));
    let tags: BTreeMap<String, String> = own.flat_map(|s| tags_of(items(s, "Tags"), "Key", "Value")).collect();
    let version = TemplateVersion {
        data: data_of(input),
        description: text(input, "VersionDescription").map(str::to_owned),
        created_at: world.now,
        token: None,
    };
    let template = LaunchTemplate {
        name,
        default_version: 1,
        latest_version: 1,
        versions: BTreeMap::from([(1, version)]),
        tags,
        created_at: world.now,
        token,
    };
    let mut id = template_id(world.count("launchTemplate"));
    while world.launch_templates.contains_key(&id) {
        id = template_id(world.count("launchTemplate"));
    }
    let shown = show(&id, &template, world);
    world.launch_templates.insert(id, template);
    Ok(json!({"LaunchTemplate": shown}).into())
}

fn template_id(number: u64) -> String {
    format!("lt-0a{number:015x}")
}

fn mismatch() -> CloudError {
    let message = "The request uses the same client token as a previous, but non-identical request.";
    rejected("IdempotentParameterMismatch", message)
}

pub(super) fn create_version(world: &mut World, input: &Value) -> Answer {
    let id = id_of(world, input)?;
    let (token, now) = (text(input, "ClientToken").map(str::to_owned), world.now);
    let Some(template) = world.launch_templates.get(&id) else { return Err(no_id(&id)) };
    let repeated = template.versions.iter().find(|(_, version)| token.is_some() && version.token == token);
    if let Some((number, _)) = repeated {
        let output = json!({"LaunchTemplateVersion": show_version(world, &id, template, *number)});
        return Ok(Reply { output, repeated: true });
    }
    // What is said replaces what the source has, member by member.
    let mut data = match text(input, "SourceVersion") {
        None => Map::new(),
        Some(source) => {
            let number = template.number(Some(source)).ok_or_else(|| no_version(&id, source))?;
            template.versions.get(&number).map(|version| version.data.clone()).unwrap_or_default()
        }
    };
    data.extend(data_of(input));
    let description = text(input, "VersionDescription").map(str::to_owned);
    let Some(template) = world.launch_templates.get_mut(&id) else { return Err(no_id(&id)) };
    template.latest_version += 1;
    let number = template.latest_version;
    template.versions.insert(number, TemplateVersion { data, description, created_at: now, token });
    let template = template.clone();
    Ok(json!({"LaunchTemplateVersion": show_version(world, &id, &template, number)}).into())
}

pub(super) fn modify(world: &mut World, input: &Value) -> Answer {
    let id = id_of(world, input)?;
    let Some(template) = world.launch_templates.get_mut(&id) else { return Err(no_id(&id)) };
    if let Some(wanted) = text(input, "DefaultVersion") {
        template.default_version = template.number(Some(wanted)).ok_or_else(|| no_version(&id, wanted))?;
    }
    let template = template.clone();
    Ok(json!({"LaunchTemplate": show(&id, &template, world)}).into())
}

/// Deleting one that a group uses succeeds: the group's next launch fails.
pub(super) fn delete(world: &mut World, input: &Value) -> Answer {
    let id = id_of(world, input)?;
    let template = world.launch_templates.remove(&id).ok_or_else(|| no_id(&id))?;
    Ok(json!({"LaunchTemplate": show(&id, &template, world)}).into())
}

pub(super) fn delete_versions(world: &mut World, input: &Value) -> Answer {
    let id = id_of(world, input)?;
    let Some(template) = world.launch_templates.get_mut(&id) else { return Err(no_id(&id)) };
    let wanted = texts(input, "Versions");
    if wanted.len() > MOST_DELETED {
        return Err(rejected(
            "InvalidParameterValue",
            format!("At most {MOST_DELETED} versions can be deleted at once"),
        ));
    }
    let (mut gone, mut kept) = (Vec::new(), Vec::new());
    for text in wanted {
        let number = text.parse::<u64>().ok();
        let name = template.name.clone();
        let refuse = |code: &str, message: &str| {
            json!({"LaunchTemplateId": id, "LaunchTemplateName": name, "VersionNumber": number.unwrap_or(0),
                   "ResponseError": {"Code": code, "Message": message}})
        };
        match number {
            Some(number) if number == template.default_version => {
                kept.push(refuse("unexpectedError", "The default version of a launch template cannot be deleted."));
            }
            Some(number) if template.versions.remove(&number).is_some() => {
                gone.push(
                    json!({"LaunchTemplateId": id, "LaunchTemplateName": template.name, "VersionNumber": number}),
                );
            }
            _ => kept.push(refuse(
                "launchTemplateVersionDoesNotExist",
                "The specified launch template version does not exist.",
            )),
        }
    }
    let mut output = json!({"SuccessfullyDeletedLaunchTemplateVersions": gone});
    if !kept.is_empty() {
        output["UnsuccessfullyDeletedLaunchTemplateVersions"] = kept.into();
    }
    Ok(output.into())
}

pub(super) fn describe(world: &World, input: &Value) -> Answer {
    let (ids, names) = (texts(input, "LaunchTemplateIds"), texts(input, "LaunchTemplateNames"));
    if let Some(unknown) = ids.iter().find(|id| !world.launch_templates.contains_key(id)) {
        return Err(no_id(unknown));
    }
    let known = |name: &str| world.launch_templates.values().any(|template| template.name == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let message = "At least one of the launch templates specified in the request does not exist.";
        return Err(missing("InvalidLaunchTemplateName.NotFoundException", format!("{message} ({unknown})")));
    }
    let filters = [("launch-template-name", "LaunchTemplateName"), ("create-time", "CreateTime")];
    // Most callers ask for one by its name: the others need not be shown to be left out.
    let first = items(input, "Filters").first().filter(|filter| text(filter, "Name") == Some(filters[0].0));
    let patterns = first.map(|filter| texts(filter, "Values"));
    let mut found = Vec::new();
    for (id, template) in &world.launch_templates {
        let wanted = (ids.is_empty() && names.is_empty())
            || ids.contains(&id.as_str())
            || names.contains(&template.name.as_str());
        let called = patterns.as_ref().is_none_or(|patterns| patterns.iter().any(|p| like(p, &template.name)));
        if !wanted || !called {
            continue;
        }
        let shown = show(id, template, world);
        if passes(&shown, items(input, "Filters"), &filters)? {
            found.push(shown);
        }
    }
    found.sort_by(|a, b| a["LaunchTemplateName"].as_str().cmp(&b["LaunchTemplateName"].as_str()));
    Ok(Paging { most: 200, default: 200, ..Paging::EC2 }.answer("LaunchTemplates", found, input)?.into())
}

/// Versions of one template, the newest first; or, without a template, the latest or default one of each.
pub(super) fn describe_versions(world: &World, input: &Value) -> Answer {
    let wanted = texts(input, "Versions");
    let named = text(input, "LaunchTemplateId").is_some() || text(input, "LaunchTemplateName").is_some();
    let mut found = Vec::new();
    if named {
        let id = id_of(world, input)?;
        let Some(template) = world.launch_templates.get(&id) else { return Err(no_id(&id)) };
        let bound = |member: &str| text(input, member).and_then(|text| template.number(Some(text)));
        let (least, most) = (bound("MinVersion").unwrap_or(0), bound("MaxVersion").unwrap_or(u64::MAX));
        let mut numbers: Vec<u64> = match wanted.is_empty() {
            true => template.versions.keys().copied().filter(|number| (least..=most).contains(number)).collect(),
            false => {
                let number = |text: &&str| template.number(Some(text)).ok_or_else(|| no_version(&id, text));
                wanted.iter().map(number).collect::<Result<_, _>>()?
            }
        };
        numbers.sort_unstable();
        numbers.dedup();
        found.extend(numbers.into_iter().rev().map(|number| show_version(world, &id, template, number)));
    } else {
        if wanted.is_empty() || wanted.iter().any(|version| !version.starts_with('$')) {
            return Err(rejected(
                "MissingParameter",
                "The request must contain a launch template ID or name, or $Latest or $Default",
            ));
        }
        for (id, template) in &world.launch_templates {
            let numbers = wanted.iter().filter_map(|version| template.number(Some(version)));
            let numbers: std::collections::BTreeSet<u64> = numbers.collect();
            found.extend(numbers.into_iter().map(|number| show_version(world, id, template, number)));
        }
    }
    Ok(Paging { most: 200, default: 200, ..Paging::EC2 }.answer("LaunchTemplateVersions", found, input)?.into())
}
