//! Memory that an emulated device uses: it is lent, and pinned for the device, meanwhile.

use parallax_addr::{PAGE_SIZE, PhysAddr, Span};
use parallax_vmsa::PhysMem;

use crate::page::Page;
use crate::view::{After, Effect, View};

/// What an operation meets.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// The state before it.
    pub view: &'a dyn View,
    /// Memory at the end of its step.
    pub memory: &'a dyn PhysMem,
    /// The state after it, where it was performed alone: of what it may lend or not, this tells what it did.
    pub after: Option<&'a dyn View>,
    /// Whether memory may have been lent and returned since the state that was looked at, or no page for a table may be left.
    pub unsure: bool,
}

/// Whether a table or queue in `span` may be lent for an emulated device: it is the host's alone, or is lent to this one already, for
/// what is in `own`. Nothing where it is pinned by calls as well, or lent to others.
pub(crate) fn may_be_held(span: Span<PhysAddr>, view: &dyn View, own: &[Span<PhysAddr>]) -> Option<bool> {
    let pages = span.whole_pages()?;
    let mut unsure = false;
    for (span, page) in view.pages(pages) {
        let own = own.iter().any(|own| own.intersect(span) == Some(span));
        match page {
            Page::Host => {}
            Page::Lent { pins: 0, held: 1.. } if own => {}
            Page::Lent { held: 1.., .. } => unsure = true,
            _ => return Some(false),
        }
    }
    (!unsure).then_some(true)
}

/// Lends the pages of `span`: which, if they can be lent. `None` where that is not known.
#[expect(clippy::option_option, reason = "not known is not the same as none")]
pub(crate) fn hold(
    span: Span<PhysAddr>,
    at: At<'_>,
    own: &[Span<PhysAddr>],
    effects: &mut Vec<Effect>,
) -> Option<Option<Span<PhysAddr>>> {
    let Some(pages) = span.whole_pages() else { return Some(None) };
    let view = After { before: at.view, effects };
    let sure = may_be_held(pages, &view, own).filter(|allowed| !(*allowed && at.unsure));
    if !sure.map_or_else(|| is_held(pages, &view, at.after?), Some)? {
        return Some(None);
    }
    let held = |(span, page)| {
        let (pins, held) = if let Page::Lent { pins, held } = page { (pins, held) } else { (0, 0) };
        Effect { span, page: Page::Lent { pins, held: held + 1 } }
    };
    let held: Vec<Effect> = view.pages(pages).into_iter().map(held).collect();
    effects.extend(held);
    Some(Some(pages))
}

/// Whether `pages` were returned by an operation, as the state behind it tells.
pub(crate) fn is_returned(pages: Span<PhysAddr>, at: At<'_>) -> bool {
    at.after.and_then(|after| is_held(pages, after, at.view)) == Some(true)
}

/// Whether the first of `pages` is lent once more in the state `after` than in `before`: all are, or none.
fn is_held(pages: Span<PhysAddr>, before: &dyn View, after: &dyn View) -> Option<bool> {
    let first = Span::new(pages.base, PAGE_SIZE);
    let pins = |view: &dyn View| view.pages(first).first().map(|(_, page)| page.all_pins());
    Some(pins(after)? > pins(before)?)
}

/// Returns `pages`. False where they were not lent, as far as is known.
pub(crate) fn release(pages: Span<PhysAddr>, at: At<'_>, effects: &mut Vec<Effect>) -> bool {
    let view = After { before: at.view, effects };
    let released = |(span, page)| match page {
        Page::Lent { pins: 0, held: 1 } => Some(Effect { span, page: Page::Host }),
        Page::Lent { pins, held: held @ 1.. } => {
            Some(Effect { span, page: Page::Lent { pins, held: held - 1 } })
        }
        _ => None,
    };
    let released: Vec<Option<Effect>> = view.pages(pages).into_iter().map(released).collect();
    let known = released.iter().all(Option::is_some);
    effects.extend(released.into_iter().flatten());
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{Memory, Pages};

    #[test]
    fn of_what_may_be_lent_or_not_the_state_after_it_tells() {
        let pages = Span::new(PhysAddr::new(0x4600_0000), 2 * PAGE_SIZE);
        let page = Page::Lent { pins: 0, held: 1 };
        let lent = [Effect { span: pages, page }];
        let after = After { before: &Pages, effects: &lent };
        let held = |unsure: bool, after: Option<&dyn View>| {
            let memory = Memory::default();
            let mut effects = Vec::new();
            let held = hold(pages, At { view: &Pages, memory: &memory, after, unsure }, &[], &mut effects);
            assert_eq!(effects.is_empty(), held != Some(Some(pages)));
            held
        };
        assert_eq!(held(false, None), Some(Some(pages)));
        assert_eq!(held(true, None), None);
        assert_eq!((held(true, Some(&after)), held(true, Some(&Pages))), (Some(Some(pages)), Some(None)));
    }
}
