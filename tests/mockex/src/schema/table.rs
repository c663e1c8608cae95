//! Reads the tables.
//!
//! One type a line, a continued line is indented, `#` starts a comment.
//!
//! * `Name = content` is an element type: `Child=Type` is a child of the types namespace, `m:Child=Type` one of the messages
//!   namespace; `( a b )` a sequence, `( a | b )` a choice, both repeatable; `?`, `*`, `+` say how often, one time otherwise.
//!   `&Base` puts the base type's content and attributes first, `$type` makes the content text, `~Name` is a named choice,
//!   `@Name=type` is an attribute, `@Name=type!` one that must be there.
//! * `group Name = a | b` names a choice.
//! * `enum Name = values`, `text Name = type low..high`, `list Name = type`, `union Name = types` are types of text.
//! * `^13` and `^16` mark what came with Exchange 2013 SP1 and 2016; on a type's name they replace the older model.

use std::collections::HashMap;

use super::Level;
use crate::soap::Namespace;

/// All types, each with its variants from the oldest level to the newest.
#[derive(Debug, Default)]
pub struct Table {
    types: HashMap<&'static str, Vec<(Level, Type)>>,
    groups: HashMap<&'static str, Particle>,
}

#[derive(Debug)]
pub enum Type {
    Complex(Complex),
    Enumeration(Vec<(&'static str, Level)>),
    /// A built-in type, and bounds for numbers.
    Text(&'static str, Option<(i64, i64)>),
    List(&'static str),
    Union(Vec<&'static str>),
}

#[derive(Debug, Default)]
pub struct Complex {
    pub base: Option<&'static str>,
    pub text: Option<&'static str>,
    pub content: Vec<Particle>,
    pub attributes: Vec<Attribute>,
}

#[derive(Debug)]
pub struct Attribute {
    pub name: &'static str,
    pub type_name: &'static str,
    pub required: bool,
    pub since: Level,
}

#[derive(Clone, Debug)]
pub struct Particle {
    pub kind: Kind,
    pub optional: bool,
    pub repeatable: bool,
    pub since: Level,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Element { namespace: Namespace, name: &'static str, type_name: &'static str },
    Sequence(Vec<Particle>),
    Choice(Vec<Particle>),
}

// === impl Table ===

impl Table {
    pub fn read(sources: &[&'static str]) -> Self {
        let mut table = Self::default();
        for source in sources {
            for entry in entries(source) {
                table.add(&entry);
            }
        }
        table
    }

    /// The model of a type at a level; none for built-in types of text.
    pub fn find(&self, name: &str, level: Level) -> Option<&Type> {
        self.types.get(name)?.iter().rev().find(|(since, _)| *since <= level).map(|(_, found)| found)
    }

    /// Words: what is named, `=`, and the definition.
    fn add(&mut self, words: &[&'static str]) {
        let Some(equals) = words.iter().position(|word| *word == "=") else { return };
        let (head, body) = (words.get(..equals).unwrap_or_default(), words.get(equals + 1..).unwrap_or_default());
        let (name, found) = match head {
            ["group", name] => {
                let particle = self.particles(&mut body.iter().copied());
                self.groups.insert(name, particle);
                return;
            }
            ["enum", name] => (*name, Type::Enumeration(body.iter().map(|word| level(word)).collect())),
            ["text", name] => {
                (*name, Type::Text(body.first().copied().unwrap_or("string"), body.get(1).copied().and_then(bounds)))
            }
            ["list", name] => (*name, Type::List(body.first().copied().unwrap_or("string"))),
            ["union", name] => (*name, Type::Union(body.to_vec())),
            [name] => (*name, Type::Complex(self.complex(body))),
            _ => return,
        };
        let (name, since) = level(name);
        self.types.entry(name).or_default().push((since, found));
    }

    fn complex(&self, body: &[&'static str]) -> Complex {
        let mut complex = Complex::default();
        let mut content = Vec::new();
        for word in body.iter().copied() {
            if let Some(base) = word.strip_prefix('&') {
                complex.base = Some(base);
            } else if let Some(text) = word.strip_prefix('$') {
                complex.text = Some(text);
            } else if let Some(attribute) = word.strip_prefix('@') {
                let (attribute, since) = level(attribute);
                let required = attribute.ends_with('!');
                if let Some((name, type_name)) = attribute.trim_end_matches('!').split_once('=') {
                    complex.attributes.push(Attribute { name, type_name, required, since });
                }
            } else {
                content.push(word);
            }
        }
        if let Kind::Sequence(content) = self.particles(&mut content.into_iter()).kind {
            complex.content = content;
        }
        complex
    }

    /// Reads up to the closing bracket or the end; a choice if a bar stands between the particles.
    fn particles(&self, words: &mut dyn Iterator<Item = &'static str>) -> Particle {
        let mut found = Vec::new();
        let mut choice = false;
        let mut closing = "";
        while let Some(word) = words.next() {
            match word {
                "|" => choice = true,
                "(" => found.push(self.particles(words)),
                _ if word.starts_with(')') => {
                    closing = word;
                    break;
                }
                _ => found.extend(self.particle(word)),
            }
        }
        let kind = if choice { Kind::Choice(found) } else { Kind::Sequence(found) };
        let (closing, since) = level(closing);
        Particle::new(kind, closing, since)
    }

    fn particle(&self, word: &'static str) -> Option<Particle> {
        let (word, since) = level(word);
        let bare = word.trim_end_matches(['?', '*', '+']);
        let kind = if let Some(group) = bare.strip_prefix('~') {
            self.groups.get(group)?.kind.clone()
        } else {
            let (name, type_name) = bare.split_once('=')?;
            match name.strip_prefix("m:") {
                Some(name) => Kind::Element { namespace: Namespace::Messages, name, type_name },
                None => Kind::Element { namespace: Namespace::Types, name, type_name },
            }
        };
        Some(Particle::new(kind, word, since))
    }

    #[cfg(test)]
    pub fn type_names(&self) -> impl Iterator<Item = (&'static str, &Type)> {
        self.types.iter().flat_map(|(name, variants)| variants.iter().map(|(_, found)| (*name, found)))
    }
}

// === impl Particle ===

impl Particle {
    fn new(kind: Kind, word: &str, since: Level) -> Self {
        Self { kind, optional: word.ends_with(['?', '*']), repeatable: word.ends_with(['*', '+']), since }
    }
}

/// The entries of a source, each as its words.
fn entries(source: &'static str) -> Vec<Vec<&'static str>> {
    let mut entries: Vec<Vec<&'static str>> = Vec::new();
    for line in source.lines().filter(|line| !line.starts_with('#')) {
        let words = line.split_ascii_whitespace();
        match entries.last_mut() {
            Some(entry) if line.starts_with(' ') => entry.extend(words),
            _ => entries.push(words.collect()),
        }
    }
    entries
}

/// Takes the level mark off a word.
fn level(word: &'static str) -> (&'static str, Level) {
    if let Some(word) = word.strip_suffix("^13") {
        (word, Level::Exchange2013)
    } else if let Some(word) = word.strip_suffix("^16") {
        (word, Level::Exchange2016)
    } else {
        (word, Level::Exchange2010)
    }
}

fn bounds(word: &str) -> Option<(i64, i64)> {
    let (low, high) = word.split_once("..")?;
    Some((low.parse().ok()?, high.parse().ok()?))
}
