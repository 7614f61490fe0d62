//! The target description: which register has which number.
//!
//! QEMU numbers its system registers in an order that differs from run to run of its build, so numbers are looked
//! up by name in the XML that the gdbstub hands out (`qXfer:features:read`).

use std::collections::HashMap;

use roxmltree::{Document, ParsingOptions};

/// Number and size of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Its number in `p` and `P`.
    pub number: u32,
    /// Its size in bits.
    pub bits: u32,
}

impl Register {
    /// Its size in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bits.div_ceil(8) as usize
    }
}

/// A target description that is not one.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Not well-formed XML.
    #[error("target description: {0}")]
    Xml(#[from] roxmltree::Error),
    /// A register without a name, size or with a bad number.
    #[error("target description: register {0} has no usable name, size or number")]
    Register(String),
}

/// The registers of a target, collected from its XML documents in the order in which they are included.
#[derive(Clone, Debug, Default)]
pub struct TargetDescription {
    registers: HashMap<String, Register>,
    next_number: u32,
}

impl TargetDescription {
    /// Adds the registers of one document and gives the documents that it includes.
    ///
    /// # Errors
    /// The document is not well-formed, or a register in it has no name, size or number.
    pub fn add(&mut self, xml: &str) -> Result<Vec<String>, TargetError> {
        let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
        let xml = prepared(xml);
        let document = Document::parse_with_options(&xml, options)?;
        let mut includes = Vec::new();
        for node in document.descendants().filter(roxmltree::Node::is_element) {
            match node.tag_name().name() {
                "include" => includes.extend(node.attribute("href").map(str::to_owned)),
                "reg" => self.add_register(node)?,
                _ => {}
            }
        }
        Ok(includes)
    }

    fn add_register(&mut self, node: roxmltree::Node<'_, '_>) -> Result<(), TargetError> {
        let broken = || TargetError::Register(node.attribute("name").unwrap_or("(unnamed)").to_owned());
        let name = node.attribute("name").ok_or_else(broken)?;
        let bits = node.attribute("bitsize").and_then(|bits| bits.parse().ok()).ok_or_else(broken)?;
        let number = match node.attribute("regnum") {
            Some(number) => number.parse().map_err(|_| broken())?,
            None => self.next_number,
        };
        self.next_number = u32::checked_add(number, 1).ok_or_else(broken)?;
        self.registers.insert(name.to_owned(), Register { number, bits });
        Ok(())
    }

    /// The register called `name`.
    #[must_use]
    pub fn register(&self, name: &str) -> Option<Register> {
        self.registers.get(name).copied()
    }
}

/// QEMU's root document uses the prefix `xi` without declaring it; XML with namespaces needs the declaration.
fn prepared(xml: &str) -> String {
    if xml.contains("<xi:include") && !xml.contains("xmlns:xi") {
        xml.replacen("<target>", "<target xmlns:xi=\"http://www.w3.org/2001/XInclude\">", 1)
    } else {
        xml.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_are_listed_in_order() {
        let root = "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>\
                    <architecture>aarch64</architecture><xi:include href=\"a.xml\"/><xi:include href=\"b.xml\"/></target>";
        assert_eq!(TargetDescription::default().add(root).unwrap(), ["a.xml", "b.xml"]);
    }

    #[test]
    fn numbers_count_on_from_the_last_explicit_one_across_documents() {
        let mut target = TargetDescription::default();
        target.add("<feature><reg name=\"x0\" bitsize=\"64\"/><reg name=\"cpsr\" bitsize=\"32\" regnum=\"33\"/></feature>").unwrap();
        target.add("<feature><reg name=\"v0\" bitsize=\"128\"/></feature>").unwrap();
        assert_eq!(target.register("x0"), Some(Register { number: 0, bits: 64 }));
        assert_eq!(target.register("cpsr"), Some(Register { number: 33, bits: 32 }));
        assert_eq!(target.register("v0"), Some(Register { number: 34, bits: 128 }));
        assert_eq!(target.register("VTTBR_EL2"), None);
    }

    #[test]
    fn a_register_without_a_size_is_an_error() {
        let error = TargetDescription::default().add("<feature><reg name=\"x0\"/></feature>").unwrap_err();
        assert!(error.to_string().contains("x0"), "{error}");
        assert!(TargetDescription::default().add("<feature>").is_err());
    }
}
