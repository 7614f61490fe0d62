//! The turns of two CPUs, side by side.

use parallax_machine::{PointKind, Turn};

/// Widest text of a column.
const WIDEST: usize = 72;

/// Where a CPU stands.
fn what(turn: &Turn, place: &str) -> String {
    let kind = match turn.kind {
        PointKind::Entry => return "enters EL2".to_owned(),
        PointKind::Done => return "is done".to_owned(),
        PointKind::Lock => "takes a lock",
        PointKind::Wait => "waits for a lock",
        PointKind::Release => "stores (release)",
        PointKind::Tlbi => "TLBI",
        PointKind::Dsb => "DSB",
    };
    // The folder of the sources goes without saying.
    let place = place.replace("(hyp/core/src/", "(").replace("(hyp/src/", "(");
    let mut text = format!("{kind}: {place}");
    if let Some((end, _)) = text.char_indices().nth(WIDEST) {
        text.truncate(end);
    }
    text
}

/// `turns` of the CPUs that perform `pair`, CPU 0 to the left: what each is about to do. Turns of one CPU on end in which it waits
/// are one. `outcomes` stand in the last line.
#[must_use]
pub fn columns(pair: [&str; 2], turns: &[(Turn, String)], outcomes: &[String]) -> String {
    let mut rows: Vec<[String; 2]> = vec![pair.map(str::to_owned)];
    let mut last = None;
    // When a CPU enters is nobody's choice: it comes first.
    let enters =
        |number| turns.iter().position(|(turn, _)| turn.cpu.get() == number && turn.kind == PointKind::Entry);
    let first = [0, 1].map(enters);
    let entries = first.iter().flatten().map(|index| &turns[*index]);
    let others = (0..).zip(turns).filter(|(index, _)| !first.contains(&Some(*index))).map(|(_, turn)| turn);
    for (turn, place) in entries.chain(others) {
        let text = what(turn, place);
        if last.replace((turn.cpu, turn.pc)) == Some((turn.cpu, turn.pc)) {
            continue;
        }
        rows.push(if turn.cpu.get() == 0 { [text, String::new()] } else { [String::new(), text] });
    }
    if let [first, second] = outcomes {
        rows.push([format!("=> {first}"), format!("=> {second}")]);
    }
    let width = rows.iter().map(|[left, _]| left.chars().count()).max().unwrap_or(0);
    rows.iter().map(|[left, right]| format!("{left:width$} | {right}").trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use parallax_addr::ImageVa;
    use parallax_ops::CpuId;

    use super::*;

    #[test]
    fn each_cpu_has_a_column() {
        let turn = |cpu, kind, pc| Turn { cpu: CpuId::new(cpu), kind, pc: ImageVa::new(pc) };
        let turns = [
            (turn(0, PointKind::Entry, 1), String::new()),
            (turn(1, PointKind::Wait, 2), "lock+0x8 (hyp/src/a.rs:1)".to_owned()),
            (turn(1, PointKind::Wait, 2), String::new()),
            (turn(1, PointKind::Entry, 4), String::new()),
            (turn(0, PointKind::Done, 3), String::new()),
        ];
        let text = columns(["share", "donate"], &turns, &["ok".to_owned(), "EPERM".to_owned()]);
        let expected = "share      | donate\nenters EL2 |\n           | enters EL2\n           | waits for a lock: lock+0x8 (a.rs:1)\nis done    |\n=> ok      | => EPERM\n";
        assert_eq!(text, expected);
    }
}
