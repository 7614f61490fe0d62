//! Progress bars, shown only where a person watches.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on the standard error that is full at `total`.
pub(super) fn bar(total: u64, template: &str) -> ProgressBar {
    let watched = std::io::stderr().is_terminal();
    let target = if watched { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template(template);
    ProgressBar::with_draw_target(Some(total), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A bar for `count` traces that are built for and run; it ticks while nothing is done.
pub(super) fn of_traces(count: usize) -> ProgressBar {
    let bar = bar(count as u64, "{msg} {wide_bar} {pos}/{len}, {elapsed}");
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    bar
}
