//! One ELF file: its symbols, its code, its line table.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use addr2line::Loader;
use object::elf::SHF_EXECINSTR;
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags};

use parallax_addr::ImageVa;

use super::locks::{self, Lock};
use super::name::readable;
use crate::toolchain::paths::shown;

/// An image without usable symbols.
#[derive(Debug, thiserror::Error)]
pub enum SymbolError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no ELF file that is understood.
    #[error("{}: {what}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A symbol that both sides agreed on is not there.
    #[error("{}: symbol {symbol} is missing", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The symbol.
        symbol: &'static str,
    },
}

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Demangled name of the function.
    pub function: String,
    /// Bytes from the function's first instruction; none for a call that was inlined.
    pub offset: Option<u64>,
    /// File and line.
    pub line: Option<(String, u32)>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        if let Some(offset) = self.offset {
            write!(f, "+{offset:#x}")?;
        }
        match &self.line {
            Some((file, line)) => write!(f, " ({file}:{line})"),
            None => Ok(()),
        }
    }
}

/// An ELF file, or code that lies in memory and whose functions are known by name alone.
#[derive(Default)]
pub struct Image {
    path: PathBuf,
    /// Its line table, if it has one.
    loader: Option<Loader>,
    /// What its addresses have more than those of the line table.
    moved: u64,
    /// How a person calls a file of the line table; `shown`, if it is not another one.
    file: Option<fn(&str) -> String>,
    /// Its functions in order of address, where they are not those of the line table.
    functions: Vec<(ImageVa, String)>,
    symbols: BTreeMap<String, ImageVa>,
    code: Vec<(ImageVa, Vec<u8>)>,
    extent: (ImageVa, ImageVa),
}

impl Image {
    /// Reads the ELF file at `path`.
    ///
    /// # Errors
    /// It cannot be read or is no ELF file.
    pub fn load(path: &Path) -> Result<Self, SymbolError> {
        let format = |what: String| SymbolError::Format { path: path.to_owned(), what };
        let data =
            std::fs::read(path).map_err(|source| SymbolError::Read { path: path.to_owned(), source })?;
        let file = object::File::parse(&*data).map_err(|error| format(error.to_string()))?;
        let mut code = Vec::new();
        let mut extent = (ImageVa::new(u64::MAX), ImageVa::new(0));
        for section in file.sections().filter(|section| section.address() != 0 && section.size() != 0) {
            let end = section.address().saturating_add(section.size());
            extent = (extent.0.min(ImageVa::new(section.address())), extent.1.max(ImageVa::new(end)));
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            if !sh_flags.contains(SHF_EXECINSTR) {
                continue;
            }
            let bytes = section.data().map_err(|error| format(error.to_string()))?;
            code.push((ImageVa::new(section.address()), bytes.to_vec()));
        }
        let named = file.symbols().filter(|symbol| symbol.is_definition());
        let symbols = named
            .filter_map(|symbol| Some((symbol.name().ok()?.to_owned(), ImageVa::new(symbol.address()))))
            .collect();
        let loader = Loader::new(path).map_err(|error| format(error.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            loader: Some(loader),
            moved: 0,
            file: None,
            functions: Vec::new(),
            symbols,
            code,
            extent,
        })
    }

    /// `code`, which runs at `base`, with its `symbols`.
    #[must_use]
    pub fn of_symbols(base: ImageVa, code: Vec<u8>, symbols: BTreeMap<String, ImageVa>) -> Self {
        let extent = (base, base.wrapping_add(code.len() as u64));
        let mut functions: Vec<_> = symbols.iter().map(|(name, address)| (*address, name.clone())).collect();
        functions.sort_unstable();
        Self { functions, symbols, code: vec![(base, code)], extent, ..Self::default() }
    }

    /// The same with the line table of the ELF file at `path`, whose addresses are less than those here by `moved`. Its files are called
    /// as `file` says.
    ///
    /// # Errors
    /// It cannot be read, or has no line table that is understood.
    pub fn with_lines(self, path: &Path, moved: u64, file: fn(&str) -> String) -> Result<Self, SymbolError> {
        let format = |what: String| SymbolError::Format { path: path.to_owned(), what };
        let loader = Loader::new(path).map_err(|error| format(error.to_string()))?;
        Ok(Self { loader: Some(loader), moved, file: Some(file), ..self })
    }

    /// The address of the symbol called `name` (not demangled).
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<ImageVa> {
        self.symbols.get(name).copied()
    }

    /// The address of the first function whose demangled path is `path` or ends with it.
    #[must_use]
    pub fn function(&self, path: &str) -> Option<ImageVa> {
        let of = |name: &str| readable(&addr2line::demangle_auto(name.into(), None));
        let ends =
            |name: &str| name.strip_suffix(path).is_some_and(|head| head.is_empty() || head.ends_with("::"));
        let mut found = self.symbols.iter().filter(|(_, address)| self.is_code(**address));
        found.find(|(name, _)| ends(&of(name))).map(|(_, address)| *address)
    }

    /// Where it begins.
    #[must_use]
    pub const fn base(&self) -> ImageVa {
        self.extent.0
    }

    /// The address of a symbol that must be there.
    ///
    /// # Errors
    /// It is not there.
    pub fn required(&self, symbol: &'static str) -> Result<ImageVa, SymbolError> {
        self.symbol(symbol).ok_or_else(|| SymbolError::Missing { path: self.path.clone(), symbol })
    }

    /// The locks inside the variable called `variable`, by the debugging information.
    ///
    /// # Errors
    /// The file cannot be read any more, its debugging information makes no sense, or one of `names` is not there.
    pub fn locks(&self, variable: &str, names: &[&str]) -> Result<Vec<Lock>, SymbolError> {
        let path = || self.path.clone();
        let data = std::fs::read(&self.path).map_err(|source| SymbolError::Read { path: path(), source })?;
        locks::find(&data, variable)
            .and_then(|locks| locks::require(locks, names))
            .map_err(|what| SymbolError::Format { path: path(), what })
    }

    /// First address and first address past the end of all that is in memory when it runs, zeroed data included.
    #[must_use]
    pub const fn extent(&self) -> (ImageVa, ImageVa) {
        self.extent
    }

    /// Whether `address` lies in its code.
    #[must_use]
    pub fn is_code(&self, address: ImageVa) -> bool {
        self.code_from(address).is_some()
    }

    /// Its sections of code: address and bytes.
    pub fn code(&self) -> impl Iterator<Item = (ImageVa, &[u8])> {
        self.code.iter().map(|(base, bytes)| (*base, bytes.as_slice()))
    }

    /// The code from `address` to the end of its section.
    #[must_use]
    pub fn code_from(&self, address: ImageVa) -> Option<&[u8]> {
        self.code.iter().find_map(|(base, bytes)| {
            let offset = usize::try_from(address.offset_from(*base)?).ok()?;
            bytes.get(offset..).filter(|rest| !rest.is_empty())
        })
    }

    /// The addresses of all instructions, in order within each section.
    pub fn instructions(&self) -> impl Iterator<Item = ImageVa> {
        self.code.iter().flat_map(|(base, bytes)| {
            (0..bytes.len() as u64 / 4 * 4).step_by(4).map(|offset| base.wrapping_add(offset))
        })
    }

    /// The function at `address` and the functions that it was inlined into, innermost first. Empty for an address
    /// that belongs to no function.
    #[must_use]
    pub fn places(&self, address: ImageVa) -> Vec<Place> {
        let named = self.place_of_function(address);
        let Some(loader) = &self.loader else { return named.into_iter().collect() };
        let at = address.get().wrapping_sub(self.moved);
        let file = self.file.unwrap_or(|file| shown(file).to_owned());
        let mut places = Vec::new();
        if let Ok(mut frames) = loader.find_frames(at) {
            while let Ok(Some(frame)) = frames.next() {
                let Some(function) = frame.function.as_ref().and_then(|name| name.demangle().ok()) else {
                    continue;
                };
                let line = frame.location.and_then(|at| Some((file(at.file?), at.line?)));
                places.push(Place { function: readable(&function), offset: None, line });
            }
        }
        if places.is_empty() {
            let line = loader.find_location(at).ok().flatten();
            let line = line.and_then(|at| Some((file(at.file?), at.line?)));
            places.extend(named.as_ref().map(|named| Place { line, ..named.clone() }));
        }
        if let Some(outermost) = places.last_mut() {
            outermost.offset = named.and_then(|named| named.offset);
        }
        places
    }

    /// The function at `address`, by its symbol alone.
    fn place_of_function(&self, address: ImageVa) -> Option<Place> {
        let named =
            |name: &str, offset| Place { function: name.to_owned(), offset: Some(offset), line: None };
        if let (Some(loader), true) = (&self.loader, self.functions.is_empty()) {
            let symbol = loader.find_symbol_info(address.get().wrapping_sub(self.moved))?;
            let name = readable(&addr2line::demangle_auto(symbol.name().into(), None));
            return Some(named(&name, address.get().wrapping_sub(self.moved).wrapping_sub(symbol.address())));
        }
        let (start, name) =
            self.functions[..self.functions.partition_point(|(start, _)| *start <= address)].last()?;
        let offset = self.is_code(address).then(|| address.offset_from(*start))??;
        Some(named(name, offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This test program itself is an ELF file with symbols and line tables.
    #[inline(never)]
    fn own_image() -> Image {
        Image::load(&std::env::current_exe().unwrap()).unwrap()
    }

    /// A function with a symbol of its own.
    #[inline(never)]
    fn landmark() -> u32 {
        std::hint::black_box(1)
    }

    #[test]
    fn a_function_is_found_with_its_file_and_line() {
        assert_eq!(landmark(), 1);
        let image = own_image();
        let (_, address) = image.symbols.iter().find(|(name, _)| name.contains("landmark")).unwrap();
        let places = image.places(*address);
        let place = places.last().unwrap();
        assert!(place.function.ends_with("landmark"), "{place}");
        assert_eq!(place.offset, Some(0));
        let file = &place.line.as_ref().unwrap().0;
        assert!(file.ends_with("/harness/machine/src/symbols/image.rs"), "{file}");
        assert!(image.is_code(*address) && !image.is_code(ImageVa::new(0)));
    }

    #[test]
    fn a_variable_that_is_not_there_has_no_locks() {
        assert_eq!(own_image().locks("NO_SUCH_VARIABLE", &[]).unwrap(), []);
        assert!(own_image().locks("NO_SUCH_VARIABLE", &["host"]).is_err());
    }

    #[test]
    fn a_missing_symbol_is_named() {
        let error = own_image().required("no_such_symbol").unwrap_err();
        assert!(error.to_string().ends_with("symbol no_such_symbol is missing"), "{error}");
    }

    #[test]
    fn a_function_without_a_line_table_is_found_by_its_symbol() {
        let symbols =
            [("second", 0x1010), ("first", 0x1000)].map(|(name, at)| (name.to_owned(), ImageVa::new(at)));
        let image = Image::of_symbols(ImageVa::new(0x1000), vec![0; 0x20], symbols.into());
        let at =
            |address| image.places(ImageVa::new(address)).iter().map(Place::to_string).collect::<Vec<_>>();
        assert_eq!([at(0x100c), at(0x1010)], [["first+0xc"], ["second+0x0"]]);
        assert!(at(0xffc).is_empty() && at(0x1020).is_empty());
    }

    #[test]
    fn a_line_table_may_be_of_other_addresses() {
        let (own, moved) = (own_image(), 0x1_0000_0000);
        let (_, there) = own.symbols.iter().find(|(name, _)| name.contains("landmark")).unwrap();
        let here = there.wrapping_add(moved);
        let symbols = BTreeMap::from([("its_name".to_owned(), here)]);
        let path = std::env::current_exe().unwrap();
        let image = Image::of_symbols(here, vec![0; 0x20], symbols)
            .with_lines(&path, moved, |_| "a.rs".to_owned())
            .unwrap();
        let (own, places) = (own.places(*there), image.places(here));
        assert!(!own.is_empty() && own.len() == places.len());
        for (one, other) in own.iter().zip(&places) {
            let line = one.line.as_ref().map(|(_, line)| ("a.rs".to_owned(), *line));
            assert_eq!(
                (&one.function, one.offset, line),
                (&other.function, other.offset, other.line.clone())
            );
        }
    }

    #[test]
    fn what_is_no_elf_file_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(Image::load(file.path()), Err(SymbolError::Format { .. })));
    }
}
