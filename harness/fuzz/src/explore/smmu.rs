//! The scope in which the host has an SMMU of its own: what each stream does, beside what each page is.
//!
//! ```text
//! off | stream 8: abort, bypass, stage 1 | stream 16: the same        x        each page
//! ```

use parallax_addr::{Ipa, StreamId};
use parallax_graph::{Edge, Graph, Scope, Small};
use parallax_ops::{DmaAccess, Operation, Outcome};
use parallax_trace::Op;

use super::action::Action;

/// The machine.
pub(super) const MACHINE: &str = "smmu.host=emulated devices=edu@1,edu@2";
/// The StreamIDs of its devices.
const STREAMS: [u32; 2] = [8, 16];
/// What the driver sets up once: an event queue, a command queue, a linear table, and for each stream a context descriptor whose
/// table shows memory where it is and once more at 0x100000000.
const SET_UP: &str = "\
smmu_write EVENTQ_BASE LOG2SIZE=7 ADDR=ram+0x7010000
smmu_write CMDQ_BASE LOG2SIZE=8 ADDR=ram+0x7011000
smmu_write STRTAB_BASE ADDR=ram+0x7012000
smmu_write STRTAB_BASE_CFG linear LOG2SIZE=5
cd at=ram+0x7013000 T0SZ=25 IR0=1 OR0=1 SH0=3 EPD1 V IPS=4 AFFD AA64 R A ASET ASID=1 TTB0=ram+0x7014000 MAIR=0xff
cd at=ram+0x7013040 T0SZ=25 IR0=1 OR0=1 SH0=3 EPD1 V IPS=4 AFFD AA64 R A ASET ASID=2 TTB0=ram+0x7014000 MAIR=0xff
s1_descriptor at=ram+0x7014008 block AP=1 SH=3 AF OA=0x40000000
s1_descriptor at=ram+0x7014020 block AP=1 SH=3 AF OA=0x40000000
";
/// How far above where memory is stage 1 shows it once more: from 0x100000000 on.
const ALIAS: u64 = 0xc000_0000;

/// What a stream does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Config {
    Abort,
    Bypass,
    Stage1,
}

impl Config {
    const ALL: [Self; 3] = [Self::Abort, Self::Bypass, Self::Stage1];

    const fn name(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Bypass => "bypass",
            Self::Stage1 => "stage 1",
        }
    }

    /// The line that writes the entry of stream number `stream`.
    fn entry(self, stream: usize) -> String {
        let at = 0x701_2000 + u64::from(STREAMS[stream]) * 64;
        match self {
            Self::Abort => format!("ste at=ram+{at:#x} abort\n"),
            Self::Bypass => format!("ste at=ram+{at:#x} bypass\n"),
            Self::Stage1 => {
                format!("ste at=ram+{at:#x} s1 S1ContextPtr=ram+{:#x}\n", 0x701_3000 + stream * 0x40)
            }
        }
    }
}

/// What both streams do; nothing while the SMMU is off.
pub(crate) type Both = Option<[Config; 2]>;

fn all() -> Vec<Both> {
    let on = Config::ALL.into_iter().flat_map(|first| Config::ALL.map(|second| Some([first, second])));
    std::iter::once(None).chain(on).collect()
}

fn name(both: Both) -> String {
    both.map_or_else(
        || "SMMU off".to_owned(),
        |both| format!("streams {}, {}", both[0].name(), both[1].name()),
    )
}

/// The lines that lead to `to`.
fn lines(from: Both, to: Both) -> String {
    match (from, to) {
        (_, None) => "smmu_write CR0 0\nsmmu_read CR0ACK => ok value=0\n".to_owned(),
        (None, Some(to)) => format!(
            "{}{}smmu_write CMDQ_PROD 0\nsmmu_write CMDQ_CONS 0\nsmmu_write CR0 SMMUEN EVENTQEN CMDQEN\n\
             smmu_read CR0ACK => ok value=0xd\n",
            to[0].entry(0),
            to[1].entry(1)
        ),
        (Some(from), Some(to)) => {
            let stream = usize::from(from[0] == to[0]);
            format!(
                "{}smmu_write CR0 SMMUEN EVENTQEN\nsmmu_write CMDQ_PROD 0\nsmmu_write CMDQ_CONS 0\n\
                 smmu_write CR0 SMMUEN EVENTQEN CMDQEN\nsmmu_command at=ram+0x7011000 CFGI_STE StreamID={}\n\
                 smmu_command at=ram+0x7011010 SYNC\nsmmu_write CMDQ_PROD 2\nsmmu_read CMDQ_CONS => ok value=2\n",
                to[stream].entry(stream),
                STREAMS[stream]
            )
        }
    }
}

/// Whether `to` is a step from `from`: one stream changes, or the SMMU is turned on or off.
fn follows(from: Both, to: Both) -> bool {
    match (from, to) {
        (Some(from), Some(to)) => (from[0] == to[0]) != (from[1] == to[1]),
        (None, Some(to)) => to == [Config::Abort; 2],
        (Some(_), None) => true,
        (None, None) => false,
    }
}

/// What the streams can do next.
pub(crate) fn after(from: Both) -> Vec<Both> {
    all().into_iter().filter(|to| follows(from, *to)).collect()
}

/// The operations that lead from one to the next.
pub(crate) fn change(from: Both, to: Both) -> Vec<Op> {
    Action::parsed("smmu", &lines(from, to)).ops
}

/// The same graph with streams in it: its actions, and what each state is called.
pub(super) fn with_streams(scope: &Scope, pages: &Graph) -> (Graph, Vec<Action>, Vec<String>) {
    let all = all();
    let mut actions: Vec<Action> = pages.operations.iter().map(Action::of).collect();
    let mut operations = pages.operations.clone();
    let mut add = |action: Action, operation: Operation| {
        actions.push(action);
        operations.push(operation);
        actions.len() - 1
    };
    let mut changes = vec![Vec::new(); all.len()];
    for (from, changes) in all.iter().zip(&mut changes) {
        for (number, to) in all.iter().enumerate().filter(|(_, to)| follows(*from, **to)) {
            let action = Action::parsed("smmu", &lines(*from, *to));
            changes.push((number, add(action, Operation::Nop)));
        }
    }
    let mut accesses = Vec::new();
    for (stream, sid) in STREAMS.iter().enumerate() {
        for (page, ipa) in scope.memory.iter().filter_map(|pfn| pfn.ipa()).enumerate() {
            for alias in [0, ALIAS] {
                let (sid, ipa) = (StreamId::new(*sid), Ipa::new(ipa.get() + alias));
                let write = Operation::Dma(DmaAccess::Write { sid, ipa, len: 8, value: 0xa5a5 });
                let read = Operation::Dma(DmaAccess::Read { sid, ipa, len: 8 });
                for access in [write, read] {
                    accesses.push((stream, page, alias, add(Action::of(&access), access)));
                }
            }
        }
    }
    let count = pages.states.len();
    let (mut states, mut edges, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for (number, both) in all.iter().enumerate() {
        for (place, state) in pages.states.iter().enumerate() {
            let here = number * count + place;
            let done = Outcome::Ok { value: None };
            let mut of_state: Vec<Edge> = Vec::new();
            for (to, action) in &changes[number] {
                of_state.push(Edge { operation: *action, outcome: done.clone(), to: to * count + place });
            }
            for (stream, page, alias, action) in &accesses {
                let config = both.map(|both| both[*stream]);
                // Nobody knows what is there without a stage 1.
                if config == Some(Config::Bypass) && *alias != 0 {
                    continue;
                }
                let outcome = reached(config, state, *page);
                of_state.push(Edge { operation: *action, outcome, to: here });
            }
            let page_edges = pages.edges[place].iter();
            of_state.extend(page_edges.map(|edge| Edge { to: number * count + edge.to, ..edge.clone() }));
            edges.push(of_state);
            states.push(state.clone());
            labels.push(format!("{}; {state}", name(*both)));
        }
    }
    (Graph { states, operations, edges }, actions, labels)
}

/// How an access of a device ends.
fn reached(config: Option<Config>, state: &Small, page: usize) -> Outcome {
    let there = matches!(config, Some(Config::Bypass | Config::Stage1));
    if there && state.0[page].is_the_hosts() { Outcome::Ok { value: None } } else { Outcome::Abort }
}

/// What is done before the first state.
pub(crate) fn set_up() -> Action {
    Action::parsed("smmu", SET_UP)
}

/// The streams, for a person.
pub(super) fn scope() -> String {
    format!("streams {} and {} of an emulated SMMU", STREAMS[0], STREAMS[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_changes_at_a_time_and_all_can_be_reached() {
        let all = all();
        assert_eq!(all.len(), 10);
        assert_eq!(name(all[0]), "SMMU off");
        assert!(lines(None, all[1]).contains("CR0ACK => ok value=0xd"));
        let one = lines(Some([Config::Abort, Config::Bypass]), Some([Config::Abort, Config::Stage1]));
        assert!(one.contains("S1ContextPtr=ram+0x7013040") && one.contains("StreamID=16"), "{one}");
    }
}
