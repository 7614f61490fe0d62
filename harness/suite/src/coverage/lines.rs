//! From instructions to source lines.

use std::collections::HashMap;

use parallax_addr::HypVa;
use parallax_machine::coverage::Executed;
use parallax_machine::symbols::Image;

/// Whose lines count.
const SOURCE: (&str, &str) = ("hyp/", ".rs");
/// Where most of what counts is. An image without a line of it says nothing of what traces reach.
const CORE: &str = "hyp/core/src/";

/// A source line, as one instruction has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Site {
    /// The file, relative to the repository.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The function, without generics.
    pub function: String,
}

/// The lines of an image.
#[derive(Debug, Default)]
pub struct Lines {
    sites: Vec<Site>,
    /// Each instruction that stands for lines, and those lines' numbers in `sites`.
    instructions: Vec<(u64, Vec<usize>)>,
}

impl Lines {
    /// Those of `image`.
    #[must_use]
    pub fn of(image: &Image) -> Self {
        let mut lines = Self::default();
        let mut known = HashMap::new();
        for pc in image.instructions() {
            let places = image.places(pc).into_iter().filter_map(|place| {
                let (file, line) = place.line?;
                Some(Site { file, line, function: place.function })
            });
            let counted = places.filter(|site| {
                site.line != 0 && site.file.starts_with(SOURCE.0) && site.file.ends_with(SOURCE.1)
            });
            let numbers: Vec<usize> = counted
                .map(|site| {
                    *known.entry(site).or_insert_with_key(|site| {
                        lines.sites.push(site.clone());
                        lines.sites.len() - 1
                    })
                })
                .collect();
            if !numbers.is_empty() {
                lines.instructions.push((pc.get(), numbers));
            }
        }
        lines
    }

    /// Makes sure that the lines are those of the hypervisor.
    ///
    /// # Errors
    /// Why they cannot be.
    pub fn check(&self) -> Result<(), String> {
        if self.sites.iter().any(|site| site.file.starts_with(CORE)) {
            return Ok(());
        }
        Err(format!(
            "its debugging information names no line of {CORE}, so nothing can be told of what traces reach; \
             remove target/hyp and run it again"
        ))
    }

    /// All lines, some of them more than once with different functions.
    #[must_use]
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// The lines of what ran.
    pub fn reached<'a>(&'a self, executed: &'a Executed) -> impl Iterator<Item = &'a Site> {
        let ran = self.instructions.iter().filter(|(pc, _)| executed.contains(HypVa::new(*pc)));
        ran.flat_map(|(_, numbers)| numbers.iter().filter_map(|number| self.sites.get(*number)))
    }

    #[cfg(test)]
    pub(crate) fn from_sites(sites: impl IntoIterator<Item = Site>) -> Self {
        Self { sites: sites.into_iter().collect(), instructions: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::site;
    use super::*;

    #[test]
    fn an_image_without_a_line_of_the_core_is_no_measure() {
        let core = [site("hyp/src/boot.rs", 3, "boot"), site("hyp/core/src/addr.rs", 9, "page")];
        assert_eq!(Lines::from_sites(core.clone()).check(), Ok(()));
        let error = Lines::from_sites([core[0].clone()]).check().unwrap_err();
        assert!(error.contains("hyp/core/src/") && error.contains("target/hyp"), "{error}");
        assert!(Lines::default().check().is_err());
    }
}
