//! Progress bars, shown only where a person watches.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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

/// Does `work`, and `show`s meanwhile on `bar` how far it is. However the work ends, in a panic too, the bar is gone then.
pub(super) fn during<T>(
    bar: &ProgressBar,
    show: impl Fn(&ProgressBar) + Sync,
    work: impl FnOnce() -> T,
) -> T {
    let over = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        let _ends = Ends(&over);
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                show(bar);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        work()
    });
    bar.finish_and_clear();
    result
}

/// Ends what shows a bar when it goes: its scope waits for that.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn a_bar_ends_with_its_work_and_with_a_panic() {
        let hidden = bar(1, "{pos}");
        assert_eq!(during(&hidden, |bar| bar.set_position(1), || 7), 7);
        let panicked = catch_unwind(AssertUnwindSafe(|| during(&hidden, |_| (), || panic!("on purpose"))));
        assert!(panicked.is_err());
    }
}
