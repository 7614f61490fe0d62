//! Where the locks inside a variable are, told by the debugging information of its type.
//!
//! The hypervisor tells nobody when it takes a lock. But a lock is a byte in memory, and a journal of stores has the
//! store that takes it (1) and the one that gives it back (0).

use addr2line::gimli::{
    AttributeValue, DW_AT_data_member_location, DW_AT_location, DW_AT_name, DW_AT_type, DW_TAG_member,
    DW_TAG_variable, Dwarf, EndianSlice, Error, LittleEndian, Operation, SectionId, Unit, UnitOffset,
};
use object::{Object, ObjectSection};
use parallax_addr::HypVa;

/// Name of a lock's type, in front of its arguments, and of its member that is 1 while the lock is taken.
const TYPE: &str = "SpinMutex<";
const WORD: &str = "lock";
/// How deep a lock may lie in the variable's type.
const DEPTH: usize = 12;

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Name of the member that it is.
    pub name: String,
    /// Address of the byte that is 1 while it is taken.
    pub address: HypVa,
}

/// The locks of the variable called `variable` in the ELF file `data`; empty if there is none of that name.
pub(super) fn find(data: &[u8], variable: &str) -> Result<Vec<Lock>, String> {
    let file = object::File::parse(data).map_err(|error| error.to_string())?;
    let section = |id: SectionId| {
        let section = file.section_by_name(id.name());
        let bytes = section.and_then(|section| section.data().ok()).unwrap_or_default();
        Ok::<_, Error>(EndianSlice::new(bytes, LittleEndian))
    };
    let dwarf = Dwarf::load(section).map_err(|error| error.to_string())?;
    search(&dwarf, variable).map_err(|error| format!("debugging information: {error}"))
}

/// `locks` if all of `names` are among them.
pub(super) fn require(locks: Vec<Lock>, names: &[&str]) -> Result<Vec<Lock>, String> {
    match names.iter().find(|name| locks.iter().all(|lock| lock.name != **name)) {
        None => Ok(locks),
        Some(name) => Err(format!(
            "where the lock `{name}` is cannot be told, and the order of events not be judged; build the image with \
             debugging information, or use --without-events"
        )),
    }
}

fn search(dwarf: &Dwarf<Slice<'_>>, variable: &str) -> Result<Vec<Lock>, Error> {
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        let unit = dwarf.unit(header)?;
        let types = Types { dwarf, unit: &unit };
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            if entry.tag() != DW_TAG_variable || types.name(entry.attr_value(DW_AT_name))? != Some(variable) {
                continue;
            }
            let (Some(AttributeValue::UnitRef(of)), Some(address)) =
                (entry.attr_value(DW_AT_type), address(entry.attr_value(DW_AT_location), &unit)?)
            else {
                continue;
            };
            let mut locks = Vec::new();
            types.descend(of, address, DEPTH, &mut locks)?;
            return Ok(locks);
        }
    }
    Ok(Vec::new())
}

/// The address that a location stands for, if it is a fixed one.
fn address(
    location: Option<AttributeValue<Slice<'_>>>,
    unit: &Unit<Slice<'_>>,
) -> Result<Option<u64>, Error> {
    let Some(AttributeValue::Exprloc(expression)) = location else { return Ok(None) };
    let mut address = None;
    let mut operations = expression.operations(unit.encoding());
    while let Some(operation) = operations.next()? {
        address = match (operation, address) {
            (Operation::Address { address }, None) => Some(address),
            (Operation::PlusConstant { value }, Some(base)) => u64::checked_add(base, value),
            _ => return Ok(None),
        };
    }
    Ok(address)
}

/// The types of one unit.
struct Types<'d, 'a> {
    dwarf: &'d Dwarf<Slice<'a>>,
    unit: &'d Unit<Slice<'a>>,
}

impl<'a> Types<'_, 'a> {
    /// Adds the locks among the members of the type `of`, of which one is at `address`, and among their members.
    fn descend(
        &self,
        of: UnitOffset,
        address: u64,
        depth: usize,
        locks: &mut Vec<Lock>,
    ) -> Result<(), Error> {
        for (name, offset, of) in self.members(of)? {
            let at = address.wrapping_add(offset);
            let is_lock = self.name(self.unit.entry(of)?.attr_value(DW_AT_name))?;
            if is_lock.is_some_and(|name| name.starts_with(TYPE)) {
                let word = self.members(of)?.into_iter().find(|(name, ..)| *name == WORD);
                locks.extend(
                    word.map(|(_, offset, _)| Lock {
                        name: name.to_owned(),
                        address: HypVa::new(at + offset),
                    }),
                );
            } else if depth > 0 {
                self.descend(of, at, depth - 1, locks)?;
            }
        }
        Ok(())
    }

    /// Name, offset and type of each member of a structure or union.
    fn members(&self, of: UnitOffset) -> Result<Vec<(&'a str, u64, UnitOffset)>, Error> {
        let mut tree = self.unit.entries_tree(Some(of))?;
        let mut children = tree.root()?.children();
        let mut members = Vec::new();
        while let Some(child) = children.next()? {
            let entry = child.entry();
            let offset = entry.attr_value(DW_AT_data_member_location).and_then(|value| value.udata_value());
            if entry.tag() == DW_TAG_member
                && let Some(AttributeValue::UnitRef(of)) = entry.attr_value(DW_AT_type)
                && let Some(name) = self.name(entry.attr_value(DW_AT_name))?
            {
                members.push((name, offset.unwrap_or_default(), of));
            }
        }
        Ok(members)
    }

    fn name(&self, value: Option<AttributeValue<Slice<'a>>>) -> Result<Option<&'a str>, Error> {
        let Some(value) = value else { return Ok(None) };
        let text = self.dwarf.attr_string(self.unit, value)?;
        Ok(std::str::from_utf8(text.slice()).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_not_found_is_named_with_the_remedy() {
        let lock = |name: &str| Lock { name: name.to_owned(), address: HypVa::new(0x1000) };
        let names = ["host", "el2", "smmu"];
        let all: Vec<Lock> = names.map(lock).into();
        assert_eq!(require(all.clone(), &names), Ok(all.clone()));
        let text = require(all[..2].to_vec(), &names).unwrap_err();
        assert!(text.contains("`smmu`") && text.contains("--without-events"), "{text}");
        assert!(require(Vec::new(), &names).unwrap_err().contains("`host`"));
    }
}
