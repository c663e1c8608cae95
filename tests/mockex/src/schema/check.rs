//! Checks an element against its type.
//!
//! Schema content models are deterministic, so the next child alone decides which way to go.

use super::Level;
use super::simple;
use super::table::{Complex, Kind, Particle, Table, Type};
use crate::soap::Element;

/// Where and how a request breaks the schema.
#[derive(Clone, Debug)]
pub struct Violation {
    pub offset: usize,
    pub text: String,
}

/// Checks an element whose type is known.
pub fn element(table: &Table, level: Level, element: &Element, type_name: &str) -> Result<(), Violation> {
    let Some(Type::Complex(_)) = table.find(type_name, level) else {
        return text_element(table, level, element, type_name);
    };
    let chain = chain(table, level, type_name);
    attributes(table, level, element, &chain)?;
    if let Some(text_type) = chain.iter().find_map(|complex| complex.text) {
        return no_children(element).and_then(|()| value(table, level, element, &element.text, text_type));
    }
    if !element.text.trim().is_empty() {
        return Err(Violation::new(element, format!("The element {} cannot contain text.", named(element))));
    }
    let mut walk = Walk { table, level, parent: element, next: 0 };
    for particle in chain.iter().flat_map(|complex| &complex.content) {
        walk.take(particle)?;
    }
    match element.children.get(walk.next) {
        Some(extra) => Err(walk.unexpected(extra, &[])),
        None => Ok(()),
    }
}

/// A type and its bases, the most basic first.
fn chain<'a>(table: &'a Table, level: Level, type_name: &str) -> Vec<&'a Complex> {
    let mut chain = Vec::new();
    let mut next = Some(type_name);
    while let Some(Type::Complex(complex)) = next.and_then(|name| table.find(name, level)) {
        chain.push(complex);
        next = complex.base;
    }
    chain.reverse();
    chain
}

fn attributes(table: &Table, level: Level, element: &Element, chain: &[&Complex]) -> Result<(), Violation> {
    let declared = || chain.iter().flat_map(|complex| &complex.attributes).filter(|attribute| attribute.since <= level);
    for (name, text) in &element.attributes {
        match declared().find(|attribute| attribute.name == name) {
            Some(attribute) => value(table, level, element, text, attribute.type_name)?,
            None => return Err(Violation::new(element, format!("The '{name}' attribute is not declared."))),
        }
    }
    match declared().find(|attribute| attribute.required && element.attribute(attribute.name).is_none()) {
        Some(missing) => Err(Violation::new(element, format!("The required attribute '{}' is missing.", missing.name))),
        None => Ok(()),
    }
}

fn text_element(table: &Table, level: Level, element: &Element, type_name: &str) -> Result<(), Violation> {
    if let Some((name, _)) = element.attributes.first() {
        return Err(Violation::new(element, format!("The '{name}' attribute is not declared.")));
    }
    no_children(element)?;
    value(table, level, element, &element.text, type_name)
}

fn no_children(element: &Element) -> Result<(), Violation> {
    match element.children.first() {
        Some(child) => Err(Violation::new(
            child,
            format!("The element {} cannot contain child element {}.", named(element), named(child)),
        )),
        None => Ok(()),
    }
}

fn value(table: &Table, level: Level, element: &Element, text: &str, type_name: &str) -> Result<(), Violation> {
    if fits(table, level, text, type_name) {
        return Ok(());
    }
    let shown: String = text.chars().take(60).collect();
    Err(Violation::new(
        element,
        format!(
            "The '{}' element is invalid - The value '{shown}' is invalid according to its datatype '{type_name}'.",
            element.name
        ),
    ))
}

fn fits(table: &Table, level: Level, text: &str, type_name: &str) -> bool {
    match table.find(type_name, level) {
        None => simple::is_valid(type_name, text),
        Some(Type::Enumeration(values)) => values.iter().any(|(value, since)| *value == text && *since <= level),
        Some(Type::Text(base, bounds)) => {
            fits(table, level, text, base)
                && bounds.is_none_or(|(low, high)| {
                    text.trim().parse().is_ok_and(|number: i64| (low..=high).contains(&number))
                })
        }
        Some(Type::List(item)) => text.split_ascii_whitespace().all(|word| fits(table, level, word, item)),
        Some(Type::Union(members)) => members.iter().any(|member| fits(table, level, text, member)),
        Some(Type::Complex(_)) => false,
    }
}

/// A walk along the children of an element.
struct Walk<'a> {
    table: &'a Table,
    level: Level,
    parent: &'a Element,
    next: usize,
}

impl Walk<'_> {
    fn take(&mut self, particle: &Particle) -> Result<(), Violation> {
        if particle.since > self.level {
            return Ok(());
        }
        let mut taken = false;
        while self.is_at(particle) {
            self.take_once(particle)?;
            taken = true;
            if !particle.repeatable {
                return Ok(());
            }
        }
        if taken || self.may_be_absent(particle) {
            return Ok(());
        }
        let mut expected = Vec::new();
        self.first_names(particle, &mut expected);
        match self.parent.children.get(self.next) {
            Some(child) => Err(self.unexpected(child, &expected)),
            None => Err(Violation::new(
                self.parent,
                format!(
                    "The element {} has incomplete content. List of possible elements expected: '{}'.",
                    named(self.parent),
                    expected.join(", ")
                ),
            )),
        }
    }

    fn take_once(&mut self, particle: &Particle) -> Result<(), Violation> {
        match &particle.kind {
            Kind::Element { type_name, .. } => {
                if let Some(child) = self.parent.children.get(self.next) {
                    element(self.table, self.level, child, type_name)?;
                }
                self.next += 1;
                Ok(())
            }
            Kind::Sequence(members) => members.iter().try_for_each(|member| self.take(member)),
            Kind::Choice(members) => match members.iter().find(|member| self.is_at(member)) {
                Some(member) => self.take(member),
                None => Ok(()),
            },
        }
    }

    /// Whether the next child can begin the particle.
    fn is_at(&self, particle: &Particle) -> bool {
        let Some(child) = self.parent.children.get(self.next) else { return false };
        if particle.since > self.level {
            return false;
        }
        match &particle.kind {
            Kind::Element { namespace, name, .. } => child.namespace == *namespace && child.name == *name,
            Kind::Choice(members) => members.iter().any(|member| self.is_at(member)),
            Kind::Sequence(members) => {
                for member in members {
                    if self.is_at(member) {
                        return true;
                    }
                    if !self.may_be_absent(member) {
                        return false;
                    }
                }
                false
            }
        }
    }

    fn may_be_absent(&self, particle: &Particle) -> bool {
        particle.optional
            || particle.since > self.level
            || match &particle.kind {
                Kind::Element { .. } => false,
                Kind::Sequence(members) => members.iter().all(|member| self.may_be_absent(member)),
                Kind::Choice(members) => members.iter().any(|member| self.may_be_absent(member)),
            }
    }

    fn first_names<'p>(&self, particle: &'p Particle, names: &mut Vec<&'p str>) {
        if particle.since > self.level {
            return;
        }
        match &particle.kind {
            Kind::Element { name, .. } => names.push(name),
            Kind::Choice(members) => members.iter().for_each(|member| self.first_names(member, names)),
            Kind::Sequence(members) => {
                for member in members {
                    self.first_names(member, names);
                    if !self.may_be_absent(member) {
                        break;
                    }
                }
            }
        }
    }

    fn unexpected(&self, child: &Element, expected: &[&str]) -> Violation {
        let list = if expected.is_empty() {
            String::new()
        } else {
            format!(" List of possible elements expected: '{}'.", expected.join(", "))
        };
        Violation::new(
            child,
            format!("The element {} has invalid child element {}.{list}", named(self.parent), named(child)),
        )
    }
}

// === impl Violation ===

impl Violation {
    fn new(element: &Element, text: String) -> Self {
        Self { offset: element.offset, text }
    }

    pub fn unknown_element(element: &Element) -> Self {
        Self::new(element, format!("The element {} is not expected.", named(element)))
    }
}

fn named(element: &Element) -> String {
    format!("'{}' in namespace '{}'", element.name, element.namespace.uri())
}

#[cfg(test)]
mod tests {
    use super::super::TABLE;
    use super::super::table::{Kind, Particle, Type};
    use super::{Level, simple};

    fn names<'a>(particle: &'a Particle, found: &mut Vec<&'a str>) {
        match &particle.kind {
            Kind::Element { type_name, .. } => found.push(type_name),
            Kind::Sequence(members) | Kind::Choice(members) => members.iter().for_each(|member| names(member, found)),
        }
    }

    #[test]
    fn every_type_a_table_names_is_defined() {
        let mut used = Vec::new();
        for (_, found) in TABLE.type_names() {
            match found {
                Type::Complex(complex) => {
                    used.extend(complex.base);
                    used.extend(complex.text);
                    used.extend(complex.attributes.iter().map(|attribute| attribute.type_name));
                    complex.content.iter().for_each(|particle| names(particle, &mut used));
                }
                Type::Text(base, _) | Type::List(base) => used.push(base),
                Type::Union(members) => used.extend(members),
                Type::Enumeration(values) => assert!(!values.is_empty()),
            }
        }
        assert!(used.len() > 500, "{}", used.len());
        for name in used {
            assert!(simple::is_built_in(name) || TABLE.find(name, Level::Exchange2016).is_some(), "{name}");
        }
    }
}
