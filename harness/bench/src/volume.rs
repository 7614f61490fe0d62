//! Stream mode beside the bare machine and a machine that only has the plugin, in turn within one run; and its cost by
//! how much is mapped page by page.

use std::fmt::Write;
use std::time::Instant;

use parallax_abi::hypercall::{HOST_DONATE_HYP, HOST_SHARE_HYP, HOST_UNSHARE_HYP, HYP_DONATE_HOST};
use parallax_abi::mailbox::{Request, SLOTS, kind, op};
use parallax_addr::PhysAddr;
use parallax_engine::Session;
use parallax_engine::status::Failure;
use parallax_machine::{Live, Machine, MachineError};
use parallax_model::{Golden, Span};
use parallax_trace::spec::{MachineSpec, MapMode};
use parallax_trace::{Op, Trace};

use crate::cpu_time;
use crate::document::Rate;
use crate::rates;
use crate::setup::{PFN, Setup, hypercall, table};

/// Rounds; the median counts.
const ROUNDS: usize = 5;
/// Batches in one round of each.
const BATCHES: usize = 10;
/// Size of a block that is split, in page frames.
const BLOCK: u64 = 512;

/// Two operations in turn, as requests and as a trace has them.
struct Pair {
    names: [&'static str; 2],
    requests: [Request; 2],
}

fn pairs() -> [Pair; 2] {
    [
        Pair {
            names: ["host_share_hyp", "host_unshare_hyp"],
            requests: [hypercall(HOST_SHARE_HYP, &[PFN]), hypercall(HOST_UNSHARE_HYP, &[PFN])],
        },
        Pair {
            names: ["host_donate_hyp", "hyp_donate_host"],
            requests: [hypercall(HOST_DONATE_HYP, &[PFN, 1]), hypercall(HYP_DONATE_HOST, &[PFN, 1])],
        },
    ]
}

/// What operations cost, in seconds for each.
#[derive(Clone, Copy, Default)]
struct Cost {
    wall: f64,
    /// Processor time of QEMU and of this process.
    qemu: f64,
    own: f64,
}

impl Cost {
    /// Of the operations that `perform` performs in `batches` batches.
    fn of(qemu: u32, batches: usize, perform: impl FnOnce() -> Result<(), Failure>) -> Result<Self, Failure> {
        let own = std::process::id();
        let (qemu_before, own_before, begin) = (cpu_time::of(qemu)?, cpu_time::of(own)?, Instant::now());
        perform()?;
        let each = 1.0 / (batches * SLOTS) as f64;
        Ok(Self {
            wall: begin.elapsed().as_secs_f64() * each,
            qemu: (cpu_time::of(qemu)? - qemu_before) * each,
            own: (cpu_time::of(own)? - own_before) * each,
        })
    }

    /// The median of each.
    fn median(costs: &[Self]) -> Self {
        let of = |field: fn(&Self) -> f64| {
            let mut values: Vec<f64> = costs.iter().map(field).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Self { wall: of(|cost| cost.wall), qemu: of(|cost| cost.qemu), own: of(|cost| cost.own) }
    }
}

/// A machine whose operations are streamed.
struct Streamed<'m> {
    session: Session<'m>,
    qemu: u32,
    golden: Golden,
}

impl<'m> Streamed<'m> {
    fn start(live: &'m mut Live) -> Result<Self, Failure> {
        let qemu = live.qemu_id();
        let (mut session, findings) = Session::start(live, None)?;
        session.stream()?;
        let mut golden = Golden::default();
        golden.boot(&findings);
        Ok(Self { session, qemu, golden })
    }

    fn perform(&mut self, pair: &Pair, batches: usize) -> Result<Cost, Failure> {
        let text = pair.names.map(|name| format!("{name} pfn={PFN:#x} => ok\n")).concat();
        let trace = Trace::parse("bench", &text).map_err(Failure::usage)?;
        let ops: Vec<&Op> = trace.ops.iter().cycle().take(batches * SLOTS).collect();
        let cost = Cost::of(self.qemu, batches, || {
            for batch in ops.chunks(SLOTS) {
                for (op, step) in batch.iter().zip(self.session.batch(batch)?) {
                    rates::write(&mut self.golden, op, &step);
                }
            }
            Ok(())
        })?;
        rates::nothing_found(&self.golden)?;
        Ok(cost)
    }
}

/// Measures, and renders what was measured.
pub(crate) fn measure(setup: &Setup) -> Result<String, Failure> {
    Ok(ratios(setup)? + &granularity(setup)?)
}

/// Who looks, and what that costs; the bare machine first.
type Costs = [(&'static str, Cost); 3];

/// Each pair on the bare machine, with the plugin alone, and streamed and judged: what a batch of operations costs, in turn.
fn costs(setup: &Setup) -> Result<Vec<(Pair, Costs)>, Failure> {
    let config = MachineSpec::default();
    let (mut bare, mut watched) = (setup.boot(&config)?, setup.boot_watched(&config)?);
    let mut live = setup.boot_watched(&config)?;
    let mut streamed = Streamed::start(&mut live)?;
    let batches = setup.scaled(BATCHES);
    let mut all = Vec::new();
    for pair in pairs() {
        let mut costs = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            costs[0].push(perform(&mut bare, &pair, batches)?);
            costs[1].push(perform(&mut watched, &pair, batches)?);
            costs[2].push(streamed.perform(&pair, batches)?);
        }
        let [bare, watched, streamed] = costs.map(|costs| Cost::median(&costs));
        let costs =
            [("bare", bare), ("with the plugin, nobody looks", watched), ("stream, all judges", streamed)];
        all.push((pair, costs));
    }
    Ok(all)
}

/// The same as rates.
///
/// # Errors
/// A machine does not boot, or an operation does not end as it must.
pub fn of_bare(setup: &Setup) -> Result<Vec<Rate>, Failure> {
    let mut rates = Vec::new();
    for (pair, costs) in costs(setup)? {
        rates.extend(costs.map(|(how, cost)| Rate {
            operation: pair.names[0].to_owned(),
            how: how.to_owned(),
            per_second: 1.0 / cost.wall,
            of_bare: costs[0].1.wall / cost.wall,
        }));
    }
    Ok(rates)
}

fn ratios(setup: &Setup) -> Result<String, Failure> {
    let mut rows = Vec::new();
    for (pair, costs) in costs(setup)? {
        for (what, cost) in costs {
            rows.push([
                format!("{}, {what}", pair.names[0]),
                format!("{:.0}", 1.0 / cost.wall),
                format!("{:.2}", costs[0].1.wall / cost.wall),
                format!("{:.1}", cost.qemu * 1e6),
                format!("{:.1}", cost.own * 1e6),
            ]);
        }
    }
    let header = ["no stop for 1024 operations", "a second", "of bare", "QEMU, us", "parallax, us"];
    let mut text = String::new();
    let _ = writeln!(
        text,
        "each operation and its reverse in turn; medians of {ROUNDS} rounds; processor time of an operation"
    );
    let _ = writeln!(text, "{}\n", table(header, &rows));
    Ok(text)
}

/// Performs `pair` in `batches` batches; the journal, if there is one, is thrown away.
fn perform(live: &mut Live, pair: &Pair, batches: usize) -> Result<Cost, Failure> {
    let batch: Vec<_> = pair.requests.into_iter().cycle().take(SLOTS).collect();
    Cost::of(live.qemu_id(), batches, || {
        for _ in 0..batches {
            rates::all_succeeded(&live.perform_requests(&batch)?)?;
            drop_events(live)?;
        }
        Ok(())
    })
}

fn granularity(setup: &Setup) -> Result<String, Failure> {
    let mut small = setup.boot_watched(&MachineSpec { mem_bytes: 128 << 20, ..MachineSpec::default() })?;
    let mut config = MachineSpec { mem_bytes: 1024 << 20, ..MachineSpec::default() };
    config.hyp.map = MapMode::Pages;
    let mut large = setup.boot_watched(&config)?;
    split(&mut small, 8)?;
    split(&mut large, usize::MAX)?;
    let mut machines = [Streamed::start(&mut small)?, Streamed::start(&mut large)?];
    let pages = machines
        .each_ref()
        .map(|machine| machine.session.snapshot().tables.iter().map(|run| run.size >> 12).sum::<u64>());
    let batches = setup.scaled(BATCHES);
    let mut rows = Vec::new();
    for pair in pairs() {
        let mut costs = [const { Vec::new() }; 2];
        for _ in 0..ROUNDS {
            for (costs, machine) in costs.iter_mut().zip(&mut machines) {
                costs.push(machine.perform(&pair, batches)?);
            }
        }
        let costs = costs.map(|costs| Cost::median(&costs));
        for ((what, cost), pages) in ["16 MiB", "1 GiB"].into_iter().zip(costs).zip(pages) {
            rows.push([
                format!("{}, {what}", pair.names[0]),
                pages.to_string(),
                format!("{:.1}", cost.wall * 1e6),
                format!("{:.2}", cost.wall / costs[0].wall),
                format!("{:.1}", cost.qemu * 1e6),
                format!("{:.1}", cost.own * 1e6),
                format!("{:.2}", (cost.qemu + cost.own) / (costs[0].qemu + costs[0].own)),
            ]);
        }
    }
    let header = [
        "stream, by what is mapped page by page",
        "table pages",
        "wall, us",
        "of 16 MiB",
        "QEMU, us",
        "parallax, us",
        "of 16 MiB",
    ];
    let mut text = String::new();
    let _ = writeln!(text, "by the CPU and by the SMMU; wall and processor time of an operation");
    let _ = writeln!(text, "{}\n", table(header, &rows));
    Ok(text)
}

/// Maps `most` blocks of the host's memory page by page: the host touches each, one page of it goes to the hypervisor
/// and returns, after which the block stays split, and the host touches that page.
fn split(live: &mut Live, most: usize) -> Result<(), Failure> {
    let info = live.target().info_or_zero();
    let payload = &live.target().description.payload;
    let taken = [
        Span::new(payload.base, payload.size),
        Span::new(PhysAddr::new(info.image_pa), info.image_size),
        Span::new(PhysAddr::new(info.pool_pa), info.pool_size),
    ];
    let last = info.vmemmap_first_pfn + info.vmemmap_nr;
    let blocks = (info.vmemmap_first_pfn..last).step_by(BLOCK as usize);
    let free = blocks.filter(|pfn| {
        let block = Span::new(PhysAddr::new(pfn << 12), BLOCK << 12);
        taken.iter().all(|taken| taken.intersect(block).is_none())
    });
    let requests: Vec<Request> = free
        .take(most)
        .flat_map(|pfn| {
            let mut touch = Request { cpu: 0, op: op::READ, args: [0; 7] };
            touch.args[..2].copy_from_slice(&[pfn << 12, 8]);
            let [go, back] = [HOST_DONATE_HYP, HYP_DONATE_HOST].map(|id| hypercall(id, &[pfn, 1]));
            [touch, go, back, touch]
        })
        .collect();
    let responses = live.perform_requests(&requests)?;
    if let Some(response) = responses.iter().find(|response| response.kind != kind::OK) {
        let text = format!("a block could not be split: {response:?}");
        return Err(MachineError::Contract(text).into());
    }
    drop_events(live)?;
    Ok(())
}

/// Empties the plugin's journal, if there is one.
fn drop_events(live: &mut Live) -> Result<(), MachineError> {
    live.journal().map_or(Ok(()), |journal| journal.events().map(drop))
}
