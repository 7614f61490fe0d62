//! The name that was meant: for "did you mean".

/// How alike two names must be, as clap sees it, from 0 to 1.
const ALIKE: f64 = 0.8;

/// That of `names` which is most like `name`, if any is like it at all.
#[must_use]
pub fn similar<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let alike = names.into_iter().map(|other| (strsim::jaro_winkler(name, other), other));
    let close = alike.filter(|(alike, _)| *alike > ALIKE);
    close.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_something_else_is_not_guessed_at() {
        let names = ["host_share_hyp", "host_unshare_hyp", "nop"];
        assert_eq!(similar("host_shar_hyp", names), Some("host_share_hyp"));
        assert_eq!(similar("host_unsahre_hyp", names), Some("host_unshare_hyp"));
        assert_eq!(similar("dma", names), None);
    }
}
