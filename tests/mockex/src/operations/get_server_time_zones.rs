//! GetServerTimeZones (MS-OXWSGTZ): a few, without their transitions.

use super::{Call, response};
use crate::soap::{Element, Xml};

const ZONES: [(&str, &str); 4] = [
    ("UTC", "(UTC) Coordinated Universal Time"),
    ("W. Europe Standard Time", "(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna"),
    ("Eastern Standard Time", "(UTC-05:00) Eastern Time (US & Canada)"),
    ("India Standard Time", "(UTC+05:30) Chennai, Kolkata, Mumbai, New Delhi"),
];

pub fn perform(call: &Call<'_>, operation: &Element) -> String {
    let wanted = operation.child("Ids").map(|ids| ids.children.iter().map(|id| id.text.trim()).collect::<Vec<_>>());
    response::single(call, "GetServerTimeZones", "", || {
        let mut xml = Xml::new();
        xml.open("m:TimeZoneDefinitions");
        for (id, name) in ZONES.iter().filter(|(id, _)| wanted.as_ref().is_none_or(|wanted| wanted.contains(id))) {
            xml.empty("t:TimeZoneDefinition", &[("Name", name), ("Id", id)]);
        }
        xml.close("m:TimeZoneDefinitions");
        Ok(xml.into_string())
    })
}
