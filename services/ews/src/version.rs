//! Versions: which schema a request is written for, and which server answered.

use std::fmt;

use crate::xml::{Element, XmlError};

/// The schema that a request follows and an answer keeps to (MS-OXWSCDATA, RequestServerVersion). Newer servers understand
/// all older values; the `V2017_...` strings that they call themselves are no valid request versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestServerVersion {
    /// Exchange 2007 SP1.
    Exchange2007Sp1,
    /// Exchange 2010.
    Exchange2010,
    /// Exchange 2010 SP1.
    Exchange2010Sp1,
    /// Exchange 2010 SP2 and SP3: enough for everything Postroad does, and understood by every supported server.
    #[default]
    Exchange2010Sp2,
    /// Exchange 2013 before SP1.
    Exchange2013,
    /// Exchange 2013 SP1 and later.
    Exchange2013Sp1,
    /// Exchange 2016, 2019, Subscription Edition, Online.
    Exchange2016,
}

/// What a server says about itself in `ServerVersionInfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerVersion {
    /// 14 is 2010, 15 is everything later.
    pub major: u32,
    /// With major 15: 0 is 2013, 1 is 2016, 2 is 2019 and later, 20 is Online.
    pub minor: u32,
    /// Build.
    pub build: u32,
    /// Revision of the build.
    pub revision: u32,
    /// The schema's name, if the server gives it; not to be sent back.
    pub schema: Option<String>,
}

// === impl RequestServerVersion ===

impl RequestServerVersion {
    /// The value as it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exchange2007Sp1 => "Exchange2007_SP1",
            Self::Exchange2010 => "Exchange2010",
            Self::Exchange2010Sp1 => "Exchange2010_SP1",
            Self::Exchange2010Sp2 => "Exchange2010_SP2",
            Self::Exchange2013 => "Exchange2013",
            Self::Exchange2013Sp1 => "Exchange2013_SP1",
            Self::Exchange2016 => "Exchange2016",
        }
    }

    /// The next older value worth trying when a server refuses this one.
    #[must_use]
    pub const fn older(self) -> Option<Self> {
        match self {
            Self::Exchange2007Sp1 => None,
            Self::Exchange2010 => Some(Self::Exchange2007Sp1),
            Self::Exchange2010Sp1 => Some(Self::Exchange2010),
            Self::Exchange2010Sp2 => Some(Self::Exchange2010Sp1),
            Self::Exchange2013 => Some(Self::Exchange2010Sp2),
            Self::Exchange2013Sp1 => Some(Self::Exchange2013),
            Self::Exchange2016 => Some(Self::Exchange2013Sp1),
        }
    }
}

impl fmt::Display for RequestServerVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

// === impl ServerVersion ===

impl ServerVersion {
    pub(crate) fn read(element: &Element<'_>) -> Result<Self, XmlError> {
        let number =
            |name| element.attribute(name).map(|text| text.and_then(|text| text.parse().ok()).unwrap_or_default());
        Ok(Self {
            major: number("MajorVersion")?,
            minor: number("MinorVersion")?,
            build: number("MajorBuildNumber")?,
            revision: number("MinorBuildNumber")?,
            schema: element.attribute("Version")?,
        })
    }

    /// The product's name for people.
    #[must_use]
    pub const fn product(&self) -> &'static str {
        match (self.major, self.minor) {
            (8, _) => "Exchange 2007",
            (14, _) => "Exchange 2010",
            (15, 0) => "Exchange 2013",
            (15, 1) => "Exchange 2016",
            (15, 2) => "Exchange 2019 or Subscription Edition",
            (15, 20..) => "Exchange Online",
            _ => "unknown",
        }
    }

    /// The number of concurrent requests that the default throttling policy allows (EWSMaxConcurrency).
    #[must_use]
    pub const fn default_concurrency(&self) -> u32 {
        if self.major <= 14 { 10 } else { 27 }
    }

    /// The newest request version that this server understands.
    #[must_use]
    pub const fn newest_request(&self) -> RequestServerVersion {
        match (self.major, self.minor) {
            (..=8, _) => RequestServerVersion::Exchange2007Sp1,
            (9..=14, 0) => RequestServerVersion::Exchange2010,
            (9..=14, 1) => RequestServerVersion::Exchange2010Sp1,
            (9..=14, _) => RequestServerVersion::Exchange2010Sp2,
            (15, 0) if self.build < 847 => RequestServerVersion::Exchange2013,
            (15, 0) => RequestServerVersion::Exchange2013Sp1,
            _ => RequestServerVersion::Exchange2016,
        }
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({}.{}.{}.{})", self.product(), self.major, self.minor, self.build, self.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(major: u32, minor: u32, build: u32) -> ServerVersion {
        ServerVersion { major, minor, build, revision: 0, schema: None }
    }

    #[test]
    fn builds_tell_the_product_and_its_limits() {
        assert_eq!(server(14, 3, 123).default_concurrency(), 10);
        assert_eq!(server(15, 1, 2507).default_concurrency(), 27);
        assert_eq!(server(14, 3, 123).newest_request(), RequestServerVersion::Exchange2010Sp2);
        assert_eq!(server(15, 0, 516).newest_request(), RequestServerVersion::Exchange2013);
        assert_eq!(server(15, 0, 847).newest_request(), RequestServerVersion::Exchange2013Sp1);
        assert_eq!(server(15, 20, 7409).newest_request(), RequestServerVersion::Exchange2016);
    }

    #[test]
    fn stepping_down_ends() {
        let steps = std::iter::successors(Some(RequestServerVersion::Exchange2016), |version| version.older());
        assert_eq!(steps.count(), 7);
    }
}
