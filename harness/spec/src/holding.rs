//! Memory that an emulated device uses: it is lent, and pinned for the device, meanwhile.

use parallax_addr::{PhysAddr, Span};
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
    if !may_be_held(pages, &view, own)? {
        return Some(None);
    }
    let held = |(span, page)| {
        let held = if let Page::Lent { held, .. } = page { held } else { 0 };
        Effect { span, page: Page::Lent { pins: 0, held: held + 1 } }
    };
    let held: Vec<Effect> = view.pages(pages).into_iter().map(held).collect();
    effects.extend(held);
    (!at.unsure).then_some(Some(pages))
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
